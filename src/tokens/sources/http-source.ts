import { isPointer, resolvePointer } from '../../lib/json/json-pointer.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { type ExpiryHint, usualHints } from '../expiry/expiry.ts';
import { headerOf, IssuerClient, type IssuerResponse } from '../issuer/issuer-client.ts';
import { type IssuerBody, parseBody } from '../issuer/issuer-response.ts';
import { TemplateError } from '../template/template.ts';
import { ChainedTokens } from './chained-tokens.ts';
import { HttpRequestBuilder, type HttpSettings } from './http-request.ts';
import {
  checkDenied,
  checkSuccess,
  compileTokenLocation,
  cookieHints,
  type TokenLocation,
} from './http-response.ts';
import { extraValues, rawToken } from './raw-token.ts';
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

  /** Throws `TokenSourceError` for settings that cannot work. */
  constructor(name: string, settings: HttpSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#errors = new SourceErrors(name, deps.secrets, deps.credentialKeysOf?.(name));
    this.#chained = new ChainedTokens(this.#errors, deps);
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
    const { baseDir } = deps;
    this.#client = new IssuerClient({ source: name, field: 'url', connection: settings, baseDir });
    this.key = settingsKey({ ...settings, tls: this.#client.tls });
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    const { clock, force } = context;
    const { token: chained, denied, success } = this.#settings;
    const response = await this.#client.call(async (send) => {
      const token =
        chained === undefined ? undefined : await this.#chained.tokenOf('token', chained, context);
      const nowWallMs = clock.wallMs();
      return send(this.#withTemplateErrors(() => this.#request.render({ nowWallMs, token, force })));
    }, context);
    const body = parseBody(response);
    checkDenied(this.#errors, denied, response, body);
    checkSuccess(this.#errors, success, response, body);
    return this.#tokenIn(response, body);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #tokenIn(response: IssuerResponse, body: IssuerBody): RawToken {
    const { tokenAt, refreshIn, extra } = this.#settings;
    const refreshSeconds =
      refreshIn === undefined ? Number.NaN : Number(pointed(body, refreshIn) ?? Number.NaN);
    return rawToken(this.#errors, {
      field: tokenAt.startsWith('regex:') ? 'token_at regex:...' : `token_at ${tokenAt}`,
      value: this.#locate(response, body),
      hints: this.#hints(response, body),
      response,
      nowWallMs: response.receivedWallMs,
      refreshInMs: Number.isNaN(refreshSeconds) ? undefined : refreshSeconds * 1000,
      ...extraValues(this.#errors, body.kind === 'json' ? body.value : undefined, extra),
    });
  }

  #hints(response: IssuerResponse, body: IssuerBody): ExpiryHint[] {
    const { expiresAt, tokenAt } = this.#settings;
    const { pointer, header, as = 'auto', unit = 'auto', zone } = expiresAt ?? {};
    if (as === 'jwt') return [];
    const how = { as, unit, ...(zone === undefined ? {} : { zone }) };
    if (pointer !== undefined) return [{ origin: pointer, value: pointed(body, pointer), ...how }];
    if (header !== undefined) return [{ origin: header, value: headerOf(response, header), ...how }];
    if (tokenAt.startsWith('cookie:')) return cookieHints(response, tokenAt.slice('cookie:'.length));
    const parent = isPointer(tokenAt) ? tokenAt.slice(0, tokenAt.lastIndexOf('/')) : '';
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
