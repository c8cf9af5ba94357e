import type { Readable } from 'node:stream';
import { type BodyFields, readJsonBody } from '../canonical/body-fields.ts';
import { cleanMessage } from '../canonical/outside-text.ts';
import { type ErrorKind, FerryError } from '../errors.ts';
import { UpstreamStatusError } from '../upstream/sdk-client.ts';
import type { UpstreamCall } from '../upstream/upstream-client.ts';
import type { UpstreamReply } from '../upstream/upstream-reply.ts';
import type { Attempt } from './attempt.ts';
import type { Service } from './fail-over.ts';
import { errorObjectOf, fromUpstream, type ServingSettings } from './serving.ts';

/** An upstream's reply that is handed on as it is; whoever takes it reads or destroys the body, then calls `finish`. */
export interface RawAnswer {
  readonly reply: UpstreamReply;
  readonly attempt: Attempt;
}

/** A request body that is handed on as it comes from the client. */
export interface StreamedBody {
  /** True: an attempt took more of it than is kept, so no other can send it. */
  readonly isSpent: boolean;
  /** For one attempt; `model` is put in place of the one that it names, null: it stays as it is. */
  open(model: string | null): OpenedBody;
}

export interface OpenedBody {
  readonly stream: Readable;
  /** Null: the client did not say. */
  readonly lengthBytes: number | null;
}

export interface PassThroughRequest {
  readonly method: string;
  readonly body: Buffer | StreamedBody | null;
  readonly isJson: boolean;
  /** What the body says of itself; absent: it is read when it is needed, of JSON only. */
  readonly fields?: BodyFields;
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
    const { body, isGeneration } = this.#request;
    const isSpent = body !== null && !Buffer.isBuffer(body) && body.isSpent;
    return !isSpent && (isGeneration || this.#isNothingDone);
  }

  async #send(attempt: Attempt): Promise<UpstreamReply> {
    const reply = await attempt.upstream.client.send(this.#call(attempt));
    if (reply.ok) return reply;
    throw new UpstreamStatusError(reply, await reply.text());
  }

  #call(attempt: Attempt): UpstreamCall {
    const { request, upstream, bounds } = attempt;
    return {
      method: this.#request.method,
      path: request.path.slice('/v1'.length),
      query: request.query,
      model: attempt.model,
      clientHeaders: request.headers,
      ...this.#bodyFor(attempt),
      isJson: this.#request.isJson,
      signal: attempt.signal,
      timer: attempt.timer,
      headersTimeoutMs: attempt.within(upstream.limits.timeoutMs),
      tokenWaitMs: bounds.tokenWaitMs,
      tokenWaitedMs: bounds.tokenWaitedMs,
    };
  }

  /** The client's bytes, with the upstream's own name of the model in them where an alias gives it another one. */
  #bodyFor(attempt: Attempt): Pick<UpstreamCall, 'body' | 'streamBytes'> {
    const { body, isJson, fields } = this.#request;
    const alias = attempt.model === attempt.request.model ? null : attempt.model;
    if (body === null) return { body };
    if (!Buffer.isBuffer(body)) {
      const { stream, lengthBytes } = body.open(alias);
      return { body: stream, streamBytes: lengthBytes };
    }
    if (alias === null || (fields === undefined && !isJson)) return { body };
    return { body: (fields ?? readJsonBody(body)).withModel(alias) };
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
