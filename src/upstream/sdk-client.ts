import OpenAI from 'openai';

import { FerryError } from '../lib/errors/ferry-error.ts';
import { type UpstreamResponse, UpstreamStatusError } from './response.ts';

/** One call, ready to go: the SDK decides when, we decide how. */
interface SdkCall {
  readonly method: 'post' | 'get';
  send(): Promise<UpstreamResponse>;
}

/**
 * What the SDK holds of a call. Its promises live in WeakMaps, whose entries survive every young collection, so that
 * all that they reach is copied again and again; a ticket that is emptied when the call is over reaches nothing.
 * (Chat of 1 KB: 7 KB survived of each request, and collecting them cost a fifth of its CPU.)
 */
class Ticket {
  send: (() => Promise<UpstreamResponse>) | null;
  reply: UpstreamResponse | null = null;

  constructor(call: SdkCall) {
    this.send = () => call.send();
  }

  /** The reply, once. */
  take(): UpstreamResponse {
    const { reply } = this;
    this.send = null;
    this.reply = null;
    if (reply === null) throw new Error('the SDK resolved a call that was never sent');
    return reply;
  }
}

/** What the SDK sees of every good reply; the real one is in the ticket. */
const GOOD_RESPONSE = {
  ok: true,
  status: 200,
  url: '',
  headers: { entries: () => [] },
} as unknown as Response;

type FinalRequestOptions = Parameters<OpenAI['buildRequest']>[0];
type BuiltRequest = Awaited<ReturnType<OpenAI['buildRequest']>>;

/** The SDK parses the URL for its log line only; the real one is made by `UpstreamClient`. */
const LOGGED_URL = 'http://upstream/';
const NO_HEADERS = {} as BuiltRequest['req']['headers'];

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
  async call(call: SdkCall): Promise<UpstreamResponse> {
    const ticket = new Ticket(call);
    try {
      await this[call.method]('', { body: ticket }).asResponse();
      return ticket.take();
    } catch (error) {
      ticket.send = null;
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
    const ticket = (init as { body: Ticket }).body;
    const reply = await ticket.send?.();
    if (reply === undefined) throw new Error('a call is sent once');
    if (!reply.ok) throw new UpstreamStatusError(reply, await reply.text());
    ticket.reply = reply;
    return GOOD_RESPONSE;
  }
}

/** The SDK wraps what its fetch throws in `APIConnectionError`; ours is the cause. */
function ownError(error: unknown): unknown {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof FerryError || current instanceof UpstreamStatusError) return current;
  }
  return error;
}
