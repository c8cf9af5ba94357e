import type { Readable } from 'node:stream';
import { cleanMessage } from '../canonical/outside-text.ts';
import { type ErrorKind, FerryError } from '../errors.ts';
import { UpstreamStatusError } from '../upstream/sdk-client.ts';
import type { UpstreamReply } from '../upstream/upstream-reply.ts';
import type { Attempt } from './attempt.ts';
import type { Service } from './fail-over.ts';
import { errorObjectOf, fromUpstream, type ServingSettings } from './serving.ts';

/** An upstream's reply that is handed on as it is; whoever takes it reads or destroys the body, then calls `finish`. */
export interface RawAnswer {
  readonly reply: UpstreamReply;
  readonly attempt: Attempt;
}

export interface PassThroughRequest {
  readonly method: string;
  /** A buffer can be sent again; a stream cannot. */
  readonly body: Buffer | Readable | null;
  readonly isJson: boolean;
  /** True: a generation, which may be asked of another upstream after a failure; false: it may have side effects. */
  readonly isGeneration: boolean;
}

/** Failures that happened before the upstream can have done anything. */
const NOTHING_DONE: ReadonlySet<ErrorKind> = new Set([
  'token_unavailable',
  'unreachable',
  'auth_rejected',
  'rate_limited',
  'model_not_found',
  'path_not_found',
]);

/** Serves any other `/v1/*` request: bodies and replies are streamed, only failures are looked at. */
export class PassThroughService implements Service<RawAnswer> {
  readonly #request: PassThroughRequest;
  readonly #settings: ServingSettings;
  #isNothingDone = true;

  constructor(request: PassThroughRequest, settings: ServingSettings) {
    this.#request = request;
    this.#settings = settings;
  }

  async serve(attempt: Attempt): Promise<RawAnswer> {
    try {
      const reply = await this.#send(attempt);
      attempt.status = reply.status;
      attempt.isTokenRenewed = reply.isReplayed;
      attempt.limitIdleTime(reply.body);
      attempt.commit();
      return { reply, attempt };
    } catch (error) {
      const failure = ownMissing(fromUpstream(error, attempt, this.#settings), error, this.#settings.scrub);
      this.#isNothingDone = failure instanceof FerryError && NOTHING_DONE.has(failure.kind);
      throw failure;
    }
  }

  isReplayable(): boolean {
    const isStream = this.#request.body !== null && !Buffer.isBuffer(this.#request.body);
    return !isStream && (this.#request.isGeneration || this.#isNothingDone);
  }

  async #send(attempt: Attempt): Promise<UpstreamReply> {
    const { request, upstream, bounds } = attempt;
    const reply = await upstream.client.send({
      method: this.#request.method,
      path: request.path.slice('/v1'.length),
      query: request.query,
      model: attempt.model,
      clientHeaders: request.headers,
      body: this.#request.body,
      isJson: this.#request.isJson,
      signal: attempt.signal,
      timer: attempt.timer,
      headersTimeoutMs: attempt.within(upstream.limits.timeoutMs),
      tokenWaitMs: bounds.tokenWaitMs,
      tokenWaitedMs: bounds.tokenWaitedMs,
    });
    if (reply.ok) return reply;
    throw new UpstreamStatusError(reply, await reply.text());
  }
}

/**
 * A 404 with an error object is about the thing that the client asked for (a file, a batch); only one without, as web
 * servers and routers send it, is about the path.
 */
function ownMissing(failure: unknown, thrown: unknown, scrub: (text: string) => string): unknown {
  const isMissing = failure instanceof FerryError && failure.kind === 'path_not_found';
  const found = isMissing && thrown instanceof UpstreamStatusError ? errorObjectOf(thrown.text) : null;
  if (found === null) return failure;
  return new FerryError('client_fault', {
    message: cleanMessage(found.message, scrub),
    status: 404,
    upstreamStatus: 404,
    type: found.type ?? 'not_found_error',
    code: found.code ?? null,
    param: found.param ?? null,
    cause: failure,
  });
}
