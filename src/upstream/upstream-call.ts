import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { AttemptTimer } from './attempt-timer.ts';

/** One attempt, as routing asks for it. */
export interface UpstreamCall {
  readonly method: string;
  /** What follows our `/v1`, with a leading slash, and the client's query without `?`. */
  readonly path: string;
  readonly query: string;
  /** The upstream's own name of the model, for path templates. */
  readonly model: string;
  readonly clientHeaders: IncomingHttpHeaders;
  /** A stream can be sent once only: no replay, no second try on a stale socket. */
  readonly body: Buffer | Readable | null;
  /** The length of a stream; null and absent: unknown, so it goes out in chunks. */
  readonly streamBytes?: number | null;
  readonly isJson: boolean;
  readonly signal: AbortSignal;
  readonly timer: AttemptTimer;
  /** From sending to the response's headers; 0 = no limit. Does not include the wait for a token. */
  readonly headersTimeoutMs: number;
  /** How long a token may be waited for. */
  readonly tokenWaitMs: number;
  /** What of the upstream's own longest wait the request has used up elsewhere. */
  readonly tokenWaitedMs: number;
}
