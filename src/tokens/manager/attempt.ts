import type { Clock } from '../../lib/clock.ts';
import { inSeconds } from '../../lib/text/format.ts';
import { type Moment, momentOf } from '../expiry/lifetime.ts';
import {
  type AcquireReason,
  type RawToken,
  type TokenSource,
  TokenSourceError,
} from '../sources/token-source.ts';
import type { Failure } from './failure-streak.ts';

interface AttemptOptions {
  readonly source: TokenSource;
  readonly clock: Clock;
  readonly reason: AcquireReason;
  readonly force: boolean;
  readonly previousFingerprint: string | null;
  readonly timeoutMs: number;
}

/** A source's answer, and when it was asked for. */
export interface Answer {
  readonly raw: RawToken;
  readonly sent: Moment;
  readonly received: Moment;
}

type AttemptResult = { readonly answer: Answer } | { readonly failure: Failure };

/** One call of a source, with a deadline that does not depend on the source obeying its signal. */
export class Attempt {
  readonly reason: AcquireReason;
  readonly isForced: boolean;
  readonly sent: Moment;
  /** The source's recipe when it was asked; an answer to an older recipe is worth nothing. */
  readonly recipe: string;
  /** Never rejects. Stays open for ever after `abandon()`. */
  readonly result: Promise<AttemptResult>;
  readonly #abort = new AbortController();
  #cancelTimer: () => void = () => {};

  constructor(options: AttemptOptions) {
    this.reason = options.reason;
    this.isForced = options.force;
    this.recipe = options.source.key;
    this.sent = momentOf(options.clock);
    this.result = new Promise((resolve) => {
      const timer = options.clock.schedule(() => {
        resolve({ failure: silence(options.source.kind, options.timeoutMs) });
        this.#abort.abort(new Error('the attempt took too long'));
      }, options.timeoutMs);
      this.#cancelTimer = () => timer.cancel();
      // Both outcomes are handled here, so a source that settles late can never cause an unhandled rejection.
      askSource(options, this.#abort.signal).then(
        (raw) => {
          timer.cancel();
          resolve({ answer: { raw, sent: this.sent, received: momentOf(options.clock) } });
        },
        (error: unknown) => {
          timer.cancel();
          resolve({ failure: failureOf(error) });
        },
      );
    });
  }

  /** Nobody wants the result any more. */
  abandon(): void {
    this.#cancelTimer();
    this.#abort.abort(new Error('nobody waits for this token any more'));
  }
}

/** Async, so that a source that throws at once is a source that rejects. */
async function askSource(options: AttemptOptions, signal: AbortSignal): Promise<RawToken> {
  const { source, reason, force, clock, previousFingerprint } = options;
  return source.acquire({
    signal,
    reason,
    force,
    clock,
    ...(previousFingerprint === null ? {} : { previousFingerprint }),
  });
}

/** Sources that are no issuer are not blamed as one. */
const SILENCE: Readonly<Record<string, string>> = {
  exec: 'the command did not end',
  function: 'the module returned nothing',
};

function silence(kind: string, timeoutMs: number): Failure {
  return {
    severity: 'transient',
    message: `${SILENCE[kind] ?? 'the issuer did not answer'} within ${inSeconds(timeoutMs)}`,
    retryAfterMs: null,
  };
}

/** What an error says as a failure. Foreign errors are known by their code only: their text may quote the token or the request. */
export function failureOf(error: unknown): Failure {
  if (error instanceof TokenSourceError) {
    return { severity: error.severity, message: error.message, retryAfterMs: error.retryAfterMs ?? null };
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const name = error instanceof Error ? error.name : 'an unknown error';
  const what = /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? code : name;
  return { severity: 'transient', message: `the source failed: ${what}`, retryAfterMs: null };
}

/** A hung issuer may not cost a short token its whole life, nor may a slow one be cut off before it answers. */
const SHORTEST_TIMEOUT_MS = 1_000;
const SLOWNESS_ALLOWED = 4;

/**
 * How long an attempt may take while a token is in use: half of what that has left, so that there is time for
 * another one, but four times what the issuer needed last. Without a usable token: the whole `attemptTimeoutMs`.
 */
export function attemptTimeoutMs(
  attemptTimeoutMs: number,
  usableForMs: number | null,
  lastDurationMs: number,
): number {
  if (usableForMs === null) return attemptTimeoutMs;
  const patienceMs = Math.max(usableForMs / 2, SLOWNESS_ALLOWED * lastDurationMs, SHORTEST_TIMEOUT_MS);
  return Math.min(attemptTimeoutMs, patienceMs);
}
