import { useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { say } from './toast.tsx';

interface ActionProps {
  readonly label: string;
  readonly onAction: () => Promise<{ readonly isOk: boolean; readonly message: string }>;
  readonly isDisabled?: boolean;
}

/** A button whose action takes a while: it cannot be pressed twice, and its result is announced. */
export function ActionButton({ label, onAction, isDisabled = false }: ActionProps) {
  const [isBusy, setBusy] = useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    try {
      const { isOk, message } = await onAction();
      say(isOk ? 'ok' : 'fail', message);
    } catch (error) {
      say('fail', error instanceof ApiError ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <button
      type="button"
      class="small"
      disabled={isDisabled || isBusy}
      aria-busy={isBusy}
      onClick={() => void run()}
    >
      {label}
    </button>
  );
}
