import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';
import { SecretSearch } from './secret-search.ts';

const REDACTED = '[redacted]';

/** Random per process: fingerprints can be compared within one run only. */
const fingerprintKey = randomBytes(32);

/**
 * A value that must never be printed: every implicit conversion (string, JSON, inspect, template) gives
 * `[redacted]`. `reveal()` is the only way to the value, so that a search for it finds every use.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  /** Eight hex characters that distinguish secrets in the logs of one process. */
  get fingerprint(): string {
    return fingerprintOf(this.#value);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

/** HMAC-SHA256 under a key of this process, cut to eight hex characters. */
export function fingerprintOf(value: string): string {
  return createHmac('sha256', fingerprintKey).update(value).digest('hex').slice(0, 8);
}

/** SHA-256 in lower-case hex; what `key_sha256` in the configuration holds. */
export function sha256Hex(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}

/** Compares two hex digests in constant time. */
export function isSameDigest(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right));
}

/** Shorter values would also redact ordinary words. */
const MIN_SCRUBBED_CHARS = 6;

/**
 * The secrets in use: configured ones permanently, tokens while an upstream or issuer may still echo them. Every text that
 * leaves the process (log, record, metric, error) goes through `scrub`.
 */
export class SecretRegistry {
  /** Every form of every secret in use. */
  readonly #values = new Set<string>();
  /** Over `#values`; null until the first search after a change. */
  #search: SecretSearch | null = null;

  add(value: string): void {
    if (value.length < MIN_SCRUBBED_CHARS) return;
    for (const form of formsOf(value)) this.#values.add(form);
    this.#search = null;
  }

  delete(value: string): void {
    for (const form of formsOf(value)) this.#values.delete(form);
    this.#search = null;
  }

  /** `text` with each secret in use replaced by `[redacted]`. */
  scrub(text: string): string {
    this.#search ??= new SecretSearch(this.#values);
    let clean = text;
    for (const value of this.#search.findIn(text)) clean = clean.replaceAll(value, REDACTED);
    return clean;
  }
}

/**
 * The forms of a secret in a text: as it is, percent-encoded in a URL, or escaped in JSON up to three levels deep (a body
 * in a row of the record is JSON within JSON). They are one form when nothing in it needs an escape.
 */
function formsOf(value: string): Set<string> {
  const forms = new Set([value, encodeURIComponent(value.toWellFormed())]);
  let escaped = value;
  for (let depth = 0; depth < 3; depth++) {
    escaped = JSON.stringify(escaped).slice(1, -1);
    forms.add(escaped);
  }
  return forms;
}
