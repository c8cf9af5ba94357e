import type { ReadRequest } from '../canonical/chat-request.ts';
import {
  type EmbeddingsReply,
  type EmbeddingsReplyOptions,
  joinVectorReplies,
  readEmbeddingsReply,
  readVectors,
  type VectorReply,
} from '../canonical/embeddings-reply.ts';
import {
  batchesOf,
  batchLimitFrom,
  EmbeddingInputs,
  type EmbeddingsRequest,
  readEmbeddingsRequest,
} from '../canonical/embeddings-request.ts';
import { FerryError } from '../errors.ts';
import type { Attempt } from './attempt.ts';
import type { Service } from './fail-over.ts';
import { fromUpstream, type ServingSettings } from './serving.ts';
import { adaptTo, callAndRead, callOf, learnableRefusal, readWhole } from './whole-call.ts';

export interface EmbeddingsAnswer extends EmbeddingsReply {
  readonly dropped: readonly string[];
}

/** Parts of one split request that are under way at once: enough to hide latency, few enough not to be a burst. */
const PARTS_AT_ONCE = 4;

/** Serves `embeddings` from one attempt: one call, or several when the upstream takes only so many inputs. */
export class EmbeddingsService implements Service<EmbeddingsAnswer> {
  readonly #request: ReadRequest;
  readonly #wanted: EmbeddingsRequest;
  readonly #settings: ServingSettings;

  /** Throws `invalid_request` when there is nothing to embed. */
  constructor(request: ReadRequest, settings: ServingSettings) {
    this.#request = request;
    this.#wanted = readEmbeddingsRequest(request.json);
    this.#settings = settings;
  }

  async serve(attempt: Attempt): Promise<EmbeddingsAnswer> {
    const adapted = adaptTo(attempt, this.#request);
    const answer = await this.#withinBatchLimit(attempt, adapted.body);
    attempt.commit();
    attempt.finish(null);
    return { ...answer, dropped: adapted.dropped };
  }

  refusedParameter(error: FerryError, attempt: Attempt): string | null {
    return learnableRefusal(error, attempt, this.#request);
  }

  /** Sends what the upstream takes at once; when it says that this was too much, learns from it and sends less. */
  async #withinBatchLimit(attempt: Attempt, body: Buffer): Promise<EmbeddingsReply> {
    const { upstream } = attempt;
    for (;;) {
      const limit = upstream.embeddingBatch;
      const sent = limit > 0 ? Math.min(limit, this.#wanted.inputs) : this.#wanted.inputs;
      try {
        return sent < this.#wanted.inputs
          ? await this.#inParts(attempt, body, limit)
          : await this.#atOnce(attempt, body);
      } catch (thrown) {
        const error = fromUpstream(thrown, attempt, this.#settings);
        const learned = error instanceof FerryError ? batchLimitFrom(error, sent) : null;
        if (learned === null || learned >= sent) throw error;
        upstream.learnEmbeddingBatch(learned);
      }
    }
  }

  #atOnce(attempt: Attempt, body: Buffer): Promise<EmbeddingsReply> {
    const call = callOf(attempt, { body, timeoutMs: attempt.upstream.limits.embeddingsTimeoutMs });
    return callAndRead(attempt, call, async (reply) =>
      readEmbeddingsReply(
        await readWhole(attempt, reply, this.#settings.maxResponseBytes),
        this.#options(this.#wanted.inputs),
      ),
    );
  }

  async #inParts(attempt: Attempt, body: Buffer, limit: number): Promise<EmbeddingsReply> {
    const inputs = new EmbeddingInputs(body.toString('utf8'));
    const batches = batchesOf(this.#wanted.inputs, limit);
    const replies: VectorReply[] = [];
    const work = batches.entries();
    const worker = async (): Promise<void> => {
      for (const [index, positions] of work) {
        replies[index] = await this.#part(attempt, inputs.bodyOf(positions), positions.length);
      }
    };
    // Parts beside the first need places of their own; when none is free, fewer run at once.
    const { places } = attempt.upstream;
    const workers = [worker()];
    while (workers.length < Math.min(PARTS_AT_ONCE, batches.length) && places.tryTake())
      workers.push(worker().finally(() => places.release()));
    await Promise.all(workers);
    return joinVectorReplies(replies, this.#options(this.#wanted.inputs));
  }

  async #part(attempt: Attempt, body: Buffer, inputs: number): Promise<VectorReply> {
    const timer = attempt.newTimer();
    try {
      const call = callOf(attempt, { body, timeoutMs: attempt.upstream.limits.embeddingsTimeoutMs, timer });
      return await callAndRead(attempt, call, async (reply) =>
        readVectors(await readWhole(attempt, reply, this.#settings.maxResponseBytes), this.#options(inputs)),
      );
    } finally {
      timer.clear();
    }
  }

  #options(inputs: number): EmbeddingsReplyOptions {
    const { json, model } = this.#request;
    return {
      inputs,
      encoding: this.#wanted.encoding,
      hasTokenIds: this.#wanted.hasTokenIds,
      requestedModel: model,
      replyModel: this.#settings.replyModel,
      promptForEstimate: () => JSON.stringify(json.input ?? ''),
      scrub: this.#settings.scrub,
      isRetryable: this.#settings.isRetryable,
    };
  }
}
