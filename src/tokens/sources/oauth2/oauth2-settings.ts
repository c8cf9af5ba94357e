import type { Secret } from '../../../lib/secret.ts';
import type { ProxySetting } from '../../issuer/issuer-dispatcher.ts';
import type { TlsSettings } from '../../issuer/issuer-tls.ts';
import type { TemplateJson } from '../../template/template.ts';

type OAuth2Grant = 'client_credentials' | 'password' | 'refresh_token' | 'jwt_bearer' | 'token_exchange';

type OAuth2ClientAuth = 'basic' | 'post' | 'private_key_jwt' | 'client_secret_jwt' | 'mtls' | 'none';

/** How we sign: a client assertion (`private_key_jwt`) or the assertion of the `jwt_bearer` grant. */
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

/** A token endpoint of RFC 6749 and its relatives. */
export interface OAuth2Settings {
  readonly type: 'oauth2';
  readonly tokenUrl: string;
  readonly grant: OAuth2Grant;
  readonly clientId?: string;
  readonly clientSecret?: Secret;
  readonly auth: OAuth2ClientAuth;
  /** `loose`: id and secret go into Basic as they are, for servers that do not decode them (RFC 6749 2.3.1). */
  readonly authEncoding?: 'strict' | 'loose';
  /** `json` for servers that want the parameters as a JSON object. */
  readonly bodyFormat?: 'form' | 'json';
  readonly scope?: string;
  /** Further parameters: `audience`, `resource`. A list is sent as a repeated parameter. */
  readonly params?: Readonly<Record<string, string | Secret | readonly string[]>>;
  readonly headers?: Readonly<Record<string, string | Secret>>;
  /** Grant `password`. */
  readonly username?: string;
  readonly password?: Secret;
  /** Grant `refresh_token`: the first one. Rotated ones replace it. */
  readonly refreshToken?: Secret;
  /** Where rotated refresh tokens are kept over a restart (mode 0600). Without it they are kept in memory. */
  readonly refreshTokenFile?: string;
  /** `private_key_jwt` and `client_secret_jwt`: how the client assertion is made. */
  readonly clientAssertion?: AssertionSettings;
  /** `private_key_jwt`: another source whose token is the client assertion (federated identities). */
  readonly clientAssertionToken?: string;
  /** Grant `jwt_bearer`: how the assertion is signed; its claims name `iss`, `sub`, `scope`. */
  readonly assertion?: AssertionSettings;
  /** Grant `jwt_bearer`: another source whose token is the assertion. */
  readonly assertionToken?: string;
  /** Grant `token_exchange`: the source whose token is exchanged, and what it is. */
  readonly subjectToken?: string;
  readonly subjectTokenType?: string;
  readonly actorToken?: string;
  readonly actorTokenType?: string;
  /** The member that is the token; `access_token` by default, `id_token` for some gateways. */
  readonly tokenField?: string;
  /** Further values of the answer that placements can name: name to JSON pointer. */
  readonly extra?: Readonly<Record<string, string>>;
  readonly tls?: TlsSettings;
  readonly proxy?: ProxySetting;
}
