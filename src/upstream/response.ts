import { charsetOf, decodeText } from '../lib/text/decode-text.ts';
import type { Lease } from '../tokens/manager/lease.ts';
import type { ResponseBody } from './transport/body.ts';

type HeaderValue = string | string[] | undefined;

/** Response headers by lower-case name. Of the interface of `Headers` what is used of it. */
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
   * What of a whole response's headers the client gets, flat: the upstream's limits and its own names for the call.
   * Values that are no plain text are left out.
   */
  forClient(): readonly string[] {
    let flat: string[] | null = null;
    for (const name in this.#values) {
      const value = this.#values[name];
      if (!FOR_CLIENT.test(name) || typeof value !== 'string' || !PLAIN_TEXT.test(value)) continue;
      flat ??= [];
      flat.push(name, value);
    }
    return flat ?? [];
  }

  /** Every header, for pass-through. */
  all(): Readonly<Record<string, HeaderValue>> {
    return this.#values;
  }
}

const FOR_CLIENT = /^(?:x-ratelimit|openai)-/;
const PLAIN_TEXT = /^[\x20-\x7e]{1,256}$/;

/** At most this much of an error body is read: enough for any message, not for a hostile stream. */
const MAX_ERROR_BODY_BYTES = 256 * 1024;
/** The status is what counts: the next candidate does not wait for an error text that takes longer. */
const MAX_ERROR_BODY_WAIT_MS = 500;

/** An upstream's response from its headers on; the body is read by the caller. */
export class UpstreamResponse {
  readonly status: number;
  /** True: 2xx. */
  readonly ok: boolean;
  readonly headers: ResponseHeaders;
  readonly body: ResponseBody;
  /** The token that the request was sent with; null when the upstream needs none. */
  lease: Lease | null = null;
  /** True: the upstream rejected a token before, and this is the response to the replay. */
  isReplayed = false;
  /** True: it rejects the token by `reject`, with any status. */
  isTokenRejected = false;
  /** What `text` has read; null before. */
  errorText: string | null = null;

  constructor(status: number, headers: ResponseHeaders, body: ResponseBody) {
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = headers;
    this.body = body;
  }

  /** The error text of a response that is not `ok`, cut off rather than refused when it is too long. Never rejects. */
  async text(): Promise<string> {
    this.errorText ??= await this.#readText();
    return this.errorText;
  }

  async #readText(): Promise<string> {
    const { body } = this;
    const chunks: Buffer[] = [];
    let size = 0;
    const limit = setTimeout(() => body.destroy(new Error('error body too slow')), MAX_ERROR_BODY_WAIT_MS);
    try {
      for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_ERROR_BODY_BYTES) {
          body.destroy(new Error('error body too large'));
          break;
        }
      }
    } catch {
      // A broken error text is as good as a short one.
    } finally {
      clearTimeout(limit);
    }
    const charset = charsetOf(this.headers.get('content-type'));
    return decodeText(Buffer.concat(chunks, size), charset).slice(0, MAX_ERROR_BODY_BYTES);
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
