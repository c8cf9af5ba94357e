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
import type { Attempt } from '../attempt.ts';
import type { Service } from '../failover.ts';
import { type AttemptPolicy, fromUpstream } from './attempt-policy.ts';
import { adaptTo, callAndRead, callOf, learnableRefusal, readWhole } from './upstream-call.ts';

interface EmbeddingsAnswer extends EmbeddingsResponse {
  readonly dropped: readonly string[];
}

/** Parts of one split request that are under way at once: enough to hide latency, few enough not to be a burst. */
const PARTS_AT_ONCE = 4;

/** Serves `embeddings` from one attempt: one call, or several when the upstream takes only so many inputs. */
export class EmbeddingsService implements Service<EmbeddingsAnswer> {
  readonly #request: ParsedRequest;
  readonly #wanted: EmbeddingsRequest;
  readonly #settings: AttemptPolicy;

  /** Throws `invalid_request` when there is nothing to embed. */
  constructor(request: ParsedRequest, settings: AttemptPolicy) {
    this.#request = request;
    this.#wanted = readEmbeddingsRequest(request.json);
    this.#settings = settings;
  }

  async serve(attempt: Attempt): Promise<EmbeddingsAnswer> {
    const tokenText = this.#wanted.hasTokenIds ? await tokenTextFor(attempt) : null;
    const adapted = adaptTo(attempt, this.#request, { tokenText });
    try {
      const answer = await this.#withinBatchLimit(attempt, adapted);
      attempt.commit();
      attempt.finish(null);
      return { ...answer, dropped: adapted.dropped };
    } catch (error) {
      throw this.#aboutBlanks(error, attempt, adapted) ?? error;
    }
  }

  refusedParameter(error: FerryError, attempt: Attempt): string | null {
    return learnableRefusal(error, attempt, this.#request);
  }

  /** Sends what the upstream takes at once; when it says that this was too much, learns from it and sends less. */
  async #withinBatchLimit(attempt: Attempt, adapted: AdaptedRequest): Promise<EmbeddingsResponse> {
    const { upstream, model } = attempt;
    const { body } = adapted;
    for (;;) {
      const limit = upstream.batchLimits.get(model);
      const sent = limit > 0 ? Math.min(limit, this.#wanted.inputs) : this.#wanted.inputs;
      try {
        return sent < this.#wanted.inputs
          ? await this.#inParts(attempt, body, limit)
          : await this.#atOnce(attempt, body);
      } catch (thrown) {
        const error = fromUpstream(thrown, attempt, this.#settings);
        if (!(error instanceof FerryError)) throw error;
        // TEI refuses one blank input with the 413 that elsewhere means too many inputs.
        const isBlank = saysBlank(error) && refusesBlank(error, this.#request.json) && !isFilled(adapted);
        const learned = isBlank ? null : batchLimitFrom(error, sent);
        if (learned === null || learned >= sent) throw error;
        upstream.batchLimits.learn(model, learned);
      }
    }
  }

  /**
   * What a failure is when it comes from blank inputs: it names them, and is one that can be learned from. Ollama and
   * others refuse no blank but leave its vector out, or empty.
   */
  #aboutBlanks(error: unknown, attempt: Attempt, adapted: AdaptedRequest): FerryError | null {
    if (!(error instanceof FerryError)) return null;
    const { json } = this.#request;
    const isLeftOut =
      (error.kind === 'mismatch' || isBrokenVector(error)) &&
      attempt.upstream.profile.learn &&
      !isFilled(adapted) &&
      blankPositions(json.input).length > 0;
    return isLeftOut || refusesBlank(error, json) ? namingBlanks(error, json) : null;
  }

  #atOnce(attempt: Attempt, body: Buffer): Promise<EmbeddingsResponse> {
    const call = callOf(attempt, { body, timeoutMs: attempt.upstream.limits.embeddingsTimeoutMs });
    return callAndRead(attempt, call, async (reply) =>
      readEmbeddingsResponse(
        await readWhole(attempt, reply, this.#settings.maxResponseBytes),
        this.#options(attempt, this.#wanted.inputs, body),
      ),
    );
  }

  async #inParts(attempt: Attempt, body: Buffer, limit: number): Promise<EmbeddingsResponse> {
    const inputs = new EmbeddingInputs(body.toString('utf8'));
    const batches = batchesOf(this.#wanted.inputs, limit);
    const replies: VectorResponse[] = [];
    const work = batches.entries();
    let isFailing = false;
    const worker = async (): Promise<void> => {
      for (const [index, positions] of work) {
        // What would be sent on would be sent again, in smaller parts or to another upstream.
        if (isFailing) return;
        try {
          replies[index] = await this.#part(attempt, inputs.bodyOf(positions), positions.length);
        } catch (error) {
          isFailing = true;
          throw error;
        }
      }
    };
    // Parts beside the first need places of their own; when none is free, fewer run at once.
    const { limiter } = attempt.upstream;
    const workers = [worker()];
    while (workers.length < Math.min(PARTS_AT_ONCE, batches.length) && limiter.tryAcquire())
      workers.push(worker().finally(() => limiter.release()));
    await Promise.all(workers);
    return joinVectorResponses(replies, this.#options(attempt, this.#wanted.inputs, body));
  }

  async #part(attempt: Attempt, body: Buffer, inputs: number): Promise<VectorResponse> {
    const timer = attempt.newTimer();
    try {
      const call = callOf(attempt, { body, timeoutMs: attempt.upstream.limits.embeddingsTimeoutMs, timer });
      return await callAndRead(attempt, call, async (reply) =>
        readVectors(
          await readWhole(attempt, reply, this.#settings.maxResponseBytes),
          this.#options(attempt, inputs, body),
        ),
      );
    } finally {
      timer.clear();
    }
  }

  /** `body` is what the upstream was sent for so many of the inputs. */
  #options({ upstream, model }: Attempt, inputs: number, body: Buffer): EmbeddingsResponseOptions {
    const { encoding, dimensions, hasTokenIds } = this.#wanted;
    return {
      inputs,
      encoding,
      dimensions,
      upstream: upstream.name,
      hasTokenIds: hasTokenIds && tokenIdsFor(upstream.profile.tokenIds, model) === 'pass',
      requestedModel: this.#request.model,
      replyModel: this.#settings.replyModel,
      promptForEstimate: () =>
        JSON.stringify((JSON.parse(body.toString()) as { input?: unknown }).input ?? ''),
      scrub: this.#settings.scrub,
      isRetryable: this.#settings.isRetryable,
    };
  }
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
