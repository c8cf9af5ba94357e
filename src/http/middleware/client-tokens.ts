import { hash } from 'node:crypto';
import {
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import NodeCache from 'node-cache';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import { anyMatcher } from '../../routing/glob.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';

/** Whose tokens are accepted in place of a key, and what is read of them. */
export interface ClientTokenIssuer {
  readonly issuer: string;
  /** `aud` must contain one of these. */
  readonly audience: readonly string[];
  /** Where its keys are; null: as its discovery document says. */
  readonly jwks: string | null;
  readonly nameClaim: string;
  readonly modelsClaim: string | null;
  readonly leewayMs: number;
  readonly fetch: typeof fetch;
  /** Name, models and paths of the configured client. */
  readonly client: ClientIdentity;
}

/** Signatures that only the issuer can make. Not HS256: its key would have to be here. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const FETCH_TIMEOUT_MS = 5_000;
/** Keys are fetched again for an unknown key id, at most so often. */
const KEY_COOLDOWN_MS = 30_000;
const KEY_LIFE_MS = 600_000;
/** A verified token is not verified again for so long: a signature costs 50 µs and more. */
const VERIFIED_SECONDS = 60;
const MAX_VERIFIED = 10_000;
const MAX_NAME_LENGTH = 128;

/** Identifies clients by the company's own tokens (JWT), with the issuer's keys (RFC 7519, RFC 7517). */
export class ClientTokens {
  readonly #issuers: readonly { readonly settings: ClientTokenIssuer; readonly keys: KeySource }[];
  readonly #verified = new NodeCache({
    stdTTL: VERIFIED_SECONDS,
    checkperiod: VERIFIED_SECONDS,
    maxKeys: MAX_VERIFIED,
    useClones: false,
  });

  constructor(issuers: readonly ClientTokenIssuer[]) {
    this.#issuers = issuers.map((settings) => ({ settings, keys: new KeySource(settings) }));
  }

  /**
   * The client that a token names; null: the text is no token of a configured issuer. Throws `invalid_api_key` with the
   * reason for one that is not valid, and `overloaded` when the issuer's keys cannot be fetched.
   */
  async identify(token: string): Promise<ClientIdentity | null> {
    const key = hash('sha256', token, 'base64');
    const known = this.#verified.get<Verified>(key);
    if (known !== undefined && known.expiresAtMs > Date.now()) return known.identity;
    const issuerName = issuerOf(token);
    const found = this.#issuers.filter(({ settings }) => settings.issuer === issuerName);
    let problem: FerryError | null = null;
    for (const { settings, keys } of found) {
      try {
        const claims = await verify(token, settings, keys);
        const identity = identityOf(claims, settings);
        const expiresAtMs = (claims.exp ?? 0) * 1000 + settings.leewayMs;
        if (this.#verified.keys().length < MAX_VERIFIED) this.#verified.set(key, { identity, expiresAtMs });
        return identity;
      } catch (error) {
        if (!(error instanceof FerryError)) throw error;
        problem = error;
      }
    }
    if (problem !== null) throw problem;
    return null;
  }

  close(): void {
    this.#verified.close();
  }
}

interface Verified {
  readonly identity: ClientIdentity;
  readonly expiresAtMs: number;
}

/** The keys of one issuer: found by discovery when their address is not configured, kept and fetched again by jose. */
class KeySource {
  readonly #settings: ClientTokenIssuer;
  #keys: Promise<JWTVerifyGetKey> | null = null;
  #failedAtMs = Number.NEGATIVE_INFINITY;
  #failure: unknown = null;

  constructor(settings: ClientTokenIssuer) {
    this.#settings = settings;
  }

  async get(): Promise<JWTVerifyGetKey> {
    // A discovery that failed is not tried by each request.
    if (this.#keys === null && performance.now() - this.#failedAtMs < KEY_COOLDOWN_MS / 10)
      throw this.#failure;
    this.#keys ??= this.#find();
    try {
      return await this.#keys;
    } catch (error) {
      this.#keys = null;
      this.#failure = error;
      this.#failedAtMs = performance.now();
      throw error;
    }
  }

  async #find(): Promise<JWTVerifyGetKey> {
    const { jwks, fetch: send } = this.#settings;
    return createRemoteJWKSet(new URL(jwks ?? (await this.#discover())), {
      timeoutDuration: FETCH_TIMEOUT_MS,
      cooldownDuration: KEY_COOLDOWN_MS,
      cacheMaxAge: KEY_LIFE_MS,
      [customFetch]: (url, init) => send(url, init),
    });
  }

  /** `jwks_uri` of the discovery document (OpenID Connect Discovery 1.0, section 4). */
  async #discover(): Promise<string> {
    const { issuer, fetch: send } = this.#settings;
    const response = await send(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
    const document: unknown = response.ok ? await response.json() : await response.body?.cancel();
    const uri = isJsonObject(document) && document.issuer === issuer ? document.jwks_uri : null;
    if (typeof uri !== 'string')
      throw new Error(`no jwks_uri in its discovery document (status ${response.status})`);
    return uri;
  }
}

async function verify(token: string, settings: ClientTokenIssuer, source: KeySource): Promise<JWTPayload> {
  let keys: JWTVerifyGetKey;
  try {
    keys = await source.get();
  } catch (cause) {
    throw keysUnavailable(settings, cause);
  }
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: settings.issuer,
      audience: [...settings.audience],
      algorithms: ALGORITHMS,
      clockTolerance: settings.leewayMs / 1000,
      requiredClaims: ['exp'],
    });
    return payload;
  } catch (error) {
    throw isAboutToken(error) ? invalidToken(error) : keysUnavailable(settings, error);
  }
}

/** Everything else is about the fetch of the keys. */
function isAboutToken(error: unknown): error is errors.JOSEError {
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    error.code !== 'ERR_JOSE_GENERIC'
  );
}

function invalidToken(error: errors.JOSEError): FerryError {
  let reason = 'its signature or form is not valid';
  if (error instanceof errors.JWTExpired) reason = 'it has expired: get a new one';
  else if (error instanceof errors.JWTClaimValidationFailed)
    reason = `its claim "${error.claim}" is not accepted (clients[].jwt, or the clocks differ)`;
  else if (error instanceof errors.JWKSNoMatchingKey) reason = 'the issuer has no key of its key id';
  else if (error instanceof errors.JOSEAlgNotAllowed) reason = 'its algorithm is not accepted';
  return new FerryError('invalid_api_key', {
    message: `Invalid token in place of the API key: ${reason}.`,
    cause: error,
  });
}

function keysUnavailable({ client }: ClientTokenIssuer, cause: unknown): FerryError {
  return new FerryError('overloaded', {
    message: `The token cannot be checked now: the keys of the issuer of clients "${client.name}" cannot be fetched. Retry in some seconds.`,
    retryAfterMs: FETCH_TIMEOUT_MS,
    detail: `clients "${client.name}": jwt: the issuer's keys cannot be fetched: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause,
  });
}

/** The `iss` of what may be a token, unchecked; null: it is none. */
function issuerOf(token: string): string | null {
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}

/** The configured client, with the person's name and no more models than the token names. */
function identityOf(
  claims: JWTPayload,
  { nameClaim, modelsClaim, client }: ClientTokenIssuer,
): ClientIdentity {
  const name = claims[nameClaim];
  const user = typeof name === 'string' ? name.slice(0, MAX_NAME_LENGTH) : null;
  if (modelsClaim === null) return { ...client, user };
  const named = modelsOf(claims[modelsClaim]);
  const mayUse = named.length === 0 ? () => false : anyMatcher(named);
  const { mayUseModel } = client;
  return {
    ...client,
    user,
    mayUseModel: (model) => mayUse(model) && (mayUseModel === null || mayUseModel(model)),
  };
}

function modelsOf(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(/\s+/).filter((name) => name !== '');
  return Array.isArray(claim) ? claim.filter((name): name is string => typeof name === 'string') : [];
}
