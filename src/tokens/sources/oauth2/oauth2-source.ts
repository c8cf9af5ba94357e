import { resolve } from 'node:path';
import type { IssuerClient, IssuerReply } from '../../issuer/issuer-client.ts';
import { ChainedTokens } from '../chained-tokens.ts';
import { openIssuer } from '../issuer-connection.ts';
import { keyText } from '../jwt/signing.ts';
import { recipeKey } from '../recipe-key.ts';
import { SourceVoice } from '../source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from '../token-source.ts';
import { makeClientAuth } from './oauth2-client-auth.ts';
import { type GrantMaker, makeGrant } from './oauth2-grant.ts';
import { buildTokenRequest, type GrantParameters } from './oauth2-request.ts';
import { isInvalidGrant, readOAuth2Answer, refreshTokenOf } from './oauth2-response.ts';
import type { OAuth2Settings } from './oauth2-settings.ts';
import { RefreshTokenStore } from './refresh-token-store.ts';

/** Smaller differences are network and rounding of the `Date` header, not a wrong clock. */
const SKEW_WORTH_KNOWING_MS = 30_000;

/**
 * Tokens of an OAuth2 token endpoint. Where the grant gives refresh tokens (`password`, `refresh_token`) they are
 * used first, and a refused one leads to one new login in the same acquisition.
 */
export class OAuth2Source implements TokenSource {
  readonly kind = 'oauth2';
  readonly key: string;
  readonly #settings: OAuth2Settings;
  readonly #deps: SourceDeps;
  readonly #chained: ChainedTokens;
  readonly #voice: SourceVoice;
  readonly #client: IssuerClient;
  readonly #clientAuth: ReturnType<typeof makeClientAuth>;
  readonly #login: GrantMaker | undefined;
  /** Undefined for grants without refresh tokens. */
  readonly #refreshTokens: RefreshTokenStore | undefined;
  /** How far the issuer's clock is ahead of ours by its last answer, a refusal included; 0 when near enough. */
  #skewMs = 0;

  /** Throws `TokenSourceError` for settings that cannot work. */
  constructor(name: string, settings: OAuth2Settings, deps: SourceDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#voice = new SourceVoice(name, deps.secrets);
    this.#chained = new ChainedTokens(this.#voice, deps);
    if (!/^https?:\/\//i.test(settings.tokenUrl) || !URL.canParse(settings.tokenUrl)) {
      throw this.#voice.error('token_url', 'is no http:// or https:// URL', 'credentials');
    }
    if ((settings.clientId ?? '') === '' && settings.auth !== 'none') {
      throw this.#voice.error('client_id', `is missing, auth: ${settings.auth} needs it`, 'credentials');
    }
    const { client, tls } = openIssuer(this.#voice, 'token_url', settings, deps.baseDir);
    this.#client = client;
    this.key = recipeKey({ ...settings, tls, keys: this.#keyTexts() });
    this.#clientAuth = makeClientAuth(settings, this.#voice, deps.baseDir);
    this.#login = makeGrant(settings, this.#voice, deps.baseDir);
    this.#refreshTokens = this.#makeStore();
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    const store = this.#refreshTokens;
    let refreshToken = await store?.current();
    while (store !== undefined && refreshToken !== undefined) {
      const grant = { grantType: 'refresh_token', parameters: { refresh_token: refreshToken } };
      const reply = await this.#ask(context, async () => grant);
      if (!isInvalidGrant(reply)) return this.#finish(reply);
      refreshToken = store.instead(refreshToken);
      const isLost = refreshToken === undefined && this.#login === undefined;
      if (isLost) throw this.#voice.refusal('refresh_token', reply);
    }
    return this.#logIn(context);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #logIn(context: AcquireContext): Promise<RawToken> {
    const login = this.#login;
    // Only a configuration without a first token gets here: the file that should hold one does not.
    if (login === undefined)
      throw this.#voice.error('refresh_token_file', 'holds no token for this issuer', 'credentials');
    const reply = await this.#ask(context, () =>
      login({ nowWallMs: () => this.#nowMs(context), tokenOf: (name) => this.#tokenOf(name, context) }),
    );
    if (reply.status < 300) this.#refreshTokens?.forget();
    return this.#finish(reply);
  }

  async #ask(context: AcquireContext, grant: () => Promise<GrantParameters>): Promise<IssuerReply> {
    const clientAuth = this.#clientAuth({
      nowWallMs: () => this.#nowMs(context),
      tokenOf: (name) => this.#tokenOf(name, context),
    });
    const make = async () => {
      const skewMs = this.#nowMs(context) - Date.now();
      return buildTokenRequest(this.#settings, clientAuth, await grant(), skewMs);
    };
    const reply = await this.#client.call(make, context);
    if (reply.serverDateWallMs !== undefined) {
      const skewMs = reply.serverDateWallMs - (reply.sentWallMs + reply.receivedWallMs) / 2;
      this.#skewMs = Math.abs(skewMs) < SKEW_WORTH_KNOWING_MS ? 0 : skewMs;
    }
    return reply;
  }

  async #finish(reply: IssuerReply): Promise<RawToken> {
    const { tokenField = 'access_token', extra } = this.#settings;
    // First of all: the token before it is worthless from now on, even if the rest of the answer is.
    const trouble = await this.#keepRefreshToken(reply);
    const token = readOAuth2Answer(this.#voice, reply, tokenField, extra);
    return trouble === undefined ? token : { ...token, notes: [...(token.notes ?? []), trouble] };
  }

  /** Resolves to a note when it cannot be stored; it is used all the same. */
  async #keepRefreshToken(reply: IssuerReply): Promise<string | undefined> {
    const refreshToken = refreshTokenOf(reply);
    if (refreshToken === undefined || this.#refreshTokens === undefined) return undefined;
    this.#deps.secrets.add(refreshToken);
    try {
      await this.#refreshTokens.rotate(refreshToken);
      return undefined;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      return `${this.#voice.label('refresh_token_file')} cannot be written (${code}): a restart needs a new login`;
    }
  }

  #nowMs(context: AcquireContext): number {
    return context.clock.wallMs() + this.#skewMs;
  }

  #tokenOf(sourceName: string, context: AcquireContext): Promise<string> {
    const { subjectToken, actorToken, assertionToken } = this.#settings;
    const fields = new Map([
      [assertionToken, 'assertion_token'],
      [actorToken, 'actor_token'],
      [subjectToken, 'subject_token'],
    ]);
    return this.#chained.tokenOf(fields.get(sourceName) ?? 'client_assertion_token', sourceName, context);
  }

  /** A key that was replaced in its file is another recipe. */
  #keyTexts(): string[] {
    return [this.#settings.clientAssertion, this.#settings.assertion].map((assertion) =>
      assertion?.key === undefined
        ? ''
        : keyText({ ...assertion, key: assertion.key, baseDir: this.#deps.baseDir }),
    );
  }

  #makeStore(): RefreshTokenStore | undefined {
    const { grant, tokenUrl, clientId, refreshToken, refreshTokenFile, username } = this.#settings;
    if (grant !== 'password' && grant !== 'refresh_token') return undefined;
    const path =
      refreshTokenFile === undefined ? undefined : resolve(this.#deps.baseDir ?? '.', refreshTokenFile);
    const pin = recipeKey({ tokenUrl, clientId, refreshToken, username });
    return new RefreshTokenStore({ path, pin, first: refreshToken?.reveal() });
  }
}
