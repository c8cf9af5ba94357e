import { setTimeout as pause } from 'node:timers/promises';

/** Waits until `isSo` holds, looking every few milliseconds; fails with `what` after twenty seconds. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited twenty seconds in vain until ${what}`);
    await pause(2);
  }
}
