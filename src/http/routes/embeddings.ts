import type { EmbeddingsCache } from '../../embeddings-cache/embeddings-cache.ts';
import { endpointOf } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { counted } from '../../lib/text/format.ts';
import {
  blankPositions,
  namingBlanks,
  refusesBlank,
  saysBlank,
} from '../../openai/embeddings/blank-inputs.ts';
import {
  batchesOf,
  batchLimitFrom,
  EmbeddingInputs,
  type EmbeddingsRequest,
  readEmbeddingsRequest,
} from '../../openai/embeddings/embeddings-request.ts';
import {
  type EmbeddingsResponse,
  type EmbeddingsResponseOptions,
  joinVectorResponses,
  readEmbeddingsResponse,
  readVectors,
  type VectorResponse,
} from '../../openai/embeddings/embeddings-response.ts';
import {
  loadTokenText,
  refusedTokenIds,
  type TokenText,
  tokenIdsFor,
} from '../../openai/embeddings/token-ids.ts';
import { isBrokenVector } from '../../openai/embeddings/vectors.ts';
import type { ParsedRequest } from '../../openai/request/parsed-request.ts';
import type { AdaptedRequest } from '../../openai/request/request-adaptation.ts';
import { REWRITE } from '../../openai/request/request-rewrites.ts';
import { modelFacts } from '../../openai/response-facts.ts';
import type { Attempt } from '../../routing/attempt.ts';
import {
  type AttemptPolicy,
  adaptTo,
  callOf,
  callUpstream,
  previewFor,
  readBodyPieces,
  reportRepair,
} from '../../routing/attempt-call.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import type { AttemptTimer } from '../../upstream/attempt-timer.ts';
import { readModelRequest } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { droppedHeaders, sendJsonPieces } from '../response/json.ts';
import { CachedEmbeddings, type KnownInputs } from './cached-embeddings.ts';
import type { ModelRouteSettings } from './chat.ts';

/** Parts of one split request that are under way at once: enough to hide latency, few enough not to be a burst. */
const MAX_PARTS_AT_ONCE = 4;

export interface EmbeddingsRouteSettings extends ModelRouteSettings {
  /** Null: off. */
  readonly cache: EmbeddingsCache | null;
}

/** An embeddings request: what all its attempts have in common. */
interface EmbeddingsExchange {
  readonly request: ParsedRequest;
  readonly wanted: EmbeddingsRequest;
  readonly policy: AttemptPolicy;
  /** What the cache has of it at the upstream of the current attempt; null: it is not cached. */
  known: KnownInputs | null;
}

/** Serves `POST /v1/embeddings`. */
export async function serveEmbeddings(
  context: RequestContext,
  client: ClientIdentity,
  settings: EmbeddingsRouteSettings,
): Promise<void> {
  const { router, policy, cache } = settings;
  const request = await readModelRequest(context, 'embeddings', settings);
  const wanted = readEmbeddingsRequest(request.json);
  const routed = context.routed(request.model, client);
  const cached = cache === null ? null : new CachedEmbeddings(cache, routed);
  const exchange: EmbeddingsExchange = { request, wanted, policy, known: null };
  const candidates = router.candidates(routed);
  if (cached !== null && (await serveFromCache(context, exchange, cached, candidates))) {
    context.outcome.isKnownModel = router.served(routed);
    return;
  }
  const failover = router.begin(routed, candidates);
  for (;;) {
    const attempt = await failover.next();
    try {
      const tokenText = wanted.hasTokenIds ? await tokenTextFor(attempt.upstream, attempt.model) : null;
      const adapted = adaptTo(attempt, request, { tokenText });
      exchange.known = cached === null ? null : await cached.find(attempt.upstream, adapted.body);
      const embeddings = await embed(exchange, attempt, adapted);
      // Null: the cache had every input.
      if (attempt.response !== null) attempt.commit(attempt.response);
      attempt.finish(null);
      context.outcome.tokens = embeddings.usage;
      attempt.spent(embeddings.usage);
      if (attempt.trace !== null) attempt.trace.response = modelFacts(embeddings.upstreamModel);
      context.outcome.isUsageEstimated = embeddings.isUsageEstimated;
      context.outcome.firstTokenMs = context.elapsedMs;
      context.outcome.isKnownModel = router.served(routed);
      const headers = droppedHeaders(adapted.dropped);
      if (exchange.known !== null) noteHits(context, exchange.known, headers);
      sendJsonPieces(context, 200, embeddings.body, headers);
      return;
    } catch (error) {
      await failover.failed(attempt, error, request);
    }
  }
}

/**
 * Serves a request whose inputs the cache has all, from the first candidate or another one with the same model: no slot,
 * turn or token is needed for it. False: something is unknown.
 */
async function serveFromCache(
  context: RequestContext,
  { request, wanted, policy }: EmbeddingsExchange,
  cached: CachedEmbeddings,
  candidates: readonly RoutedUpstream[],
): Promise<boolean> {
  const model = candidates[0]?.upstreamModel(request.model);
  for (const upstream of candidates) {
    if (upstream.vectorSource === null || upstream.upstreamModel(request.model) !== model) continue;
    if (wanted.hasTokenIds && tokenIdsFor(upstream.profile.tokenIds, model) === 'refuse') continue;
    const tokenText = wanted.hasTokenIds ? await tokenTextFor(upstream, model) : null;
    const adapted = previewFor(upstream, request, tokenText);
    const known = await cached.find(upstream, adapted.body);
    if (known === null || known.missing.length > 0) continue;
    const form = { encoding: wanted.encoding, replyModel: policy.replyModel, requestedModel: request.model };
    const embeddings = known.complete([], form);
    if (embeddings === null) continue;
    const { outcome } = context;
    outcome.log.upstream = upstream.name;
    outcome.log.upstreamModel = model;
    outcome.tokens = embeddings.usage;
    outcome.firstTokenMs = context.elapsedMs;
    const headers = droppedHeaders(adapted.dropped);
    noteHits(context, known, headers);
    sendJsonPieces(context, 200, embeddings.body, headers);
    return true;
  }
  return false;
}

/** Notes for the record and the client how many inputs were not asked for. */
function noteHits(
  context: RequestContext,
  { upstream, hits, missing }: KnownInputs,
  headers: string[],
): void {
  if (hits === 0) return;
  headers.push('x-tokenferry-cached', `${hits}`);
  context.outcome.log.noteAdaptation({
    upstream: upstream.name,
    change: 'input:cached',
    reason: `${hits} of ${counted(hits + missing.length, 'input')} were in the embeddings cache`,
  });
}

/** Throws the failure of the attempt; one that comes from blank inputs or from base64 is an error that can be learned from. */
async function embed(
  exchange: EmbeddingsExchange,
  attempt: Attempt,
  adapted: AdaptedRequest,
): Promise<EmbeddingsResponse> {
  try {
    return await embedWithinLimit(exchange, attempt, adapted);
  } catch (error) {
    throw (
      blanksError(error, exchange, attempt, adapted) ??
      base64Error(error, exchange, attempt, adapted) ??
      error
    );
  }
}

/** Sends as many inputs as the upstream accepts; when it refuses them as too many, learns the limit and sends fewer. */
async function embedWithinLimit(
  exchange: EmbeddingsExchange,
  attempt: Attempt,
  adapted: AdaptedRequest,
): Promise<EmbeddingsResponse> {
  const { batchLimits } = attempt.upstream;
  const { known } = exchange;
  for (;;) {
    const inputs = known === null ? exchange.wanted.inputs : known.missing.length;
    const limit = batchLimits.isEmpty ? batchLimits.unlearned : batchLimits.get(attempt.model);
    const sent = limit > 0 ? Math.min(limit, inputs) : inputs;
    try {
      if (known !== null) {
        const embeddings = await embedUnknown(exchange, attempt, known, limit);
        if (embeddings !== null) return embeddings;
        continue;
      }
      if (sent < inputs) return await embedInParts(exchange, attempt, adapted.body, limit);
      const body = await sendInputs(exchange, attempt, adapted.body, attempt.timer);
      return readEmbeddingsResponse(body, responseOptions(exchange, attempt, inputs, adapted.body));
    } catch (error) {
      if (!(error instanceof FerryError)) throw error;
      // TEI refuses one blank input with the 413 that elsewhere means too many inputs.
      const isBlank = saysBlank(error) && refusesBlank(error, exchange.request.json) && !isFilled(adapted);
      const learned = isBlank ? null : batchLimitFrom(error, sent);
      if (learned === null || learned >= sent) throw error;
      batchLimits.learn(attempt.model, learned);
    }
  }
}

async function embedInParts(
  exchange: EmbeddingsExchange,
  attempt: Attempt,
  body: Buffer,
  limit: number,
): Promise<EmbeddingsResponse> {
  const count = exchange.wanted.inputs;
  const inputs = new EmbeddingInputs(body.toString('utf8'));
  const responses = await embedBatches(exchange, attempt, inputs, batchesOf(count, limit));
  return joinVectorResponses(responses, responseOptions(exchange, attempt, count, body));
}

/** Asks for what the cache does not have; null: the upstream has another model now, and all must be asked for. */
async function embedUnknown(
  exchange: EmbeddingsExchange,
  attempt: Attempt,
  known: KnownInputs,
  limit: number,
): Promise<EmbeddingsResponse | null> {
  const { missing } = known;
  const batches = batchesOf(missing.length, limit).map((batch) =>
    batch.map((index) => missing[index] as number),
  );
  const responses = await embedBatches(exchange, attempt, known.inputs, batches);
  const parts = responses.map((response, index) => ({ positions: batches[index] as number[], response }));
  const options = responseOptions(exchange, attempt, missing.length, known.body);
  return known.complete(parts, options);
}

/** Sends each batch of positions as one call, some at once. */
async function embedBatches(
  exchange: EmbeddingsExchange,
  attempt: Attempt,
  inputs: EmbeddingInputs,
  batches: readonly (readonly number[])[],
): Promise<readonly VectorResponse[]> {
  const responses: VectorResponse[] = [];
  const work = batches.entries();
  let isFailing = false;
  const worker = async (): Promise<void> => {
    for (const [index, positions] of work) {
      // What would be sent on would be sent again, in smaller parts or to another upstream.
      if (isFailing) return;
      try {
        const body = inputs.bodyOf(positions);
        const response = await embedPart(exchange, attempt, body, positions.length, index);
        exchange.known?.keep({ positions, response });
        responses[index] = response;
      } catch (error) {
        isFailing = true;
        throw error;
      }
    }
  };
  // Parts beside the first need slots of their own; when none is free, fewer run at once.
  const { limiter } = attempt.upstream;
  const workers = [worker()];
  while (workers.length < Math.min(MAX_PARTS_AT_ONCE, batches.length) && limiter.tryAcquire())
    workers.push(worker().finally(() => limiter.release()));
  await Promise.all(workers);
  return responses;
}

async function embedPart(
  exchange: EmbeddingsExchange,
  attempt: Attempt,
  body: Buffer,
  inputs: number,
  index: number,
): Promise<VectorResponse> {
  const { request, signal } = attempt;
  const paced = { client: request.client.name ?? '', signal, place: null };
  let refusal: unknown = null;
  for (let tries = 0; ; tries++) {
    const hasTurn = (index === 0 && tries === 0) || (await attempt.takeTurn(paced));
    if (!hasTurn) throw refusal ?? partRefusal(attempt);
    const timer = attempt.newTimer();
    const sentMonoMs = attempt.nowMonoMs();
    try {
      const received = await sendInputs(exchange, attempt, body, timer);
      return readVectors(received, responseOptions(exchange, attempt, inputs, body));
    } catch (error) {
      // The other parts are kept: only this one waits for another turn.
      if (!attempt.isTurnRefused(error, sentMonoMs)) throw error;
      refusal = error;
    } finally {
      timer.clear();
      attempt.callEnded();
    }
  }
}

function partRefusal({ upstream }: Attempt): FerryError {
  return new FerryError('rate_limited', {
    message: `The request rate of upstream "${upstream.name}" is reached (pace), and not all parts of the request can be sent in time.`,
  });
}

/** The body of the response to one call, in the pieces in which it came. */
async function sendInputs(
  { policy }: EmbeddingsExchange,
  attempt: Attempt,
  body: Buffer,
  timer: AttemptTimer,
): Promise<readonly Buffer[]> {
  const { timeLimit } = endpointOf(attempt.path);
  const response = await callUpstream(attempt, callOf(attempt, { body, timeLimit, timer }), policy);
  return readBodyPieces(attempt, response, policy.maxResponseBytes);
}

/**
 * The error of a failure that comes from blank inputs: it names them, and can be learned from. Ollama and others refuse
 * no blank but leave its vector out, or empty. Null: something else is wrong.
 */
function blanksError(
  error: unknown,
  { request: { json } }: EmbeddingsExchange,
  { upstream }: Attempt,
  adapted: AdaptedRequest,
): FerryError | null {
  if (!(error instanceof FerryError)) return null;
  const isLeftOut =
    (error.kind === 'mismatch' || isBrokenVector(error)) &&
    upstream.profile.learn &&
    !isFilled(adapted) &&
    blankPositions(json.input).length > 0;
  return isLeftOut || refusesBlank(error, json) ? namingBlanks(error, json) : null;
}

/**
 * The error of a response without usable base64, which teaches to request floats: OpenRouter and others return no vector
 * for it (mem0#4151), vLLM 0.5.3 float64. Null: something else is wrong.
 */
function base64Error(
  error: unknown,
  { wanted }: EmbeddingsExchange,
  { upstream }: Attempt,
  { dropped }: AdaptedRequest,
): FerryError | null {
  if (!(error instanceof FerryError) || wanted.encoding !== 'base64' || !upstream.profile.learn) return null;
  // Something else was requested than base64.
  if (dropped.some((change) => change.startsWith('encoding_format'))) return null;
  if (error.kind !== 'mismatch' && !isBrokenVector(error)) return null;
  return new FerryError('client_fault', {
    message: `${error.message} It was asked for base64.`,
    status: 400,
    upstreamStatus: error.upstreamStatus,
    type: 'invalid_request_error',
    param: 'encoding_format',
    cause: error,
  });
}

/** `body` is what the upstream was sent for so many of the inputs. */
function responseOptions(
  { request, wanted, policy }: EmbeddingsExchange,
  attempt: Attempt,
  inputs: number,
  body: Buffer,
): EmbeddingsResponseOptions {
  const { encoding, dimensions, hasTokenIds } = wanted;
  const { upstream, model } = attempt;
  return {
    inputs,
    encoding,
    dimensions,
    upstream: upstream.name,
    hasTokenIds: hasTokenIds && tokenIdsFor(upstream.profile.tokenIds, model) === 'pass',
    requestedModel: request.model,
    replyModel: policy.replyModel,
    promptForEstimate: () => JSON.stringify((JSON.parse(body.toString()) as { input?: unknown }).input ?? ''),
    scrub: policy.scrub,
    onRepair: (repair) => reportRepair(attempt, repair, policy),
    isRetryable: policy.isRetryable,
  };
}

/** Null: the upstream gets the token ids as they are. Throws FerryError `invalid_request` where it takes none. */
async function tokenTextFor(upstream: RoutedUpstream, model: string): Promise<TokenText | null> {
  const way = tokenIdsFor(upstream.profile.tokenIds, model);
  if (way === 'refuse') throw refusedTokenIds();
  return way === 'pass' ? null : loadTokenText(way);
}

function isFilled(adapted: AdaptedRequest): boolean {
  return adapted.dropped.includes(REWRITE.blankInputs);
}
