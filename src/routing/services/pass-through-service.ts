import type { Readable } from 'node:stream';
import { type ErrorKind, FerryError } from '../../lib/errors/ferry-error.ts';
import { cleanMessage } from '../../lib/text/sanitize.ts';
import { invalidBodyError } from '../../openai/errors/upstream-error.ts';
import type { VendorError } from '../../openai/errors/vendor-error.ts';
import type { MediaRequest } from '../../openai/media/media-request.ts';
import { type BodyFields, readJsonBody } from '../../openai/request/body-fields.ts';
import type { UpstreamCall } from '../../upstream/client.ts';
import { type UpstreamResponse, UpstreamStatusError } from '../../upstream/response.ts';
import type { Attempt } from '../attempt.ts';
import type { Service } from '../failover.ts';
import { type AttemptPolicy, errorObjectOf, fromUpstream, namesOf } from './attempt-policy.ts';
import { type GenerationRequest, generationRequestOf, readGenerated } from './generated-response.ts';
import { type MediaAnswer, readMedia } from './media-response.ts';
import { callAndRead } from './upstream-call.ts';

/** An upstream's reply that is handed on as it is; whoever takes it reads or destroys the body, then calls `finish`. */
export interface RawAnswer {
  readonly reply: UpstreamResponse;
  readonly attempt: Attempt;
  /** What the client gets in place of the reply's beginning, or of all of it; absent: the reply is untouched. */
  readonly media?: MediaAnswer;
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

interface PassThroughRequest {
  readonly method: string;
  readonly body: Buffer | StreamedBody | null;
  readonly isJson: boolean;
  /** What the body says of itself; absent: it is read when it is needed, of JSON only. */
  readonly fields?: BodyFields;
  /** True: a generation, which may be asked of another upstream after a failure; false: it may have side effects. */
  readonly isGeneration: boolean;
  /** Absent: no sound and no picture is asked for, and the reply is nobody's business. */
  readonly wish?: MediaRequest | null;
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

/** Serves any other `/v1/*` request: bodies and replies are streamed; only failures, generations and media are looked at. */
export class PassThroughService implements Service<RawAnswer> {
  readonly #request: PassThroughRequest;
  readonly #settings: AttemptPolicy;
  #isNothingDone = true;
  /** Undefined until the first attempt has to know. */
  #generation: GenerationRequest | null | undefined;

  constructor(request: PassThroughRequest, settings: AttemptPolicy) {
    this.#request = request;
    this.#settings = settings;
  }

  async serve(attempt: Attempt): Promise<RawAnswer> {
    try {
      const { wish } = this.#request;
      if (wish !== undefined && wish !== null) return await this.#serveMedia(attempt, wish);
      const generation = this.#generationOf(attempt);
      if (generation !== null) return await this.#serveGenerated(attempt, generation);
      const reply = await this.#send(attempt);
      attempt.status = reply.status;
      attempt.isTokenRenewed = reply.isReplayed;
      await refusePage(attempt, reply, this.#settings);
      attempt.limitIdleTime(reply.body);
      await reply.body.ready();
      attempt.commit();
      return { reply, attempt };
    } catch (error) {
      const failure = this.#failureOf(error, attempt);
      this.#isNothingDone = failure instanceof FerryError && NOTHING_DONE.has(failure.kind);
      throw failure;
    }
  }

  #failureOf(error: unknown, attempt: Attempt): unknown {
    const failure = fromUpstream(error, attempt, this.#settings);
    return ownMissing(failure, error, attempt.request.path, this.#settings.scrub);
  }

  isReplayable(): boolean {
    const { body, isGeneration } = this.#request;
    const isSpent = body !== null && !Buffer.isBuffer(body) && body.isSpent;
    return !isSpent && (isGeneration || this.#isNothingDone);
  }

  #generationOf({ request: { path } }: Attempt): GenerationRequest | null {
    const { method, body, fields } = this.#request;
    if (!Buffer.isBuffer(body)) return null;
    this.#generation ??= generationRequestOf(method, path, fields ?? readJsonBody(body));
    return this.#generation;
  }

  #serveGenerated(attempt: Attempt, wish: GenerationRequest): Promise<RawAnswer> {
    const isHurried = wish.isStream && !attempt.bounds.isLast;
    const { streamTimeoutMs, timeoutMs } = attempt.upstream.limits;
    const call = this.#call(attempt, isHurried ? streamTimeoutMs : timeoutMs);
    return callAndRead(attempt, call, async (reply) => {
      const media = await readGenerated(attempt, reply, wish, this.#settings);
      return { reply, attempt, media };
    });
  }

  #serveMedia(attempt: Attempt, wish: MediaRequest): Promise<RawAnswer> {
    return callAndRead(attempt, this.#call(attempt), async (reply) => {
      const media = await readMedia(attempt, reply, wish, this.#settings);
      return { reply, attempt, media };
    });
  }

  async #send(attempt: Attempt): Promise<UpstreamResponse> {
    const reply = await attempt.upstream.client.send(this.#call(attempt));
    if (reply.ok) return reply;
    throw new UpstreamStatusError(reply, await reply.text());
  }

  #call(attempt: Attempt, timeoutMs = attempt.upstream.limits.timeoutMs): UpstreamCall {
    const { request, bounds } = attempt;
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
      headersTimeoutMs: attempt.within(timeoutMs),
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

type Scrub = (text: string) => string;

/** What servers say of a path that they do not have; a bare "not found" only where the path names no thing. */
const SAYS_PATH =
  /invalid url|unknown (?:request )?url|no (?:such )?(?:path|route|url|endpoint|handler)|(?:path|route|url|endpoint)\b.{0,80}\b(?:not|n't) (?:found|exist|support)|cannot (?:get|post|put|patch|delete)\b/i;
const SAYS_NOTHING = /^(?:404:? ?)?(?:page )?not found\.?$/i;
const PATH_CODES: ReadonlySet<string> = new Set(['unknown_path', 'unknown_url', 'unsupported_endpoint']);
/** `/v1/moderations`, `/v1/audio/speech`: paths without the id of a thing. */
const WITHOUT_ID = /^\/v1\/(?:[a-z_]+|audio\/[a-z]+|images\/[a-z]+)$/;

/**
 * A 404 with an error object is about the thing that the client asked for (a file, a batch), unless it says that it is
 * about the path: then the API is there and does not have it (S127). One without, as web servers and routers
 * send it, says that the API itself is somewhere else.
 */
function ownMissing(failure: unknown, thrown: unknown, path: string, scrub: Scrub): unknown {
  const isMissing = failure instanceof FerryError && failure.kind === 'path_not_found';
  const found = isMissing && thrown instanceof UpstreamStatusError ? errorObjectOf(thrown.text) : null;
  if (found === null) return failure;
  const facts = {
    message: cleanMessage(found.message, scrub),
    status: 404,
    upstreamStatus: 404,
    type: found.type ?? 'not_found_error',
    cause: failure,
  };
  if (isAboutPath(found, path))
    return new FerryError('path_not_found', { ...facts, code: 'unsupported_endpoint' });
  return new FerryError('client_fault', { ...facts, code: found.code ?? null, param: found.param ?? null });
}

function isAboutPath({ message, code }: VendorError, path: string): boolean {
  if (SAYS_PATH.test(message) || (code !== null && PATH_CODES.has(code))) return true;
  return SAYS_NOTHING.test(message.trim()) && WITHOUT_ID.test(path);
}

/** Web servers answer paths that they do not know with their start page; only a file's content may be a page. */
async function refusePage(
  attempt: Attempt,
  reply: UpstreamResponse,
  { scrub }: AttemptPolicy,
): Promise<void> {
  const { path } = attempt.request;
  if (!/^\s*text\/html\b/i.test(reply.headers.get('content-type') ?? '') || path.endsWith('/content')) return;
  throw invalidBodyError(await reply.text(), { ...namesOf(attempt), scrub });
}
