import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { Secret } from '../../../lib/secret.ts';
import { RequestScope } from '../../template/request-scope.ts';
import { Template, TemplateError, type TemplateJson, TemplateTree } from '../../template/template.ts';
import { rawToken } from '../raw-token.ts';
import { recipeKey } from '../recipe-key.ts';
import { SourceVoice } from '../source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from '../token-source.ts';
import { keyText, keyTrouble, readSigningKey, signClaims } from './signing.ts';

/** A token that we sign ourselves: Zhipu, Snowflake, service accounts of Google. */
export interface JwtSettings {
  readonly type: 'jwt';
  /** Any algorithm of jose. */
  readonly alg: string;
  /** PEM text or the path of a PEM file; for HS algorithms the shared secret itself, however short. */
  readonly key: Secret;
  readonly passphrase?: Secret;
  /** Further members of the header. Texts may be templates, here and in `claims`. */
  readonly header?: Readonly<Record<string, TemplateJson>>;
  /** `iat` and `exp` are added in seconds when they are not here. */
  readonly claims?: Readonly<Record<string, TemplateJson>>;
  readonly vars?: Readonly<Record<string, string | number | Secret>>;
  readonly ttlMs: number;
}

/**
 * Signs a JWT for each acquisition. Templates know `key_sha256` beside the usual names: the SHA-256 of the public
 * key (SubjectPublicKeyInfo, base64), which Snowflake wants in `iss`.
 */
export class JwtSource implements TokenSource {
  readonly kind = 'jwt';
  readonly key: string;
  readonly #settings: JwtSettings;
  readonly #voice: SourceVoice;
  readonly #signingKey: KeyObject | Uint8Array;
  readonly #header: TemplateTree;
  readonly #claims: TemplateTree;
  readonly #vars: ReadonlyMap<string, Template>;

  constructor(name: string, settings: JwtSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#voice = new SourceVoice(name, deps.secrets);
    this.key = recipeKey({ ...settings, keyText: keyText({ ...settings, baseDir: deps.baseDir }) });
    try {
      this.#signingKey = readSigningKey({ ...settings, baseDir: deps.baseDir });
    } catch (error) {
      throw this.#voice.error('key', `cannot be read (${keyTrouble(error)})`, 'credentials');
    }
    try {
      this.#header = TemplateTree.compile(settings.header ?? {});
      this.#claims = TemplateTree.compile(settings.claims ?? {});
      const vars = Object.entries(settings.vars ?? {});
      this.#vars = new Map(vars.map(([variable, text]) => [variable, Template.compile(text)]));
      // Rendered once for nothing: an unknown name is found here, not at the first token.
      this.#render(deps.clock.wallMs());
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw this.#voice.error('claims', error.message, 'credentials');
    }
  }

  async acquire({ clock }: AcquireContext): Promise<RawToken> {
    const nowWallMs = clock.wallMs();
    const { header, claims } = this.#render(nowWallMs);
    const { alg, ttlMs } = this.#settings;
    let value: string;
    try {
      value = await signClaims({ typ: 'JWT', ...header, alg }, claims, this.#signingKey);
    } catch {
      throw this.#voice.error('key', `does not fit alg ${alg}`, 'credentials');
    }
    const hints = [{ origin: 'ttl', value: ttlMs, as: 'relative', unit: 'ms' } as const];
    return rawToken(this.#voice, { field: 'claims', value, hints, nowWallMs });
  }

  #render(nowWallMs: number): { header: Record<string, unknown>; claims: Record<string, unknown> } {
    const given = { key_sha256: this.#keySha256() };
    const scope = new RequestScope({ nowWallMs, vars: this.#vars, fields: new Map(), given });
    const nowSeconds = Math.floor(nowWallMs / 1000);
    const times = { iat: nowSeconds, exp: nowSeconds + Math.ceil(this.#settings.ttlMs / 1000) };
    return {
      header: this.#header.render(scope) as Record<string, unknown>,
      claims: { ...times, ...(this.#claims.render(scope) as Record<string, unknown>) },
    };
  }

  /** Empty for shared secrets: their digest is nobody's business. */
  #keySha256(): string {
    if (this.#signingKey instanceof Uint8Array) return '';
    const spki = createPublicKey(this.#signingKey).export({ type: 'spki', format: 'der' });
    return createHash('sha256').update(spki).digest('base64');
  }
}
