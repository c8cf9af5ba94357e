import * as oauth from 'oauth4webapi';
import { Secret } from '../../lib/secret.ts';
import type { ConnectionSettings, IssuerResponse, SendToIssuer } from '../issuer/issuer-client.ts';
import type { TokenUse } from './chained-tokens.ts';
import { type AssertionSettings, assertionSigner } from './jwt-signing.ts';
import type { SourceErrors } from './source-errors.ts';

type OAuth2Grant = 'client_credentials' | 'password' | 'refresh_token' | 'jwt_bearer' | 'token_exchange';

type OAuth2ClientAuth = 'basic' | 'post' | 'private_key_jwt' | 'client_secret_jwt' | 'mtls' | 'none';

/** A token endpoint of RFC 6749 and its relatives. */
export interface OAuth2Settings extends ConnectionSettings {
  readonly type: 'oauth2';
  readonly tokenUrl: string;
  readonly grant: OAuth2Grant;
  readonly clientId?: string;
  readonly clientSecret?: Secret;
  readonly auth: OAuth2ClientAuth;
  /** `loose`: id and secret go into Basic literally, for servers that do not decode them (RFC 6749 2.3.1). */
  readonly authEncoding?: 'strict' | 'loose';
  /** `json` for servers that require the parameters as a JSON object (Auth0, Anthropic's console, Stytch). */
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
  /** How often the tokens of those sources can be used. */
  readonly tokenUse?: TokenUse;
  /** The member that is the token; `access_token` by default, `id_token` for some gateways. */
  readonly tokenField?: string;
  /** Further values of the response that placements and the next source of a chain can name: name to place. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** What grants and client authentication need from the acquisition under way. */
export interface RequestContext {
  /** The issuer's time as far as it is known. */
  readonly nowWallMs: () => number;
  /** The token of the source that the setting `field` names. */
  readonly tokenOf: (field: string, source: string) => Promise<string>;
}

/** The `grant_type` of one request and the parameters that belong to it. */
interface GrantParameters {
  readonly grantType: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Makes the parameters of one request; assertions in them are new each time. */
export type GrantMaker = (context: RequestContext) => Promise<GrantParameters>;

/** Makes the client authentication of one request. */
export type ClientAuthMaker = (context: RequestContext) => oauth.ClientAuth;

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * One token request by oauth4webapi, which implements the RFCs, over our own client through its `customFetch`: with the
 * source's TLS, proxy, limits and retry. `skewMs` is how far the issuer's clock is ahead of this machine's `Date`, so
 * that assertions made inside are dated in the issuer's time.
 */
export async function requestToken(
  settings: OAuth2Settings,
  clientAuth: oauth.ClientAuth,
  { grantType, parameters }: GrantParameters,
  { skewMs, send }: { readonly skewMs: number; readonly send: SendToIssuer },
): Promise<IssuerResponse> {
  const { tokenUrl, clientId = 'none' } = settings;
  let received: IssuerResponse | undefined;
  await oauth.genericTokenEndpointRequest(
    { issuer: tokenUrl, token_endpoint: tokenUrl },
    { client_id: clientId, [oauth.clockSkew]: Math.round(skewMs / 1000) },
    clientAuth,
    grantType,
    allParameters(settings, parameters),
    {
      // http:// is for issuers beside us (a side-car, IMDS, a test); the configuration decides.
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: async (url, { body, headers, method }) => {
        received = await send({ method, url, ...encoded(settings, body, headers) });
        return fetchResponse(received);
      },
    },
  );
  if (received === undefined) throw new Error('oauth4webapi sent no request');
  return received;
}

/** A status that `Response` does not accept is not in the RFC either. */
function fetchResponse({ status, body }: IssuerResponse): Response {
  const isBodiless = status === 204 || status === 205 || status === 304;
  const isValid = status >= 200 && status <= 599;
  return new Response(isBodiless ? null : body, { status: isValid ? status : 502 });
}

function allParameters(settings: OAuth2Settings, ofGrant: Readonly<Record<string, string>>): URLSearchParams {
  const parameters = new URLSearchParams(ofGrant);
  if (settings.scope !== undefined) parameters.set('scope', settings.scope);
  for (const [name, value] of Object.entries(settings.params ?? {})) {
    parameters.delete(name);
    const values = Array.isArray(value) ? (value as readonly string[]) : [revealed(value as string | Secret)];
    for (const item of values) parameters.append(name, item);
  }
  return parameters;
}

function encoded(
  settings: OAuth2Settings,
  body: URLSearchParams,
  headers: Record<string, string>,
): { headers: Record<string, string>; body: string } {
  const own = Object.fromEntries(
    Object.entries(settings.headers ?? {}).map(([name, value]) => [name.toLowerCase(), revealed(value)]),
  );
  if (settings.bodyFormat !== 'json') return { headers: { ...headers, ...own }, body: body.toString() };
  return {
    headers: { ...headers, 'content-type': 'application/json', ...own },
    body: JSON.stringify(Object.fromEntries(body)),
  };
}

function revealed(value: string | Secret): string {
  return value instanceof Secret ? value.reveal() : value;
}

/**
 * The grant that needs nothing from an earlier response; undefined for `refresh_token`, which has no other way in.
 * Throws a `TokenSourceError` that names the missing setting.
 */
export function makeGrant(
  settings: OAuth2Settings,
  errors: SourceErrors,
  baseDir: string | undefined,
): GrantMaker | undefined {
  const required = <T>(field: string, value: T | undefined): T => {
    if (value !== undefined) return value;
    throw errors.misconfigured(field, `required with grant: ${settings.grant}`);
  };
  switch (settings.grant) {
    case 'client_credentials':
      return async () => ({ grantType: 'client_credentials', parameters: {} });
    case 'password': {
      const username = required('username', settings.username);
      const password = required('password', settings.password);
      return async () => ({ grantType: 'password', parameters: { username, password: password.reveal() } });
    }
    case 'refresh_token':
      required('refresh_token', settings.refreshToken ?? settings.refreshTokenFile);
      return undefined;
    case 'jwt_bearer':
      return jwtBearer(settings, errors, baseDir);
    case 'token_exchange':
      return tokenExchange(settings, required('subject_token', settings.subjectToken));
  }
}

function jwtBearer(settings: OAuth2Settings, errors: SourceErrors, baseDir: string | undefined): GrantMaker {
  const { assertion, assertionToken, tokenUrl, clientId } = settings;
  const sign = makeAssertion(errors, 'assertion', assertion, assertionToken, baseDir);
  const claims = { aud: tokenUrl, ...(clientId === undefined ? {} : { iss: clientId, sub: clientId }) };
  return async (context) => ({
    grantType: JWT_BEARER,
    parameters: { assertion: await sign(context, claims) },
  });
}

function tokenExchange(settings: OAuth2Settings, subject: string): GrantMaker {
  const { subjectTokenType = ACCESS_TOKEN, actorToken, actorTokenType = ACCESS_TOKEN } = settings;
  return async ({ tokenOf }) => ({
    grantType: TOKEN_EXCHANGE,
    parameters: {
      subject_token: await tokenOf('subject_token', subject),
      subject_token_type: subjectTokenType,
      ...(actorToken === undefined
        ? {}
        : { actor_token: await tokenOf('actor_token', actorToken), actor_token_type: actorTokenType }),
    },
  });
}

/** An assertion signed by the key below `field`, or the token of the source that `<field>_token` names. */
function makeAssertion(
  errors: SourceErrors,
  field: string,
  settings: AssertionSettings | undefined,
  source: string | undefined,
  baseDir: string | undefined,
): (context: RequestContext, claims: Readonly<Record<string, unknown>>) => Promise<string> {
  const key = settings?.key;
  if (key !== undefined) {
    const sign = assertionSigner(errors, field, { ...settings, key }, baseDir);
    return ({ nowWallMs }, claims) => sign(nowWallMs(), claims);
  }
  if (source === undefined) throw errors.misconfigured(field, `needs a key, or ${field}_token`);
  return ({ tokenOf }) => tokenOf(`${field}_token`, source);
}

/**
 * How the client authenticates. oauth4webapi does post, client_secret_jwt, mtls and none; a private key signs here, as any
 * algorithm, `x5t#S256` and a token of another source as the assertion are supported.
 */
export function makeClientAuth(
  settings: OAuth2Settings,
  errors: SourceErrors,
  baseDir: string | undefined,
): ClientAuthMaker {
  const { auth, clientId = '', clientAssertion, clientAssertionToken } = settings;
  if (clientId === '' && auth !== 'none')
    throw errors.misconfigured('client_id', `required with auth: ${auth}`);
  const secret = () => {
    const value = settings.clientSecret?.reveal() ?? '';
    // An empty variable is a missing one.
    if (value !== '') return value;
    throw errors.misconfigured('client_secret', `required with auth: ${auth}`);
  };
  switch (auth) {
    case 'basic': {
      const basic = basicAuth(secret(), settings.authEncoding === 'loose' ? (text) => text : formEncode);
      return () => basic;
    }
    case 'post': {
      const post = oauth.ClientSecretPost(secret());
      return () => post;
    }
    case 'client_secret_jwt': {
      const secretJwt = oauth.ClientSecretJwt(secret(), {
        [oauth.modifyAssertion]: (_header, payload) => {
          if (clientAssertion?.audience !== undefined) payload.aud = clientAssertion.audience;
        },
      });
      return () => secretJwt;
    }
    case 'private_key_jwt': {
      const field = 'client_assertion';
      const sign = makeAssertion(errors, field, clientAssertion, clientAssertionToken, baseDir);
      return (context) => async (server, client, body) => {
        const { client_id: id } = client;
        const assertion = await sign(context, { iss: id, sub: id, aud: server.issuer });
        body.set('client_id', id);
        body.set('client_assertion_type', ASSERTION_TYPE);
        body.set('client_assertion', assertion);
      };
    }
    case 'mtls':
      if (settings.tls?.cert === undefined || settings.tls.key === undefined) {
        throw errors.misconfigured('tls', 'cert and key are required with auth: mtls');
      }
      return () => oauth.TlsClientAuth();
    case 'none':
      // A grant may carry all the proof itself; a client_id is sent only when there is one.
      return () => (settings.clientId === undefined ? () => {} : oauth.None());
  }
}

function basicAuth(secret: string, encode: (text: string) => string): oauth.ClientAuth {
  return (_server, client, _body, headers) => {
    const pair = Buffer.from(`${encode(client.client_id)}:${encode(secret)}`).toString('base64');
    headers.set('authorization', `Basic ${pair}`);
  };
}

/**
 * Form encoding (RFC 6749 2.3.1) that leaves `-`, `.`, `_` and `*` alone. oauth4webapi's own Basic writes
 * `llm%2Dapp`: correct, and rejected by every server that does not decode it.
 */
function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
