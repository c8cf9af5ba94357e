import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { Secret } from '../../lib/secret.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { RequestScope } from '../template/request-scope.ts';
import { Template, TemplateError, type TemplateJson, TemplateTree } from '../template/template.ts';
import { keyErrorCode, keyText, readSigningKey, signClaims } from './jwt-signing.ts';
import { rawToken } from './raw-token.ts';
import { SourceErrors } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** A token that is signed here: Zhipu, Snowflake, Google service accounts. */
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
 * Signs a JWT for each acquisition. Templates have `key_sha256` beside the usual names: the SHA-256 of the public
 * key (SubjectPublicKeyInfo, base64), which Snowflake requires in `iss`.
 */
export class JwtSource implements TokenSource {
  readonly kind = 'jwt';
  readonly key: string;
  readonly #settings: JwtSettings;
  readonly #errors: SourceErrors;
  readonly #signingKey: KeyObject | Uint8Array;
  readonly #header: TemplateTree;
  readonly #claims: TemplateTree;
  readonly #vars: ReadonlyMap<string, Template>;

  /** Throws `TokenSourceError` for settings that cannot work. */
  constructor(name: string, settings: JwtSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#errors = new SourceErrors(name, deps.secrets);
    this.key = settingsKey({ ...settings, keyText: keyText(settings, deps.baseDir) });
    try {
      this.#signingKey = readSigningKey(settings, deps.baseDir);
    } catch (error) {
      throw this.#errors.misconfigured('key', `cannot read the key (${keyErrorCode(error)})`);
    }
    try {
      this.#header = TemplateTree.compile(settings.header ?? {});
      this.#claims = TemplateTree.compile(settings.claims ?? {});
      const vars = Object.entries(settings.vars ?? {});
      this.#vars = new Map(vars.map(([variable, text]) => [variable, Template.compile(text)]));
      // Rendered once to find an unknown name at load and not at the first token.
      this.#render(deps.clock.wallMs());
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw this.#errors.misconfigured('claims', error.message);
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
      throw this.#errors.misconfigured('key', `does not fit alg ${alg}`);
    }
    const hints = [{ origin: 'ttl', value: ttlMs, as: 'relative', unit: 'ms' } as const];
    return rawToken(this.#errors, { field: 'claims', value, hints, nowWallMs });
  }

  #render(nowWallMs: number): { header: object; claims: Record<string, unknown> } {
    const given = { key_sha256: this.#keySha256() };
    const scope = new RequestScope({ nowWallMs, vars: this.#vars, fields: new Map(), given });
    const nowSeconds = Math.floor(nowWallMs / 1000);
    const times = { iat: nowSeconds, exp: nowSeconds + Math.ceil(this.#settings.ttlMs / 1000) };
    return {
      header: this.#header.render(scope) as object,
      claims: { ...times, ...(this.#claims.render(scope) as object) },
    };
  }

  /** Empty for shared secrets, whose digest must not leave. */
  #keySha256(): string {
    if (this.#signingKey instanceof Uint8Array) return '';
    const spki = createPublicKey(this.#signingKey).export({ type: 'spki', format: 'der' });
    return createHash('sha256').update(spki).digest('base64');
  }
}
