import { useState } from 'preact/hooks';
import { t } from '../i18n/language.ts';

const SHOWN_MS = 1_500;

/** Copies a text; says so for a moment. Browsers allow it under https and on this machine only. */
export function CopyButton({ text, label }: { readonly text: string; readonly label?: string }) {
  const [state, setState] = useState<'idle' | 'done' | 'failed'>('idle');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setState('done');
    } catch {
      setState('failed');
    }
    setTimeout(() => setState('idle'), SHOWN_MS);
  };
  return (
    <button type="button" class="small" onClick={() => void copy()} aria-live="polite">
      {state === 'done' ? t('copied') : state === 'failed' ? t('copyFailed') : (label ?? t('copy'))}
    </button>
  );
}

/** A text to be copied whole: code, or a value to type somewhere. */
export function CodeBlock({
  text,
  copied = text,
  label,
}: {
  readonly text: string;
  /** What is copied, when that is not what is shown. */
  readonly copied?: string;
  readonly label: string;
}) {
  return (
    <div class="code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that the keyboard must reach it. */}
      <pre tabIndex={0} role="region" aria-label={label}>
        <code>{text}</code>
      </pre>
      <CopyButton text={copied} />
    </div>
  );
}
