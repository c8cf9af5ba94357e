import { signal } from '@preact/signals';
import { t } from '../i18n/language.ts';

interface Message {
  readonly id: number;
  readonly kind: 'ok' | 'fail';
  readonly text: string;
}

const messages = signal<readonly Message[]>([]);
const SHOWN_MS = 8_000;
let lastId = 0;

/** Shows a message at the edge of the page; failures stay until they are closed. */
export function say(kind: Message['kind'], text: string): void {
  lastId += 1;
  const message = { id: lastId, kind, text };
  messages.value = [...messages.value, message].slice(-4);
  if (kind === 'ok') setTimeout(() => close(message.id), SHOWN_MS);
}

function close(id: number): void {
  messages.value = messages.value.filter((message) => message.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {messages.value.map(({ id, kind, text }) => (
        <div key={id} class={`notice notice-${kind}`} role="status">
          <span>{text}</span>
          <button type="button" class="small" onClick={() => close(id)} aria-label={t('close')}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
