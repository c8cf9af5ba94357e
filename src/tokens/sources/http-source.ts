import { isPointer, resolvePointer } from '../../lib/json/json-pointer.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { type ExpiryHint, usualHints } from '../expiry/expiry.ts';
import { headerOf, IssuerClient, type IssuerResponse } from '../issuer/issuer-client.ts';
import { type IssuerBody, parseBody } from '../issuer/issuer-response.ts';
import { TemplateError } from '../template/template.ts';
import { type ChainedLookup, ChainedTokens } from './chained-tokens.ts';
import { HttpRequestBuilder, type HttpSettings } from './http-request.ts';
import {
  checkDenied,
  checkSuccess,
  compileExtra,
  compileTokenLocation,
  cookieHints,
  type ExtraLocations,
  extraValues,
  splitLocation,
  type TokenLocation,
} from './http-response.ts';
import { rawToken } from './raw-token.ts';
import { SourceErrors } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** Tokens of any HTTP interface that can be declared: request, success, place of the token, its expiry. */
export class HttpSource implements TokenSource {
  readonly kind = 'http';
  readonly key: string;
  readonly #settings: HttpSettings;
  readonly #errors: SourceErrors;
  readonly #chained: ChainedTokens;
  readonly #client: IssuerClient;
  readonly #request: HttpRequestBuilder;
  readonly #locate: TokenLocation;
  readonly #extra: ExtraLocations;

  /** Throws `TokenSourceError` for settings that cannot work. */
  constructor(name: string, settings: HttpSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#errors = new SourceErrors(name, deps.secrets, deps.credentialKeysOf?.(name));
    this.#chained = new ChainedTokens(this.#errors, deps, {
      use: settings.tokenUse ?? 'many',
      sources: [settings.token],
    });
    const bodies = [settings.bodyJson, settings.bodyForm, settings.bodyText];
    if (bodies.filter((body) => body !== undefined).length > 1) {
      throw this.#errors.misconfigured('body_json', 'body_json, body_form and body_text exclude each other');
    }
    if (!isFixedOrigin(settings.url)) {
      const what = 'must be an http:// or https:// URL, with templates behind the host only';
      throw this.#errors.misconfigured('url', what);
    }
    this.#request = this.#withTemplateErrors(() => new HttpRequestBuilder(settings));
    this.#locate = compileTokenLocation(this.#errors, settings.tokenAt);
    this.#extra = compileExtra(this.#errors, settings.extra);
    const { baseDir } = deps;
    this.#client = new IssuerClient({ source: name, field: 'url', connection: settings, baseDir });
    this.key = settingsKey({ ...settings, tls: this.#client.tls, chained: this.#chained.key });
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    const call = (lookup: ChainedLookup): Promise<IssuerResponse> => this.#call(lookup, context);
    return this.#chained.run({ call, read: (response) => this.#read(response) }, context);
  }

  #call(lookup: ChainedLookup, context: AcquireContext): Promise<IssuerResponse> {
    const { clock, force } = context;
    const { token } = this.#settings;
    return this.#client.call(async (send) => {
      const chained = token === undefined ? {} : await lookup('token', token);
      const nowWallMs = clock.wallMs();
      return send(this.#withTemplateErrors(() => this.#request.render({ nowWallMs, chained, force })));
    }, context);
  }

  #read(response: IssuerResponse): RawToken {
    const { denied, success } = this.#settings;
    const body = parseBody(response);
    checkDenied(this.#errors, denied, response, body);
    checkSuccess(this.#errors, success, response, body);
    return this.#tokenIn(response, body);
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#chained.close()]);
  }

  #tokenIn(response: IssuerResponse, body: IssuerBody): RawToken {
    const { tokenAt, refreshIn } = this.#settings;
    const refreshSeconds =
      refreshIn === undefined ? Number.NaN : Number(pointed(body, refreshIn) ?? Number.NaN);
    return rawToken(this.#errors, {
      field: tokenAt.startsWith('regex:') ? 'token_at regex:...' : `token_at ${tokenAt}`,
      value: this.#locate(response, body),
      hints: this.#hints(response, body),
      response,
      nowWallMs: response.receivedWallMs,
      refreshInMs: Number.isNaN(refreshSeconds) ? undefined : refreshSeconds * 1000,
      ...extraValues(this.#errors, this.#extra, response, body),
    });
  }

  #hints(response: IssuerResponse, body: IssuerBody): ExpiryHint[] {
    const { expiresAt, tokenAt } = this.#settings;
    const { pointer, header, as = 'auto', unit = 'auto', zone } = expiresAt ?? {};
    if (as === 'jwt') return [];
    const how = { as, unit, ...(zone === undefined ? {} : { zone }) };
    if (pointer !== undefined) return [{ origin: pointer, value: pointed(body, pointer), ...how }];
    if (header !== undefined) return [{ origin: header, value: headerOf(response, header), ...how }];
    const [place] = splitLocation(tokenAt);
    if (place.startsWith('cookie:')) return cookieHints(response, place.slice('cookie:'.length));
    const parent = isPointer(place) ? place.slice(0, place.lastIndexOf('/')) : '';
    return usualHints(pointed(body, parent), zone);
  }

  #withTemplateErrors<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw error instanceof TemplateError ? this.#errors.misconfigured('template', error.message) : error;
    }
  }
}

/** The origin is fixed: a template must not be able to send secrets to another server. */
function isFixedOrigin(url: string): boolean {
  const origin = /^https?:\/\/[^/?#]+/i.exec(url)?.[0];
  return origin !== undefined && URL.canParse(origin) && !origin.includes('{{');
}

function pointed(body: IssuerBody, pointer: string): unknown {
  return body.kind === 'json' || body.kind === 'form' ? resolvePointer(body.value, pointer).value : undefined;
}
