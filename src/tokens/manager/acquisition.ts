import type { Clock } from '../../lib/clock.ts';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { inSeconds } from '../../lib/text/format.ts';
import { type Moment, momentOf } from '../expiry/lifetime.ts';
import {
  type AcquireReason,
  type RawToken,
  type TokenSource,
  TokenSourceError,
} from '../sources/token-source.ts';
import type { AcquisitionFailure } from './renewal-timing.ts';

/** One call of the source: what the token manager asks for. */
export interface Acquisition {
  readonly reason: AcquireReason;
  /** True: the token in use was rejected, or an operator asks; a cached one is of no use. */
  readonly isForced: boolean;
  readonly previousFingerprint: string | null;
  readonly timeoutMs: number;
  readonly sent: Moment;
}

/** The source's response, and the time of the request. */
export interface SourceResponse {
  readonly raw: RawToken;
  readonly sent: Moment;
  readonly received: Moment;
}

/** How an acquisition ended. */
type AcquisitionResult = { readonly response: SourceResponse } | { readonly failure: AcquisitionFailure };

/** An acquisition that runs. */
export interface RunningAcquisition {
  /** The source's recipe at the time of the request; a response to an older recipe is not used. */
  readonly recipe: string;
  /** Never rejects. */
  readonly result: Promise<AcquisitionResult>;
  /** Aborts the call; its result is not needed any more. */
  abandon(): void;
}

/** Calls a source once, with a time limit that does not depend on the source obeying its signal. */
export function runAcquisition(
  source: TokenSource,
  acquisition: Acquisition,
  clock: Clock,
): RunningAcquisition {
  const { timeoutMs, sent } = acquisition;
  const abort = new AbortController();
  const { promise, resolve } = Promise.withResolvers<AcquisitionResult>();
  const timer = clock.schedule(() => {
    resolve({ failure: noResponse(source.kind, timeoutMs) });
    abort.abort(new Error('the acquisition took too long'));
  }, timeoutMs);
  const recipe = source.key;
  // Both outcomes are handled here, so a source that settles late can never cause an unhandled rejection.
  callSource(source, acquisition, clock, abort.signal).then(
    (raw) => {
      timer.cancel();
      resolve({ response: { raw, sent, received: momentOf(clock) } });
    },
    (error: unknown) => {
      timer.cancel();
      resolve({ failure: failureOf(error) });
    },
  );
  return {
    recipe,
    result: promise,
    abandon() {
      timer.cancel();
      abort.abort(new Error('the token is not needed any more'));
    },
  };
}

/** Async, so that a source that throws synchronously is a source that rejects. */
async function callSource(
  source: TokenSource,
  { reason, isForced, previousFingerprint }: Acquisition,
  clock: Clock,
  signal: AbortSignal,
): Promise<RawToken> {
  return source.acquire({
    signal,
    reason,
    force: isForced,
    clock,
    ...(previousFingerprint === null ? {} : { previousFingerprint }),
  });
}

/** The text of a timeout by the kind of the source; all others have an issuer. */
const NO_RESPONSE: Readonly<Record<string, string>> = {
  exec: 'the command did not exit',
  function: 'the module returned nothing',
};

function noResponse(kind: string, timeoutMs: number): AcquisitionFailure {
  return {
    severity: 'transient',
    message: `${NO_RESPONSE[kind] ?? 'the issuer did not respond'} within ${inSeconds(timeoutMs)}`,
    retryAfterMs: null,
  };
}

/** An error as a failure. Of foreign errors only the code is kept: their text may quote the token or the request. */
export function failureOf(error: unknown): AcquisitionFailure {
  if (error instanceof TokenSourceError) {
    const { severity, message, retryAfterMs = null, target } = error;
    return { severity, message, retryAfterMs, ...(target === undefined ? {} : { target }) };
  }
  const code = errorCodeOf(error) ?? '';
  const name = error instanceof Error ? error.name : 'an unknown error';
  const what = /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? code : name;
  return { severity: 'transient', message: `the source failed: ${what}`, retryAfterMs: null };
}
