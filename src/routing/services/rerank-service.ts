import type { FerryError } from '../../lib/errors/ferry-error.ts';
import type { ParsedRequest } from '../../openai/request/parsed-request.ts';
import { type RerankRequest, type RerankResponse, readRerankResponse } from '../../openai/rerank/rerank.ts';
import type { Attempt } from '../attempt.ts';
import type { Service } from '../failover.ts';
import { type AttemptPolicy, fromUpstream } from './attempt-policy.ts';
import { adaptTo, callAndRead, callOf, learnableRefusal, readWhole } from './upstream-call.ts';

interface RerankAnswer extends RerankResponse {
  readonly dropped: readonly string[];
}

/** Serves `rerank` (Jina's and Cohere's convention) from one attempt. */
export class RerankService implements Service<RerankAnswer> {
  readonly #request: ParsedRequest;
  readonly #wanted: RerankRequest;
  readonly #settings: AttemptPolicy;

  constructor(request: ParsedRequest, wanted: RerankRequest, settings: AttemptPolicy) {
    this.#request = request;
    this.#wanted = wanted;
    this.#settings = settings;
  }

  async serve(attempt: Attempt): Promise<RerankAnswer> {
    const { upstream } = attempt;
    const settings = this.#settings;
    const adapted = adaptTo(attempt, this.#request);
    const options = {
      request: this.#wanted,
      requestedModel: this.#request.model,
      replyModel: settings.replyModel,
      newId: settings.newId,
      scrub: settings.scrub,
      isRetryable: settings.isRetryable,
    };
    try {
      const call = callOf(attempt, { body: adapted.body, timeoutMs: upstream.limits.embeddingsTimeoutMs });
      const answer = await callAndRead(attempt, call, async (reply) =>
        readRerankResponse(await readWhole(attempt, reply, settings.maxResponseBytes), options),
      );
      attempt.commit();
      attempt.finish(null);
      return { ...answer, dropped: adapted.dropped };
    } catch (error) {
      throw fromUpstream(error, attempt, settings);
    }
  }

  refusedParameter(error: FerryError, attempt: Attempt): string | null {
    return learnableRefusal(error, attempt, this.#request);
  }
}
