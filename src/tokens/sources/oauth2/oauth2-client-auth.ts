import * as oauth from 'oauth4webapi';
import { makeSigner } from '../jwt/assertion.ts';
import type { SourceVoice } from '../source-errors.ts';
import type { OAuth2Settings } from './oauth2-settings.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** What client authentication needs from the acquisition under way. */
export interface AuthContext {
  /** The issuer's time as far as it is known. */
  readonly nowWallMs: () => number;
  readonly tokenOf: (sourceName: string) => Promise<string>;
}

/**
 * How the client shows who it is. oauth4webapi does post, client_secret_jwt, mtls and none; with a private key we
 * sign ourselves, since we take any algorithm, `x5t#S256` and a token of another source as the assertion.
 */
export function makeClientAuth(
  settings: OAuth2Settings,
  voice: SourceVoice,
  baseDir?: string,
): (context: AuthContext) => oauth.ClientAuth {
  const secret = () => {
    const value = settings.clientSecret?.reveal() ?? '';
    // An empty variable is a missing one.
    if (value !== '') return value;
    throw voice.error('client_secret', `is missing, auth: ${settings.auth} needs it`, 'credentials');
  };
  switch (settings.auth) {
    case 'basic': {
      const basic = basicAuth(secret(), settings.authEncoding === 'loose' ? (text) => text : formEncode);
      return () => basic;
    }
    case 'post': {
      const post = oauth.ClientSecretPost(secret());
      return () => post;
    }
    case 'client_secret_jwt':
      return secretJwt(settings, secret());
    case 'private_key_jwt':
      return privateKeyJwt(settings, voice, baseDir);
    case 'mtls':
      if (settings.tls?.cert === undefined || settings.tls.key === undefined) {
        throw voice.error('tls', 'needs cert and key for auth: mtls', 'credentials');
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
 * `llm%2Dapp`: correct, and refused by every server that forgets to decode.
 */
function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}

function secretJwt(settings: OAuth2Settings, secret: string): (context: AuthContext) => oauth.ClientAuth {
  const { audience } = settings.clientAssertion ?? {};
  const auth = oauth.ClientSecretJwt(secret, {
    [oauth.modifyAssertion]: (_header, payload) => {
      if (audience !== undefined) payload.aud = audience;
    },
  });
  return () => auth;
}

function privateKeyJwt(
  settings: OAuth2Settings,
  voice: SourceVoice,
  baseDir: string | undefined,
): (context: AuthContext) => oauth.ClientAuth {
  const { clientAssertion, clientAssertionToken: sourceName } = settings;
  const key = clientAssertion?.key;
  if (sourceName === undefined && key === undefined) {
    throw voice.error('client_assertion', 'needs a key, or client_assertion_token', 'credentials');
  }
  const signer =
    key === undefined
      ? undefined
      : makeSigner(voice, 'client_assertion', { ...clientAssertion, key }, baseDir);
  return (context) => async (server, client, body) => {
    const assertion =
      signer === undefined
        ? await context.tokenOf(sourceName ?? '')
        : await signer.sign(context.nowWallMs(), {
            iss: client.client_id,
            sub: client.client_id,
            aud: server.issuer,
          });
    body.set('client_id', client.client_id);
    body.set('client_assertion_type', ASSERTION_TYPE);
    body.set('client_assertion', assertion);
  };
}
