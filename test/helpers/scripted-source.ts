import type { Clock } from '../../src/lib/clock.ts';
import type { AcquireContext, RawToken, TokenSource } from '../../src/tokens/sources/token-source.ts';

/** What the scripted issuer does with one call. */
export interface Step {
  /** Until it answers, in milliseconds; default 200. */
  readonly delayMs?: number;
  /** Rejects with this. */
  readonly error?: unknown;
  /** Never answers. `deaf`: nor does it obey the abort signal. */
  readonly hang?: boolean;
  readonly deaf?: boolean;
  /** Answers with this instead of a new token of 300 s. */
  readonly raw?: Partial<RawToken> | undefined;
}

/** One call of the source, as it was made and as it ended. */
export interface Call {
  readonly atMonoMs: number;
  readonly context: AcquireContext;
  isAborted: boolean;
}

/**
 * A token source on a given clock that does what it is told, call by call; after the script it goes on with `usual`.
 * It counts its calls and how many ran at the same time.
 */
export class ScriptedSource implements TokenSource {
  readonly kind = 'scripted';
  key = 'recipe-1';
  readonly calls: Call[] = [];
  /** The most calls that were ever unanswered at one time. */
  maxConcurrent = 0;
  isClosed = false;
  onChange: (() => void) | null = null;
  usual: Step;
  readonly #clock: Clock;
  readonly #script: Step[];
  #running = 0;
  #issued = 0;

  constructor(clock: Clock, script: readonly Step[] = [], usual: Step = {}) {
    this.#clock = clock;
    this.#script = [...script];
    this.usual = usual;
  }

  acquire(context: AcquireContext): Promise<RawToken> {
    const step = this.#script.shift() ?? this.usual;
    const call: Call = { atMonoMs: this.#clock.monoMs(), context, isAborted: false };
    this.calls.push(call);
    this.#running += 1;
    this.maxConcurrent = Math.max(this.maxConcurrent, this.#running);
    return new Promise<RawToken>((resolve, reject) => {
      const end = (): void => {
        this.#running -= 1;
      };
      const timer =
        step.hang === true
          ? null
          : this.#clock.schedule(() => {
              end();
              if (step.error !== undefined) reject(step.error);
              else
                resolve({
                  value: `token-${++this.#issued}-secret`,
                  ...(step.raw ?? { lifetimeMs: 300_000 }),
                });
            }, step.delayMs ?? 200);
      context.signal.addEventListener('abort', () => {
        call.isAborted = true;
        if (step.deaf === true) return;
        timer?.cancel();
        end();
        reject(context.signal.reason);
      });
    });
  }

  watch(onChange: () => void): { close(): void } {
    this.onChange = onChange;
    return {
      close: () => {
        this.onChange = null;
      },
    };
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
