import { setTimeout as sleep } from 'node:timers/promises';

/** The time after which a wait has failed: far more than a loaded machine needs, so that only a hang reaches it. */
export const HANG_MS = 30_000;

const LOOK_EVERY_MS = 5;

/** Waits until `isTrue`; throws with `what` after `maxMs`. Resolves with the milliseconds that it took. */
export async function until(isTrue: () => boolean, what: string, maxMs = HANG_MS): Promise<number> {
  const startedMs = performance.now();
  while (!isTrue()) {
    if (performance.now() - startedMs > maxMs) throw new Error(`${what}: not within ${maxMs} ms`);
    await sleep(LOOK_EVERY_MS);
  }
  return performance.now() - startedMs;
}
