import { endpointOf } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
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
  readBodyPieces,
  reportRepair,
} from '../../routing/attempt-call.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { AttemptTimer } from '../../upstream/attempt-timer.ts';
import { readModelRequest } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { droppedHeaders, sendJsonPieces } from '../response/json.ts';
import type { ModelRouteSettings } from './chat.ts';

/** Parts of one split request that are under way at once: enough to hide latency, few enough not to be a burst. */
const MAX_PARTS_AT_ONCE = 4;

/** An embeddings request: what all its attempts have in common. */
interface EmbeddingsExchange {
  readonly request: ParsedRequest;
  readonly wanted: EmbeddingsRequest;
  readonly policy: AttemptPolicy;
}

/** Serves `POST /v1/embeddings`. */
export async function serveEmbeddings(
  context: RequestContext,
  client: ClientIdentity,
  settings: ModelRouteSettings,
): Promise<void> {
  const { router, policy } = settings;
  const request = await readModelRequest(context, 'embeddings', settings);
  const exchange: EmbeddingsExchange = { request, wanted: readEmbeddingsRequest(request.json), policy };
  const routed = context.routed(request.model, client);
  const failover = router.begin(routed);
  for (;;) {
    const attempt = await failover.next();
    try {
      const tokenText = exchange.wanted.hasTokenIds ? await tokenTextFor(attempt) : null;
      const adapted = adaptTo(attempt, request, { tokenText });
      const embeddings = await embed(exchange, attempt, adapted);
      attempt.commit(attempt.response);
      attempt.finish(null);
      context.outcome.tokens = embeddings.usage;
      attempt.spent(embeddings.usage);
      if (attempt.trace !== null) attempt.trace.response = modelFacts(embeddings.upstreamModel);
      context.outcome.isUsageEstimated = embeddings.isUsageEstimated;
      context.outcome.firstTokenMs = context.elapsedMs;
      context.outcome.isKnownModel = router.served(routed);
      sendJsonPieces(context, 200, embeddings.body, droppedHeaders(adapted.dropped));
      return;
    } catch (error) {
      await failover.failed(attempt, error, request);
    }
  }
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
  const { inputs } = exchange.wanted;
  for (;;) {
    const limit = batchLimits.isEmpty ? batchLimits.unlearned : batchLimits.get(attempt.model);
    const sent = limit > 0 ? Math.min(limit, inputs) : inputs;
    try {
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
  const batches = batchesOf(count, limit);
  const responses: VectorResponse[] = [];
  const work = batches.entries();
  let isFailing = false;
  const worker = async (): Promise<void> => {
    for (const [index, positions] of work) {
      // What would be sent on would be sent again, in smaller parts or to another upstream.
      if (isFailing) return;
      try {
        responses[index] = await embedPart(
          exchange,
          attempt,
          inputs.bodyOf(positions),
          positions.length,
          index,
        );
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
  return joinVectorResponses(responses, responseOptions(exchange, attempt, count, body));
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
async function tokenTextFor({ upstream, model }: Attempt): Promise<TokenText | null> {
  const way = tokenIdsFor(upstream.profile.tokenIds, model);
  if (way === 'refuse') throw refusedTokenIds();
  return way === 'pass' ? null : loadTokenText(way);
}

function isFilled(adapted: AdaptedRequest): boolean {
  return adapted.dropped.includes(REWRITE.blankInputs);
}
