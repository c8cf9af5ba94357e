import { randomUUID } from 'node:crypto';
import { FerryError } from '../lib/errors/ferry-error.ts';
import { counted } from '../lib/text/format.ts';
import { parseChatResponse } from '../openai/chat/chat-response.ts';
import { fromErrorResponse } from '../openai/errors/upstream-error.ts';
import { readModelsResponse } from '../openai/models/models-response.ts';
import type { Repair } from '../openai/vendors/repairs.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import { type UpstreamResponse, UpstreamStatusError } from '../upstream/response.ts';
import { type Finding, withWaitLine } from './check-report.ts';
import { EMBEDDING_NAME } from './verify.ts';

interface UpstreamCheckSettings {
  /** How long the upstream is tried. */
  readonly patienceMs: number;
  /** True: one chat of a few tokens is sent as well. */
  readonly isChatAsked: boolean;
  /** The model of that chat; null: the first that is configured or listed. */
  readonly model: string | null;
  /** The configured base URL; null: the path of the list of models is configured, so that no other is tried. */
  readonly endpoint: URL | null;
  /** The same upstream at another base URL. */
  readonly at: (endpoint: URL) => RoutedUpstream | null;
  readonly scrub: (text: string) => string;
  /** Takes the upstream's clock, as often as a response states it. */
  readonly onDate: (serverMs: number, oursMs: number) => void;
}

/** A longer list of models is not looked at. */
const MAX_LIST_BYTES = 8 * 1024 * 1024;
/** A list of models that comes slower than this is not needed. */
const LIST_WAIT_MS = 2_000;
const MAX_CHAT_BYTES = 1024 * 1024;
/** Models and the chat are requested one after the other at each base URL. */
const MAX_OTHER_BASES = 8;

/** What `GET /models` led to. */
type ModelsResult =
  | { readonly kind: 'listed'; readonly models: readonly string[]; readonly repairs: readonly Repair[] }
  /** 2xx with something else than a list of models. */
  | { readonly kind: 'no_list' }
  | { readonly kind: 'status'; readonly status: number; readonly location: string | null }
  | { readonly kind: 'failed'; readonly error: unknown };

/** Asks one upstream for its models and, if wanted, for a chat; where its base URL looks wrong, others are tried. */
export class UpstreamCheck {
  readonly #upstream: RoutedUpstream;
  readonly #settings: UpstreamCheckSettings;
  readonly #what: string;

  constructor(upstream: RoutedUpstream, settings: UpstreamCheckSettings) {
    this.#upstream = upstream;
    this.#settings = settings;
    this.#what = `upstream ${upstream.name}`;
  }

  async run(): Promise<Finding[]> {
    const { client } = this.#upstream;
    const { patienceMs } = this.#settings;
    const result = await withWaitLine(this.#askModels(this.#upstream), () =>
      // Of its token there is a line already.
      client.hasToken() ? `${this.#what}: no response yet; retrying for up to ${patienceMs / 1000} s` : null,
    );
    const settled = this.#judge(result);
    if (settled?.verdict === 'fail') return [settled];
    const models = result.kind === 'listed' ? result.models : [];
    if (settled !== null) return [settled, ...(await this.#checkChat(models))];
    return this.#checkOtherBases(result);
  }

  /** Null: whether the base URL is right is still to be found out. */
  #judge(result: ModelsResult): Finding | null {
    if (result.kind === 'listed') {
      const { repairs } = result;
      const repaired = repairs.length === 0 ? '' : ` (repaired in its list of models: ${repairs.join(', ')})`;
      return this.#found('ok', `responds${repaired}`);
    }
    if (result.kind === 'failed') return this.#describeFailure(result.error);
    if (result.kind === 'no_list') return null;
    const { status } = result;
    if (status === 401 || status === 403) {
      return this.#upstream.client.credentials.kind === 'as_is'
        ? this.#found('ok', `responds (GET /models returns ${status} without a client's key; sk: asis)`)
        : { ...this.#found('fail', `rejects the credentials (${status})`), cause: 'credentials' };
    }
    if (status >= 500) return this.#found('fail', `responds to GET /models with ${status}`);
    if (status >= 300 && status < 400) return this.#describeRedirect(status, result.location);
    if (status === 429)
      return this.#found('warn', 'responds to GET /models with 429: its rate limit is exceeded');
    return null;
  }

  #describeFailure(error: unknown): Finding {
    if (!(error instanceof FerryError)) return this.#found('fail', String(error));
    if (error.kind === 'token_unavailable')
      return this.#found('fail', 'not called: there is no token for it');
    return this.#found('fail', error.message.replace(/^Upstream "[^"]*":? /, ''));
  }

  #describeRedirect(status: number, location: string | null): Finding {
    const { endpoint } = this.#settings;
    const target = location === null ? null : URL.parse(location, endpoint?.href);
    const text = `redirects GET /models (${status}), which is not followed`;
    if (target === null) return this.#found('fail', `${text}: check its endpoint`);
    const base = baseOfModels(target);
    return base === null
      ? this.#found('fail', `${text}, to a page of ${target.host} (a login page?): check its endpoint`)
      : this.#found('fail', `${text}. Set:`, base);
  }

  /** `GET /models` gives no list: either the upstream has none, or its base URL is wrong. */
  async #checkOtherBases(result: ModelsResult): Promise<Finding[]> {
    const isAsked = this.#settings.isChatAsked;
    const why =
      result.kind === 'status'
        ? `GET /models returns ${result.status}`
        : 'GET /models returns no list of models';
    const others = this.#otherUpstreams();
    try {
      const listings = await Promise.all(others.map(({ upstream }) => this.#askModels(upstream)));
      const at = listings.findIndex(({ kind }) => kind === 'listed');
      const listing = listings[at];
      const models = listing?.kind === 'listed' ? listing.models : [];
      const model = isAsked ? this.#modelFor(models) : null;
      if (model !== null) {
        const first = others[at];
        const rest = others.filter((other) => other !== first);
        return await this.#findChat(model, why, first === undefined ? rest : [first, ...rest]);
      }
      const other = others[at];
      if (other !== undefined) {
        const text = `${why}, but the same below another path lists ${counted(models.length, 'model')}. Set:`;
        return [this.#found('fail', text, other.base)];
      }
      const isGuarded = ({ kind, ...facts }: ModelsResult) =>
        kind === 'status' && 'status' in facts && (facts.status === 401 || facts.status === 403);
      const guarded = others[listings.findIndex(isGuarded)];
      if (guarded !== undefined) {
        const text = `${why}, and the same below another path rejects the credentials. Check both; perhaps:`;
        return [this.#found('warn', text, guarded.base)];
      }
      const advice = isAsked
        ? NO_MODEL
        : '; `check --chat --model NAME` tests it with a chat of a few tokens';
      return [this.#found('warn', `${why}: it lists no models, or the endpoint's path is wrong${advice}`)];
    } finally {
      await Promise.all(others.map(({ upstream }) => upstream.client.close()));
    }
  }

  #otherUpstreams(): { readonly base: URL; readonly upstream: RoutedUpstream }[] {
    const { endpoint, at } = this.#settings;
    if (endpoint === null) return [];
    return otherBases(endpoint)
      .slice(0, MAX_OTHER_BASES)
      .flatMap((base) => {
        const upstream = at(base);
        return upstream === null ? [] : [{ base, upstream }];
      });
  }

  /** A chat at the configured base URL, then at the others until one has the path. */
  async #findChat(
    model: string,
    why: string,
    others: readonly { readonly base: URL; readonly upstream: RoutedUpstream }[],
  ): Promise<Finding[]> {
    const error = await this.#chat(this.#upstream, model);
    if (error === null) {
      return [this.#found('ok', `responds (${why}: it lists no models)`), this.#chatWorks(model)];
    }
    if (!isWrongPath(error)) return [this.#found('warn', why), this.#chatFails(model, error)];
    for (const { base, upstream } of others) {
      if ((await this.#chat(upstream, model)) !== null) continue;
      return [
        this.#found('fail', `no chat at its endpoint, but a chat works below another path. Set:`, base),
      ];
    }
    return [this.#found('warn', why), this.#chatFails(model, error)];
  }

  async #checkChat(listed: readonly string[]): Promise<Finding[]> {
    if (!this.#settings.isChatAsked) return [];
    if (this.#upstream.client.credentials.kind === 'as_is') return [];
    const model = this.#modelFor(listed);
    if (model === null) return [this.#found('warn', `no chat was sent${NO_MODEL}`)];
    const error = await this.#chat(this.#upstream, model);
    return [error === null ? this.#chatWorks(model) : this.#chatFails(model, error)];
  }

  /** The name that clients use. */
  #modelFor(listed: readonly string[]): string | null {
    const { model } = this.#settings;
    if (model !== null) return model;
    const { namedModels } = this.#upstream;
    const isChat = (name: string) => !EMBEDDING_NAME.test(name);
    return namedModels.find(isChat) ?? (this.#upstream.isOpenEnded ? (listed.find(isChat) ?? null) : null);
  }

  #chatWorks(model: string): Finding {
    return { ...this.#found('ok', `a chat with ${model} works`), model };
  }

  #chatFails(model: string, error: FerryError): Finding {
    const found = this.#found('fail', `a chat with ${model} fails: ${error.message}`);
    return error.kind === 'auth_rejected' || error.kind === 'forbidden'
      ? { ...found, cause: 'credentials' }
      : found;
  }

  async #askModels(upstream: RoutedUpstream): Promise<ModelsResult> {
    const startMs = Date.now();
    try {
      const response = await upstream.client.fetchModels(this.#settings.patienceMs);
      this.#noteDate(response, startMs);
      return await readList(response);
    } catch (error) {
      if (!(error instanceof UpstreamStatusError)) return { kind: 'failed', error };
      this.#noteDate(error.response, startMs);
      const { status, headers } = error.response;
      return { kind: 'status', status, location: headers.get('location') };
    }
  }

  /** Null: the response is a chat that the gateway can use. */
  async #chat(upstream: RoutedUpstream, model: string): Promise<FerryError | null> {
    const error = await this.#sendChat(upstream, model, { max_tokens: 5 });
    // Reasoning models require another name for it.
    const isPicky = error !== null && (error.upstreamStatus === 400 || error.upstreamStatus === 422);
    return isPicky ? this.#sendChat(upstream, model, {}) : error;
  }

  async #sendChat(upstream: RoutedUpstream, model: string, limits: object): Promise<FerryError | null> {
    const { profile, client } = upstream;
    const { scrub, patienceMs } = this.#settings;
    const upstreamModel = upstream.upstreamModel(model);
    const context = { model, upstreamModel, path: '/v1/chat/completions', scrub };
    const body = {
      model: upstreamModel,
      messages: [{ role: 'user', content: 'ping' }],
      stream: profile.alwaysStream,
      ...limits,
    };
    try {
      const request = { method: 'POST', path: '/chat/completions', model: upstreamModel, body } as const;
      const response = await client.probe(request, patienceMs);
      parseChatResponse(await response.body.readAll(MAX_CHAT_BYTES), {
        endpoint: 'chat',
        requestedModel: model,
        replyModel: 'upstream',
        profile,
        legacyFunctions: false,
        contentType: response.headers.get('content-type'),
        scrub,
        newId: () => `chatcmpl-${randomUUID()}`,
        nowSeconds: () => Math.floor(Date.now() / 1000),
      });
      return null;
    } catch (error) {
      if (error instanceof FerryError) return error;
      if (!(error instanceof UpstreamStatusError)) throw error;
      const { status, headers } = error.response;
      return fromErrorResponse({
        ...context,
        status,
        headers: (name) => headers.get(name) ?? undefined,
        body: error.text,
      });
    }
  }

  #noteDate({ headers }: UpstreamResponse, startMs: number): void {
    const serverMs = Date.parse(headers.get('date') ?? '');
    // Whole seconds, cut off; the response came somewhere between.
    if (!Number.isNaN(serverMs)) this.#settings.onDate(serverMs + 500, (startMs + Date.now()) / 2);
  }

  #found(verdict: Finding['verdict'], text: string, base?: URL): Finding {
    const found: Finding = { verdict, text: `${this.#what}: ${text}` };
    if (base === undefined) return found;
    return { ...found, suggestion: `endpoint: ${shownUrl(base)}`, cause: { base: base.href } };
  }
}

const NO_MODEL = '; name a model with --model NAME';

/** A list that does not arrive in time is ignored; the upstream still responds. */
async function readList({ body }: UpstreamResponse): Promise<ModelsResult> {
  const repairs = new Set<Repair>();
  const timer = setTimeout(() => body.destroy(new Error('the list of models is not needed')), LIST_WAIT_MS);
  try {
    const models = readModelsResponse(await body.readAll(MAX_LIST_BYTES), 0, (repair) => repairs.add(repair));
    return { kind: 'listed', models: models.map(({ id }) => id), repairs: [...repairs] };
  } catch {
    return { kind: 'no_list' };
  } finally {
    clearTimeout(timer);
    body.destroy(new Error('the list of models was read'));
  }
}

/** Nothing of the API is there: the path is unknown, not served by POST, or it is a web server's page. */
function isWrongPath({ kind, upstreamStatus }: FerryError): boolean {
  return kind === 'path_not_found' || kind === 'invalid_response' || upstreamStatus === 405;
}

/** What people paste behind a base URL. */
const API_TAIL = /\/(?:chat\/completions|completions|embeddings|rerank|responses|models)$/;
/** Where companies and vendors put their OpenAI-compatible API: Azure and Groq, OpenRouter. */
const USUAL_BASES = ['/v1', '/openai/v1', '/api/v1', ''];

/** The base URLs that may be meant instead of `endpoint`, most likely first: with and without `/v1` and what follows it. */
function otherBases(endpoint: URL): URL[] {
  const path = endpoint.pathname.replace(/\/+$/, '');
  const bare = path.replace(API_TAIL, '');
  const unversioned = bare.replace(/(?:\/v1)+$/, '');
  const paths = [`${unversioned}/v1`, bare, unversioned, `${unversioned}/v1/v1`, ...USUAL_BASES];
  return [...new Set(paths)].filter((other) => other !== path).map((other) => withPath(endpoint, other));
}

/** The base URL of a URL that ends in `/models`; null for any other. */
function baseOfModels(url: URL): URL | null {
  const path = url.pathname.replace(/\/+$/, '');
  return path.endsWith('/models') ? withPath(url, path.slice(0, -'/models'.length)) : null;
}

function withPath(url: URL, path: string): URL {
  const other = new URL(url);
  other.pathname = path;
  return other;
}

/** Query values are left out: they may be keys. */
function shownUrl({ origin, pathname, searchParams }: URL): string {
  const names = [...searchParams.keys()].map((name) => `${name}=…`);
  return `${origin}${pathname === '/' ? '' : pathname}${names.length === 0 ? '' : `?${names.join('&')}`}`;
}
