import type { Clock } from '../../lib/clock.ts';

/** Why an upstream gets no requests for one model. */
type PauseReason = 'rate_limited' | 'quota_exhausted' | 'model_not_found';

interface Pause {
  readonly reason: PauseReason;
  readonly untilMonoMs: number;
  /** The upstream's error, as sent to the client. */
  readonly message: string;
}

/** A pause that has not passed. */
interface RunningPause {
  readonly reason: PauseReason;
  readonly remainingMs: number;
  readonly message: string;
}

/** So that a client that invents model names cannot fill memory. */
const MAX_PAUSES = 1_000;

/** The models for which one upstream is left alone for a while: it asked to be (429), or does not have them (404). */
export class ModelPauses {
  /** No model is paused: spares requests the look-up. */
  isEmpty = true;
  readonly #clock: Clock;
  readonly #pauses = new Map<string, Pause>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  pause(model: string, reason: PauseReason, durationMs: number, message = ''): void {
    if (this.#pauses.size >= MAX_PAUSES) this.#dropExpired();
    if (this.#pauses.size >= MAX_PAUSES) return;
    this.#pauses.set(model, { reason, untilMonoMs: this.#clock.monoMs() + durationMs, message });
    this.isEmpty = false;
  }

  /** The running pause of `model`, null when there is none. */
  get(model: string): RunningPause | null {
    const pause = this.#pauses.get(model);
    if (pause === undefined) return null;
    const remainingMs = pause.untilMonoMs - this.#clock.monoMs();
    if (remainingMs > 0) return { reason: pause.reason, remainingMs, message: pause.message };
    this.clear(model);
    return null;
  }

  /** All running pauses. */
  list(): (RunningPause & { readonly model: string })[] {
    return [...this.#pauses.keys()].flatMap((model) => {
      const pause = this.get(model);
      return pause === null ? [] : [{ model, ...pause }];
    });
  }

  clear(model: string): void {
    this.#pauses.delete(model);
    this.isEmpty = this.#pauses.size === 0;
  }

  #dropExpired(): void {
    const now = this.#clock.monoMs();
    for (const [model, pause] of this.#pauses) if (pause.untilMonoMs <= now) this.#pauses.delete(model);
  }
}
