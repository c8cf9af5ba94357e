import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { counted } from '../../lib/text/format.ts';
import type { RequestContext } from './request-context.ts';

/** What one client may use; 0 = no such limit. */
export interface QuotaSettings {
  readonly requestsPerMinute: number;
  readonly tokensPerMinute: number;
  /** Requests at once. */
  readonly concurrency: number;
}

/** How much of a limit is used in the running window, and when the window ends. */
interface Usage {
  readonly used: number;
  readonly resetMs: number;
}

const WINDOW_SECONDS = 60;
/** Each limiter counts for one client. */
const KEY = 'client';

/**
 * What one limited client has used. Windows of a minute begin with a request and do not slide: up to twice the limit
 * can fall into a minute that lies across two of them.
 */
export class ClientQuota {
  readonly #name: string;
  readonly #requests = new RateLimiterMemory({ points: 0, duration: WINDOW_SECONDS });
  readonly #tokens = new RateLimiterMemory({ points: 0, duration: WINDOW_SECONDS });
  #settings: QuotaSettings;
  #running = 0;

  constructor(name: string, settings: QuotaSettings) {
    this.#name = name;
    this.#settings = settings;
    this.adjust(settings);
  }

  /** Other limits from now on; what was used stays used. */
  adjust(settings: QuotaSettings): void {
    this.#settings = settings;
    this.#requests.points = settings.requestsPerMinute;
    this.#tokens.points = settings.tokensPerMinute;
  }

  /**
   * Serves a request within the quota, and counts its tokens when it is over: what a model will say is not known
   * before, so it is the next request that is refused. Throws `client_rate_limited`, with the headers set all the same.
   */
  async run(context: RequestContext, serve: () => Promise<void>): Promise<void> {
    const { concurrency } = this.#settings;
    if (concurrency > 0 && this.#running >= concurrency)
      throw this.#refusal(`${counted(concurrency, 'request')} at once (max_concurrency)`);
    this.#running += 1;
    try {
      await this.#admit(context);
      await serve();
    } finally {
      this.#running -= 1;
      const used = context.outcome.tokens?.totalTokens ?? 0;
      if (used > 0 && this.#settings.tokensPerMinute > 0) await this.#tokens.penalty(KEY, used);
    }
  }

  async #admit(context: RequestContext): Promise<void> {
    const { requestsPerMinute, tokensPerMinute } = this.#settings;
    if (tokensPerMinute > 0) {
      const tokens = await this.#tokensUsed();
      context.limitHeaders = [...context.limitHeaders, ...limitHeaders('tokens', tokensPerMinute, tokens)];
      if (tokens.used >= tokensPerMinute)
        throw this.#refusal(`${counted(tokensPerMinute, 'token')} a minute (tpm)`, tokens.resetMs);
    }
    if (requestsPerMinute > 0) {
      const requests = await this.#countRequest();
      context.limitHeaders = [
        ...context.limitHeaders,
        ...limitHeaders('requests', requestsPerMinute, requests),
      ];
      if (requests.used > requestsPerMinute)
        throw this.#refusal(`${counted(requestsPerMinute, 'request')} a minute (rpm)`, requests.resetMs);
    }
  }

  async #tokensUsed(): Promise<Usage> {
    const found = await this.#tokens.get(KEY);
    return { used: found?.consumedPoints ?? 0, resetMs: found?.msBeforeNext ?? 0 };
  }

  /** `penalty` is `consume` without the rejection, which would be a plain object and no error. */
  async #countRequest(): Promise<Usage> {
    const found = await this.#requests.penalty(KEY, 1);
    return { used: found.consumedPoints, resetMs: found.msBeforeNext };
  }

  #refusal(limit: string, retryAfterMs?: number): FerryError {
    return new FerryError('client_rate_limited', {
      message: `The API key "${this.#name}" is limited to ${limit} here. Try again after the time in retry-after.`,
      retryAfterMs,
    });
  }
}

/** Flat headers in OpenAI's names and units: `x-ratelimit-reset-*` is a duration such as `12s`. */
function limitHeaders(kind: 'requests' | 'tokens', limit: number, { used, resetMs }: Usage): string[] {
  return [
    `x-ratelimit-limit-${kind}`,
    String(limit),
    `x-ratelimit-remaining-${kind}`,
    String(Math.max(0, limit - used)),
    `x-ratelimit-reset-${kind}`,
    `${Math.ceil(Math.max(0, resetMs) / 1000)}s`,
  ];
}
