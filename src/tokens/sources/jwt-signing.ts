import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { CompactSign } from 'jose';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { isPem, readPem } from '../../lib/net/tls.ts';
import type { Secret } from '../../lib/secret.ts';
import { RequestScope } from '../template/request-scope.ts';
import { TemplateError, type TemplateJson, TemplateTree } from '../template/template.ts';
import type { SourceErrors } from './source-errors.ts';

/** A signing key: PEM text or the path of a PEM file; for HS algorithms the shared secret itself. */
interface KeySettings {
  readonly alg?: string;
  readonly key: Secret;
  readonly passphrase?: Secret | undefined;
}

/**
 * The key in the form that jose signs with. HS keys are taken literally, however short: the issuer chose them. Throws
 * the errors of the file system and of OpenSSL, whose texts hold no key.
 */
export function readSigningKey(settings: KeySettings, baseDir: string | undefined): KeyObject | Uint8Array {
  if (isShared(settings)) return Buffer.from(settings.key.reveal());
  const passphrase = settings.passphrase?.reveal();
  return createPrivateKey({
    key: pemText(settings, baseDir),
    ...(passphrase === undefined ? {} : { passphrase }),
  });
}

/** The key's own text, for the source's key: a changed file is another signing key. Empty when it is unreadable. */
export function keyText(settings: KeySettings, baseDir: string | undefined): string {
  try {
    return isShared(settings) ? settings.key.reveal() : pemText(settings, baseDir);
  } catch {
    return '';
  }
}

function isShared({ alg }: KeySettings): boolean {
  return alg?.startsWith('HS') === true;
}

function pemText({ key }: KeySettings, baseDir: string | undefined): string {
  const material = key.reveal();
  // Keys in environment variables often carry their line ends as two characters.
  return readPem(isPem(material) ? material.replaceAll('\\n', '\n') : material, baseDir);
}

/** Why a key cannot be read, as a code: messages of OpenSSL are for specialists. */
export function keyErrorCode(error: unknown): string {
  return errorCodeOf(error) ?? 'not PEM';
}

/** A compact JWS over claims that jose does not check: Zhipu requires `exp` in milliseconds. */
export async function signClaims(
  header: Readonly<Record<string, unknown>> & { readonly alg: string },
  claims: Readonly<Record<string, unknown>>,
  key: KeyObject | Uint8Array,
): Promise<string> {
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  return new CompactSign(payload).setProtectedHeader(header).sign(key);
}

/** A client assertion (`private_key_jwt`) or the assertion of the `jwt_bearer` grant. */
export interface AssertionSettings {
  /** Any algorithm of jose; RS256 by default. */
  readonly alg?: string;
  /** PEM text or the path of a PEM file. */
  readonly key?: Secret;
  readonly passphrase?: Secret;
  /** `aud`; the token URL by default. */
  readonly audience?: string;
  /** Further members of the header: `kid`, `x5t#S256`. Texts may be templates. */
  readonly header?: Readonly<Record<string, TemplateJson>>;
  /** Further or other claims. Texts may be templates. */
  readonly claims?: Readonly<Record<string, TemplateJson>>;
  /** Life of the assertion; one minute by default. */
  readonly ttlMs?: number;
}

/** Signs one assertion. `nowWallMs` is the issuer's time as far as it is known; configured claims override `claims`. */
type SignAssertion = (nowWallMs: number, claims: Readonly<Record<string, unknown>>) => Promise<string>;

const DEFAULT_TTL_MS = 60_000;

/** Makes the signer for the settings under `field`. Each assertion is new: servers refuse a second use of a `jti`. */
export function assertionSigner(
  errors: SourceErrors,
  field: string,
  settings: AssertionSettings & { readonly key: Secret },
  baseDir: string | undefined,
): SignAssertion {
  const { alg = 'RS256', audience, ttlMs = DEFAULT_TTL_MS } = settings;
  let key: KeyObject | Uint8Array;
  let header: TemplateTree;
  let extraClaims: TemplateTree;
  try {
    key = readSigningKey({ ...settings, alg }, baseDir);
    header = TemplateTree.compile(settings.header ?? {});
    extraClaims = TemplateTree.compile(settings.claims ?? {});
  } catch (error) {
    const what = error instanceof TemplateError ? error.message : `cannot read key (${keyErrorCode(error)})`;
    throw errors.misconfigured(field, what);
  }
  return async (nowWallMs, claims) => {
    const scope = new RequestScope({ nowWallMs, vars: new Map(), fields: new Map() });
    const nowSeconds = Math.floor(nowWallMs / 1000);
    return signClaims(
      { typ: 'JWT', ...(header.render(scope) as object), alg },
      {
        ...claims,
        ...(audience === undefined ? {} : { aud: audience }),
        jti: randomUUID(),
        iat: nowSeconds,
        nbf: nowSeconds,
        exp: nowSeconds + Math.ceil(ttlMs / 1000),
        ...(extraClaims.render(scope) as object),
      },
      key,
    );
  };
}
