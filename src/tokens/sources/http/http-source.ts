import { isPointer, resolvePointer } from '../../../lib/json/json-pointer.ts';
import type { ExpiryHint } from '../../expiry/expiry.ts';
import { headerOf, type IssuerClient, type IssuerReply } from '../../issuer/issuer-client.ts';
import { type AnswerBody, readAnswer } from '../../issuer/issuer-response.ts';
import { TemplateError } from '../../template/template.ts';
import { ChainedTokens } from '../chained-tokens.ts';
import { extraValues } from '../extra-values.ts';
import { openIssuer } from '../issuer-connection.ts';
import { rawToken } from '../raw-token.ts';
import { recipeKey } from '../recipe-key.ts';
import { SourceVoice } from '../source-errors.ts';
import {
  type AcquireContext,
  type RawToken,
  type SourceDeps,
  type TokenSource,
  TokenSourceError,
} from '../token-source.ts';
import { HttpRequestRecipe } from './http-request.ts';
import type { HttpSettings } from './http-settings.ts';
import { checkDenied, checkSuccess } from './http-success.ts';
import { compileTokenLocation, cookieHints, type TokenLocation } from './token-location.ts';
import { usualHints } from './usual-hints.ts';

/** Tokens of any HTTP interface that can be declared: request, success, place of the token, its expiry. */
export class HttpSource implements TokenSource {
  readonly kind = 'http';
  readonly key: string;
  readonly #settings: HttpSettings;
  readonly #chained: ChainedTokens;
  readonly #voice: SourceVoice;
  readonly #client: IssuerClient;
  readonly #recipe: HttpRequestRecipe;
  readonly #locate: TokenLocation;

  /** Throws `TokenSourceError` for settings that cannot work. */
  constructor(name: string, settings: HttpSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#voice = new SourceVoice(name, deps.secrets);
    this.#chained = new ChainedTokens(this.#voice, deps);
    const bodies = [settings.bodyJson, settings.bodyForm, settings.bodyText];
    if (bodies.filter((body) => body !== undefined).length > 1) {
      throw this.#voice.error('body_json', 'body_form and body_text exclude each other', 'credentials');
    }
    this.#recipe = this.#describingTemplates(() => new HttpRequestRecipe(settings));
    this.#locate = compileTokenLocation(this.#voice, settings.tokenAt);
    const { client, tls } = openIssuer(this.#voice, 'url', settings, deps.baseDir);
    this.#client = client;
    this.key = recipeKey({ ...settings, tls });
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    const { clock, force } = context;
    const { token: chained } = this.#settings;
    const reply = await this.#client.call(async () => {
      const token =
        chained === undefined ? undefined : await this.#chained.tokenOf('token', chained, context);
      return this.#describingTemplates(() =>
        this.#recipe.render({ nowWallMs: clock.wallMs(), token, force }),
      );
    }, context);
    const answer = readAnswer(reply);
    checkDenied(this.#voice, this.#settings.denied, reply, answer);
    checkSuccess(this.#voice, this.#settings.success, reply, answer);
    return this.#read(reply, answer);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #read(reply: IssuerReply, answer: AnswerBody): RawToken {
    const { tokenAt, refreshIn, extra } = this.#settings;
    const value = this.#locate(reply, answer);
    const refreshSeconds =
      refreshIn === undefined ? Number.NaN : Number(pointed(answer, refreshIn) ?? Number.NaN);
    return rawToken(this.#voice, {
      field: tokenAt.startsWith('regex:') ? 'token_at regex:...' : `token_at ${tokenAt}`,
      value,
      hints: this.#hints(reply, answer),
      reply,
      nowWallMs: reply.receivedWallMs,
      refreshInMs: Number.isNaN(refreshSeconds) ? undefined : refreshSeconds * 1000,
      ...extraValues(this.#voice, answer.kind === 'json' ? answer.value : undefined, extra),
    });
  }

  #hints(reply: IssuerReply, answer: AnswerBody): ExpiryHint[] {
    const { expiresAt, tokenAt } = this.#settings;
    if (expiresAt?.as === 'jwt') return [];
    if (expiresAt?.pointer === undefined && expiresAt?.header === undefined) {
      if (tokenAt.startsWith('cookie:')) return cookieHints(reply, tokenAt.slice('cookie:'.length));
      const parent = isPointer(tokenAt) ? tokenAt.slice(0, tokenAt.lastIndexOf('/')) : '';
      return usualHints(pointed(answer, parent));
    }
    const { pointer, header, as = 'auto', unit = 'auto' } = expiresAt;
    const hints: ExpiryHint[] = [];
    if (pointer !== undefined) hints.push({ origin: pointer, value: pointed(answer, pointer), as, unit });
    if (header !== undefined) hints.push({ origin: header, value: headerOf(reply, header), as, unit });
    return hints;
  }

  #describingTemplates<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof TokenSourceError) throw error;
      if (!(error instanceof TemplateError)) throw error;
      const isUrl = error.message.startsWith('is no http') || error.message.startsWith('may have');
      throw this.#voice.error(isUrl ? 'url' : 'template:', error.message, 'credentials');
    }
  }
}

function pointed(answer: AnswerBody, pointer: string): unknown {
  return answer.kind === 'json' || answer.kind === 'form'
    ? resolvePointer(answer.value, pointer).value
    : undefined;
}
