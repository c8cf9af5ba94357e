import { type KeyObject, randomUUID } from 'node:crypto';
import { RequestScope } from '../../template/request-scope.ts';
import { type Template, TemplateError, TemplateTree } from '../../template/template.ts';
import type { AssertionSettings } from '../oauth2/oauth2-settings.ts';
import type { SourceVoice } from '../source-errors.ts';
import { keyTrouble, readSigningKey, signClaims } from './signing.ts';

const DEFAULT_TTL_MS = 60_000;

type KeyedAssertion = AssertionSettings & Required<Pick<AssertionSettings, 'key'>>;

/** A signer for the settings under `field`; what is wrong with them becomes an error that names it. */
export function makeSigner(
  voice: SourceVoice,
  field: string,
  settings: KeyedAssertion,
  baseDir: string | undefined,
): AssertionSigner {
  try {
    return new AssertionSigner(settings, baseDir);
  } catch (error) {
    const why = error instanceof TemplateError ? error.message : `key cannot be read (${keyTrouble(error)})`;
    throw voice.error(field, why, 'credentials');
  }
}

/** Signs assertions by settings. Each one is new: servers remember `jti` and refuse a second use. */
class AssertionSigner {
  readonly #settings: AssertionSettings;
  readonly #alg: string;
  readonly #key: KeyObject | Uint8Array;
  readonly #header: TemplateTree;
  readonly #claims: TemplateTree;

  /** Throws when the key cannot be read or a template is wrong. */
  constructor(settings: KeyedAssertion, baseDir: string | undefined) {
    this.#settings = settings;
    this.#alg = settings.alg ?? 'RS256';
    this.#key = readSigningKey({
      alg: this.#alg,
      key: settings.key,
      passphrase: settings.passphrase,
      baseDir,
    });
    this.#header = TemplateTree.compile(settings.header ?? {});
    this.#claims = TemplateTree.compile(settings.claims ?? {});
  }

  /** `nowWallMs` is the issuer's time as far as it is known; `claims` are overridden by the configured ones. */
  async sign(nowWallMs: number, claims: Readonly<Record<string, unknown>>): Promise<string> {
    const scope = new RequestScope({ nowWallMs, vars: new Map<string, Template>(), fields: new Map() });
    const nowSeconds = Math.floor(nowWallMs / 1000);
    const ttlSeconds = Math.ceil((this.#settings.ttlMs ?? DEFAULT_TTL_MS) / 1000);
    return signClaims(
      { typ: 'JWT', ...object(this.#header.render(scope)), alg: this.#alg },
      {
        ...claims,
        ...(this.#settings.audience === undefined ? {} : { aud: this.#settings.audience }),
        jti: randomUUID(),
        iat: nowSeconds,
        nbf: nowSeconds,
        exp: nowSeconds + ttlSeconds,
        ...object(this.#claims.render(scope)),
      },
      this.#key,
    );
  }
}

function object(rendered: unknown): Record<string, unknown> {
  return rendered as Record<string, unknown>;
}
