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

/** Never kept, whoever names them in `record.keep_headers`: what they hold is a credential. */
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
  readonly #models: NameFilter;
  readonly #clients: NameFilter;
  readonly #paths: NameFilter;

  constructor(settings: SelectionSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
    this.#models = new NameFilter(settings.includeModels);
    this.#clients = new NameFilter(settings.includeClients);
    this.#paths = new NameFilter(settings.includePaths);
  }

  /** The record as it is to be kept, or null: not at all. The record itself when nothing has to go. */
  keep(record: RequestRecord): RequestRecord | null {
    if (!this.#models.admits(record.model) || !this.#clients.admits(record.client)) return null;
    if (!this.#paths.admits(record.path)) return null;
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

  /** True when nothing has to go, as with headers that were chosen by the same list: no copy is needed. */
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

/** Names come from clients: the memory of answers must not grow with them. */
const MOST_REMEMBERED = 1_000;

/** Whether a name matches one of some patterns, in which `*` stands for anything, `/` included. */
class NameFilter {
  /** Null: everything is admitted, also what has no name. */
  readonly #pattern: RegExp | null;
  readonly #answers = new Map<string, boolean>();

  constructor(patterns: readonly string[]) {
    this.#pattern = patterns.some((pattern) => /^\*+$/.test(pattern)) ? null : matchAny(patterns);
  }

  admits(name: string | null): boolean {
    if (this.#pattern === null) return true;
    if (name === null) return false;
    const known = this.#answers.get(name);
    if (known !== undefined) return known;
    const answer = this.#pattern.test(name);
    if (this.#answers.size >= MOST_REMEMBERED) this.#answers.clear();
    this.#answers.set(name, answer);
    return answer;
  }
}

function matchAny(patterns: readonly string[]): RegExp {
  const sources = patterns.map((pattern) => pattern.split(/\*+/).map(literal).join('[\\s\\S]*'));
  return new RegExp(`^(?:${sources.join('|')})$`);
}

/** `RegExp.escape` is younger than the oldest Node that we run on. */
function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
