import OpenAI from 'openai';

import { FerryError } from '../errors.ts';
import type { UpstreamReply } from './upstream-reply.ts';

/** One call, ready to go: the SDK decides when, we decide how. */
export interface SdkCall {
  readonly method: 'post' | 'get';
  send(): Promise<UpstreamReply>;
}

type FinalRequestOptions = Parameters<OpenAI['buildRequest']>[0];
type BuiltRequest = Awaited<ReturnType<OpenAI['buildRequest']>>;

/** The SDK parses the URL for its log line only; the real one is made by `UpstreamClient`. */
const LOGGED_URL = 'http://upstream/';
const NO_HEADERS = {} as BuiltRequest['req']['headers'];

/** Thrown for a reply that is not 2xx; `text` is the whole error body. */
export class UpstreamStatusError extends Error {
  readonly reply: UpstreamReply;
  readonly text: string;

  constructor(reply: UpstreamReply, text: string) {
    super(`status ${reply.status}`);
    this.reply = reply;
    this.text = text;
  }
}

/**
 * The openai SDK over our own transport. Two documented hooks are overridden: `buildRequest`, since our headers and
 * URL are prepared once per upstream and the body is the client's own bytes, and `fetchWithTimeout`, since tokens
 * are injected and replayed there and undici's `dispatch` costs a fifth of its `fetch`. All that the SDK would take
 * from the environment (keys, organisation, custom headers, base URL) is set explicitly and never sent.
 */
export class SdkClient extends OpenAI {
  constructor(endpoint: string) {
    super({
      apiKey: 'unused: tokens are injected by the transport',
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      baseURL: endpoint,
      maxRetries: 0,
      logLevel: 'off',
    });
  }

  /** Resolves at the headers of a 2xx reply. Rejects with `UpstreamStatusError` or a `FerryError`. */
  async call(call: SdkCall): Promise<UpstreamReply> {
    try {
      const response = await this[call.method]('', { body: call }).asResponse();
      return response as unknown as UpstreamReply;
    } catch (error) {
      throw ownError(error);
    }
  }

  override async buildRequest(options: FinalRequestOptions): Promise<BuiltRequest> {
    const req = {
      method: options.method,
      headers: NO_HEADERS,
      body: options.body,
    } as unknown as BuiltRequest['req'];
    return { req, url: LOGGED_URL, timeout: this.timeout };
  }

  override async fetchWithTimeout(_url: unknown, init: unknown): Promise<Response> {
    const reply = await (init as { body: SdkCall }).body.send();
    if (!reply.ok) throw new UpstreamStatusError(reply, await reply.text());
    return reply as unknown as Response;
  }
}

/** The SDK wraps what its fetch throws in `APIConnectionError`; ours is the cause. */
function ownError(error: unknown): unknown {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof FerryError || current instanceof UpstreamStatusError) return current;
  }
  return error;
}
