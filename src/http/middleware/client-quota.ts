import type { RateLimiterMemory } from 'rate-limiter-flexible';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { counted } from '../../lib/text/format.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { RequestContext } from './request-context.ts';

/** Limits of one client; 0 = no such limit. */
export interface QuotaSettings {
  readonly requestsPerMinute: number;
  readonly tokensPerMinute: number;
  /** Requests at once. */
  readonly concurrency: number;
}

/** The quotas of all limited clients, by the clients' names. Outlives a reload, so that a reload resets no limit. */
export class ClientQuotas {
  /** No client has limits. */
  isEmpty = true;
  readonly #quotas = new Map<string, ClientQuota>();

  /** Replaces the limits: quotas of clients that are still limited keep what was used of them. */
  update(settings: ReadonlyMap<string, QuotaSettings>): void {
    this.isEmpty = settings.size === 0;
    for (const name of this.#quotas.keys()) if (!settings.has(name)) this.#quotas.delete(name);
    for (const [name, limits] of settings) {
      const quota = this.#quotas.get(name);
      if (quota === undefined) this.#quotas.set(name, new ClientQuota(name, limits));
      else quota.adjust(limits);
    }
  }

  /** Null for a client without limits. */
  of({ name }: ClientIdentity): ClientQuota | null {
    return name === null ? null : (this.#quotas.get(name) ?? null);
  }
}

/** What one limited client has used in the running minutes. */
interface Counters {
  readonly requests: RateLimiterMemory;
  readonly tokens: RateLimiterMemory;
}

/** How much of a limit is used in the running window, and when the window ends. */
interface Usage {
  readonly used: number;
  readonly resetMs: number;
}

const WINDOW_SECONDS = 60;
/** Each limiter counts for one client. */
const KEY = 'client';

/** Loads the package when the first client has limits: it takes 27 ms and 11 MB, since it brings a dozen databases' limiters. */
async function newCounters(): Promise<Counters> {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  // The limits are compared here, so that they can change while the windows run.
  const window = { points: 0, duration: WINDOW_SECONDS };
  return { requests: new RateLimiterMemory(window), tokens: new RateLimiterMemory(window) };
}

/**
 * What one limited client has used. Windows of a minute begin with a request and do not slide: up to twice the limit
 * can fall into a minute that spans two of them.
 */
class ClientQuota {
  readonly #name: string;
  readonly #counters = newCounters();
  #settings: QuotaSettings;
  #running = 0;

  constructor(name: string, settings: QuotaSettings) {
    this.#name = name;
    this.#settings = settings;
    // A failed import is thrown by the requests that need it.
    this.#counters.catch(() => undefined);
  }

  /** Other limits from now on; what was used stays used. */
  adjust(settings: QuotaSettings): void {
    this.#settings = settings;
  }

  /**
   * Serves a request within the quota, and counts its tokens when it is over: they are not known before, so it is the
   * next request that is refused. Throws `client_rate_limited`; the headers are set in any case.
   */
  async run(context: RequestContext, serve: () => Promise<void>): Promise<void> {
    const { concurrency } = this.#settings;
    if (concurrency > 0 && this.#running >= concurrency)
      throw this.#refusal(`${counted(concurrency, 'request')} at once (max_concurrency)`);
    this.#running += 1;
    try {
      const counters = await this.#counters;
      await this.#admit(context, counters);
      try {
        await serve();
      } finally {
        const used = context.outcome.tokens?.totalTokens ?? 0;
        if (used > 0 && this.#settings.tokensPerMinute > 0) await counters.tokens.penalty(KEY, used);
      }
    } finally {
      this.#running -= 1;
    }
  }

  async #admit(context: RequestContext, counters: Counters): Promise<void> {
    const { requestsPerMinute, tokensPerMinute } = this.#settings;
    if (tokensPerMinute > 0) {
      const found = await counters.tokens.get(KEY);
      const tokens = { used: found?.consumedPoints ?? 0, resetMs: found?.msBeforeNext ?? 0 };
      context.limitHeaders = limitHeaders('tokens', tokensPerMinute, tokens);
      if (tokens.used >= tokensPerMinute)
        throw this.#refusal(`${counted(tokensPerMinute, 'token')} a minute (tpm)`, tokens.resetMs);
    }
    if (requestsPerMinute > 0) {
      // `penalty` is `consume` without the rejection, which would be a plain object and no error.
      const found = await counters.requests.penalty(KEY, 1);
      const requests = { used: found.consumedPoints, resetMs: found.msBeforeNext };
      context.limitHeaders = [
        ...context.limitHeaders,
        ...limitHeaders('requests', requestsPerMinute, requests),
      ];
      if (requests.used > requestsPerMinute)
        throw this.#refusal(`${counted(requestsPerMinute, 'request')} a minute (rpm)`, requests.resetMs);
    }
  }

  #refusal(limit: string, retryAfterMs?: number): FerryError {
    return new FerryError('client_rate_limited', {
      message: `Rate limit reached: the API key "${this.#name}" is limited to ${limit}.`,
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
