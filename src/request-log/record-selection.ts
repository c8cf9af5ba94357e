import type { RequestRecord } from '../lib/request-record.ts';
import { shortenForQueue } from './redaction.ts';

/** When bodies are kept. */
export type ContentPolicy = 'none' | 'errors' | 'all';

interface SelectionSettings {
  readonly content: ContentPolicy;
  readonly maxBodyBytes: number;
  /** Lower-case names of the client's headers that are kept. */
  readonly keepHeaders: readonly string[];
  /** Patterns with `*`; a record needs a match in each list. */
  readonly includeModels: readonly string[];
  readonly includeClients: readonly string[];
  readonly includePaths: readonly string[];
  /** The share of successful requests that is kept, 0 to 1. Failed ones are always kept. */
  readonly sample: number;
}

/** Never kept, even if `record.keep_headers` names them: they contain credentials. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'x-auth-token',
  'x-amz-security-token',
]);

/** Decides which records are kept, and how much of each. Pure but for `random`. */
export class RecordSelection {
  readonly #settings: SelectionSettings;
  readonly #random: () => number;
  /** Null: everything is admitted. */
  readonly #models: NameFilter | null;
  readonly #clients: NameFilter | null;
  readonly #paths: NameFilter | null;

  constructor(settings: SelectionSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
    this.#models = filterOf(settings.includeModels);
    this.#clients = filterOf(settings.includeClients);
    this.#paths = filterOf(settings.includePaths);
  }

  /** The record with what is kept of it; null: nothing. The record itself when all of it is kept. */
  keep(record: RequestRecord): RequestRecord | null {
    if (this.#models?.admits(record.model) === false) return null;
    if (this.#clients?.admits(record.client) === false) return null;
    if (this.#paths?.admits(record.path) === false) return null;
    const { sample } = this.#settings;
    if (sample < 1 && record.outcome === 'ok' && this.#random() >= sample) return null;
    if (record.body === null && record.response === null && this.#areKept(record.headers)) return record;
    return {
      ...record,
      headers: this.#headers(record.headers),
      body: this.#content(record, record.body),
      response: this.#content(record, record.response),
    };
  }

  /** True when all headers are kept, as when they were chosen by the same list: no copy is needed. */
  #areKept(headers: RequestRecord['headers']): boolean {
    for (const name in headers) {
      if (CREDENTIAL_HEADERS.has(name) || !this.#settings.keepHeaders.includes(name)) return false;
    }
    return true;
  }

  #headers(headers: RequestRecord['headers']): RequestRecord['headers'] {
    if (headers === null) return null;
    const kept: Record<string, string> = {};
    for (const name of this.#settings.keepHeaders) {
      const value = headers[name];
      if (value !== undefined && !CREDENTIAL_HEADERS.has(name)) kept[name] = value;
    }
    return Object.keys(kept).length === 0 ? null : kept;
  }

  #content(record: RequestRecord, body: string | null): string | null {
    const { content, maxBodyBytes } = this.#settings;
    if (body === null || content === 'none') return null;
    if (content === 'errors' && record.outcome === 'ok') return null;
    return shortenForQueue(body, maxBodyBytes);
  }
}

/** Names come from clients, so the cache is bounded. */
const MAX_CACHED_NAMES = 1_000;

/** Null when one of the patterns matches everything, records without a name included. */
function filterOf(patterns: readonly string[]): NameFilter | null {
  return patterns.some((pattern) => /^\*+$/.test(pattern)) ? null : new NameFilter(matchAny(patterns));
}

/** Whether a name matches a pattern, with a cache. */
class NameFilter {
  readonly #pattern: RegExp;
  readonly #cache = new Map<string, boolean>();

  constructor(pattern: RegExp) {
    this.#pattern = pattern;
  }

  admits(name: string | null): boolean {
    if (name === null) return false;
    const known = this.#cache.get(name);
    if (known !== undefined) return known;
    const isAdmitted = this.#pattern.test(name);
    if (this.#cache.size >= MAX_CACHED_NAMES) this.#cache.clear();
    this.#cache.set(name, isAdmitted);
    return isAdmitted;
  }
}

/** In a pattern `*` matches anything, `/` included. */
function matchAny(patterns: readonly string[]): RegExp {
  const sources = patterns.map((pattern) => pattern.split(/\*+/).map(literal).join('[\\s\\S]*'));
  return new RegExp(`^(?:${sources.join('|')})$`);
}

/** `RegExp.escape` is not in Node 22. */
function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
