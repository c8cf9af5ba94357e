import type { Lease } from '../tokens/manager/lease.ts';
import type { ResponseBody } from './transport/body.ts';

type HeaderValue = string | string[] | undefined;

/** Response headers by lower-case name. */
export class ResponseHeaders {
  readonly #values: Readonly<Record<string, HeaderValue>>;

  constructor(values: Readonly<Record<string, HeaderValue>>) {
    this.#values = values;
  }

  /** Several values of one name are joined with `, `; null when absent. */
  get(name: string): string | null {
    const value = this.#values[name];
    if (value === undefined) return null;
    return typeof value === 'string' ? value : value.join(', ');
  }

  /**
   * What of a whole answer's headers is told to the client, flat: the upstream's limits and its own names for the call.
   * Values that are no plain text are left out.
   */
  forClient(): readonly string[] {
    let told: string[] | null = null;
    for (const name in this.#values) {
      const value = this.#values[name];
      if (typeof value !== 'string' || !isForClient(name) || !PLAIN_TEXT.test(value)) continue;
      told ??= [];
      told.push(name, value);
    }
    return told ?? [];
  }

  /** Every header, for pass-through. */
  all(): Readonly<Record<string, HeaderValue>> {
    return this.#values;
  }
}

const PLAIN_TEXT = /^[\x20-\x7e]{1,256}$/;

function isForClient(name: string): boolean {
  return name.startsWith('x-ratelimit-') || name.startsWith('openai-');
}

/** At most this much of an error reply is read: enough for any message, not for a hostile stream. */
const ERROR_BODY_LIMIT_BYTES = 256 * 1024;
/** The status is what counts: an error text that takes longer is not worth the time of the next candidate. */
const ERROR_BODY_WAIT_MS = 500;

/** An upstream's reply from its headers on; the body is read by whoever takes it. */
export class UpstreamResponse {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly body: ResponseBody;
  /** The token that the request went out with; null when the upstream needs none. */
  lease: Lease | null = null;
  /** True: the upstream refused a token before and this is the answer to the replay. */
  isReplayed = false;
  /** True: it refuses the token as `reject` says, with whatever status. */
  isTokenRejected = false;
  /** Set when the error text is read for the first time: a body can be read only once. */
  #text: Promise<string> | null = null;

  constructor(status: number, headers: ResponseHeaders, body: ResponseBody) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** The error text of a reply that is not `ok`, cut off rather than refused when it is too long. */
  text(): Promise<string> {
    this.#text ??= this.#readText();
    return this.#text;
  }

  async #readText(): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    const limit = setTimeout(
      () => this.body.destroy(new Error('error reply slower than needed')),
      ERROR_BODY_WAIT_MS,
    );
    try {
      for (let chunk = await this.body.next(); chunk !== null; chunk = await this.body.next()) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > ERROR_BODY_LIMIT_BYTES) {
          this.body.destroy(new Error('error reply longer than needed'));
          break;
        }
      }
    } catch {
      // A broken error text is as good as a short one.
    } finally {
      clearTimeout(limit);
    }
    return Buffer.concat(chunks, size).toString('utf8').slice(0, ERROR_BODY_LIMIT_BYTES);
  }
}

/** Thrown for a response that is not 2xx; `text` is its body, cut to what an error needs. */
export class UpstreamStatusError extends Error {
  readonly response: UpstreamResponse;
  readonly text: string;

  constructor(response: UpstreamResponse, text: string) {
    super(`status ${response.status}`);
    this.response = response;
    this.text = text;
  }
}
