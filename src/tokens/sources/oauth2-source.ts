import { resolve } from 'node:path';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { resolvePointer } from '../../lib/json/json-pointer.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { usualHints } from '../expiry/expiry.ts';
import { IssuerClient, type IssuerResponse } from '../issuer/issuer-client.ts';
import { describeResponse, issuerErrorCode, parseBody } from '../issuer/issuer-response.ts';
import { type ChainedLookup, ChainedTokens } from './chained-tokens.ts';
import { compileExtra, type ExtraLocations, extraValues } from './http-response.ts';
import { keyText } from './jwt-signing.ts';
import {
  type ClientAuthMaker,
  type GrantMaker,
  makeClientAuth,
  makeGrant,
  type OAuth2Settings,
  type RequestContext,
  requestToken,
} from './oauth2-request.ts';
import { rawToken } from './raw-token.ts';
import { RefreshTokenStore } from './refresh-token-store.ts';
import { SourceErrors } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** Smaller differences are network and rounding of the `Date` header, not a wrong clock. */
const MIN_SKEW_MS = 30_000;

/**
 * Tokens of an OAuth2 token endpoint. Where the grant gives refresh tokens (`password`, `refresh_token`) they are
 * used first, and a rejected one leads to one new login in the same acquisition.
 */
export class OAuth2Source implements TokenSource {
  readonly kind = 'oauth2';
  readonly key: string;
  readonly #settings: OAuth2Settings;
  readonly #deps: SourceDeps;
  readonly #errors: SourceErrors;
  readonly #chained: ChainedTokens;
  readonly #extra: ExtraLocations;
  readonly #client: IssuerClient;
  readonly #clientAuth: ClientAuthMaker;
  readonly #login: GrantMaker | undefined;
  /** Undefined for grants without refresh tokens. */
  readonly #refreshTokens: RefreshTokenStore | undefined;
  /** How far the issuer's clock is ahead of ours by its last response, an error included; 0 when near enough. */
  #skewMs = 0;

  /** Throws `TokenSourceError` for settings that cannot work. */
  constructor(name: string, settings: OAuth2Settings, deps: SourceDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#errors = new SourceErrors(name, deps.secrets, deps.credentialKeysOf?.(name));
    this.#chained = new ChainedTokens(this.#errors, deps, {
      use: settings.tokenUse ?? 'many',
      sources: [
        settings.clientAssertionToken,
        settings.assertionToken,
        settings.subjectToken,
        settings.actorToken,
      ],
    });
    this.#extra = compileExtra(this.#errors, settings.extra);
    const { baseDir } = deps;
    if (!/^https?:\/\//i.test(settings.tokenUrl) || !URL.canParse(settings.tokenUrl)) {
      throw this.#errors.misconfigured('token_url', 'must be an http:// or https:// URL');
    }
    this.#clientAuth = makeClientAuth(settings, this.#errors, baseDir);
    this.#login = makeGrant(settings, this.#errors, baseDir);
    this.#client = new IssuerClient({ source: name, field: 'token_url', connection: settings, baseDir });
    // A key that was replaced in its file makes another source.
    const keys = [settings.clientAssertion, settings.assertion].map((assertion) =>
      assertion?.key === undefined ? '' : keyText({ ...assertion, key: assertion.key }, baseDir),
    );
    this.key = settingsKey({ ...settings, tls: this.#client.tls, keys, chained: this.#chained.key });
    this.#refreshTokens = this.#makeStore();
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    const store = this.#refreshTokens;
    let refreshToken = await store?.current();
    while (store !== undefined && refreshToken !== undefined) {
      const grant = { grantType: 'refresh_token', parameters: { refresh_token: refreshToken } };
      const used: string = refreshToken;
      const read = async (response: IssuerResponse): Promise<RawToken | null> => {
        if (!isInvalidGrant(response)) return this.#finish(response);
        refreshToken = store.instead(used);
        const isLost = refreshToken === undefined && this.#login === undefined;
        if (isLost) throw this.#errors.refused('refresh_token', response);
        return null;
      };
      const token = await this.#run(context, async () => grant, read);
      if (token !== null) return token;
    }
    return this.#logIn(context);
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#chained.close()]);
  }

  async #logIn(context: AcquireContext): Promise<RawToken> {
    // Only a configuration without a first token gets here: its file holds none.
    if (this.#login === undefined)
      throw this.#errors.misconfigured(
        'refresh_token_file',
        'no refresh token for this issuer. Set refresh_token.',
      );
    return this.#run(context, this.#login, (response) => {
      if (response.status < 300) this.#refreshTokens?.forget();
      return this.#finish(response);
    });
  }

  #run<T>(
    context: AcquireContext,
    makeParameters: GrantMaker,
    read: (response: IssuerResponse) => Promise<T>,
  ): Promise<T> {
    const call = (lookup: ChainedLookup): Promise<IssuerResponse> =>
      this.#call(context, makeParameters, lookup);
    return this.#chained.run({ call, read }, context);
  }

  async #call(
    context: AcquireContext,
    makeParameters: GrantMaker,
    lookup: ChainedLookup,
  ): Promise<IssuerResponse> {
    const nowWallMs = () => context.clock.wallMs() + this.#skewMs;
    const requestContext: RequestContext = {
      nowWallMs,
      tokenOf: async (field, source) => (await lookup(field, source)).token ?? '',
    };
    const clientAuth = this.#clientAuth(requestContext);
    const response = await this.#client.call(async (send) => {
      const skewMs = nowWallMs() - Date.now();
      return requestToken(this.#settings, clientAuth, await makeParameters(requestContext), { skewMs, send });
    }, context);
    const { serverDateWallMs, sentWallMs, receivedWallMs } = response;
    if (serverDateWallMs !== undefined) {
      const skewMs = serverDateWallMs - (sentWallMs + receivedWallMs) / 2;
      this.#skewMs = Math.abs(skewMs) < MIN_SKEW_MS ? 0 : skewMs;
    }
    return response;
  }

  async #finish(response: IssuerResponse): Promise<RawToken> {
    // First of all: the refresh token before it is worthless from now on, even if the rest of the response is invalid.
    const note = await this.#keepRefreshToken(response);
    const token = parseTokenResponse(this.#errors, response, this.#settings.tokenField, this.#extra);
    return note === undefined ? token : { ...token, notes: [...(token.notes ?? []), note] };
  }

  /** Resolves to a note when it cannot be stored; it is used anyway. */
  async #keepRefreshToken(response: IssuerResponse): Promise<string | undefined> {
    const refreshToken = refreshTokenOf(response);
    if (refreshToken === undefined || this.#refreshTokens === undefined) return undefined;
    this.#deps.secrets.add(refreshToken);
    try {
      await this.#refreshTokens.rotate(refreshToken);
      return undefined;
    } catch (error) {
      const code = errorCodeOf(error) ?? 'unknown error';
      return `${this.#errors.source}: refresh_token_file: cannot be written (${code}); a restart will need a new login`;
    }
  }

  #makeStore(): RefreshTokenStore | undefined {
    const { grant, tokenUrl, clientId, refreshToken, refreshTokenFile, username } = this.#settings;
    if (grant !== 'password' && grant !== 'refresh_token') return undefined;
    const path =
      refreshTokenFile === undefined ? undefined : resolve(this.#deps.baseDir ?? '.', refreshTokenFile);
    const pin = settingsKey({ tokenUrl, clientId, refreshToken, username });
    return new RefreshTokenStore({ path, pin, first: refreshToken?.reveal() });
  }
}

/** More tolerant than the RFC: any 2xx, no `token_type`, a form body, expiry in every usual member. */
export function parseTokenResponse(
  errors: SourceErrors,
  response: IssuerResponse,
  tokenField = 'access_token',
  extra: ExtraLocations = new Map(),
): RawToken {
  if (response.status < 200 || response.status > 299) throw errors.refused('token_url', response);
  const body = parseBody(response);
  if (body.kind !== 'json' && body.kind !== 'form') throw errors.notJson('token_url', response);
  const members = body.value as Record<string, unknown> | null;
  const value = typeof members === 'object' ? members?.[tokenField] : undefined;
  if (value === undefined || value === null) {
    const what = `no ${tokenField} in the response: ${describeResponse(response, body)}`;
    throw errors.unusable('token_url', response, body.value, what);
  }
  const refreshIn = Number(members?.refresh_in);
  return rawToken(errors, {
    field: `token_url (${tokenField})`,
    value,
    hints: usualHints(members),
    response,
    nowWallMs: response.receivedWallMs,
    refreshInMs: Number.isFinite(refreshIn) ? refreshIn * 1000 : undefined,
    ...extraValues(errors, extra, response, body),
  });
}

/** The refresh token of a success, even if nothing else of it is usable: a rotated one must not be lost. */
function refreshTokenOf(response: IssuerResponse): string | undefined {
  const body = parseBody(response);
  if (response.status < 200 || response.status > 299 || body.kind !== 'json') return undefined;
  const { value } = resolvePointer(body.value, '/refresh_token');
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Whether the error means that the grant itself (a refresh token) is no longer valid. */
function isInvalidGrant(response: IssuerResponse): boolean {
  const body = parseBody(response);
  return body.kind === 'json' && issuerErrorCode(body.value) === 'invalid_grant';
}
