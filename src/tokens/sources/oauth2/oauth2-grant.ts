import { makeSigner } from '../jwt/assertion.ts';
import type { SourceVoice } from '../source-errors.ts';
import type { AuthContext } from './oauth2-client-auth.ts';
import type { GrantParameters } from './oauth2-request.ts';
import type { OAuth2Settings } from './oauth2-settings.ts';

/** Makes the parameters of one request; assertions in them are new each time. */
export type GrantMaker = (context: AuthContext) => Promise<GrantParameters>;

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * The grant that needs nothing from an earlier answer; undefined for `refresh_token`, which has no other way in.
 * Throws a `TokenSourceError` that names the setting that is missing.
 */
export function makeGrant(
  settings: OAuth2Settings,
  voice: SourceVoice,
  baseDir?: string,
): GrantMaker | undefined {
  const need = <T>(field: string, value: T | undefined): T => {
    if (value !== undefined) return value;
    throw voice.error(field, `is missing, grant: ${settings.grant} needs it`, 'credentials');
  };
  switch (settings.grant) {
    case 'client_credentials':
      return async () => ({ grantType: 'client_credentials', parameters: {} });
    case 'password': {
      const username = need('username', settings.username);
      const password = need('password', settings.password);
      return async () => ({ grantType: 'password', parameters: { username, password: password.reveal() } });
    }
    case 'refresh_token':
      need('refresh_token', settings.refreshToken ?? settings.refreshTokenFile);
      return undefined;
    case 'jwt_bearer':
      return jwtBearer(settings, voice, baseDir);
    case 'token_exchange':
      return tokenExchange(settings, need('subject_token', settings.subjectToken));
  }
}

function jwtBearer(settings: OAuth2Settings, voice: SourceVoice, baseDir: string | undefined): GrantMaker {
  const { assertion, assertionToken: sourceName, tokenUrl, clientId } = settings;
  const key = assertion?.key;
  if (key === undefined && sourceName === undefined) {
    throw voice.error('assertion', 'needs a key, or assertion_token', 'credentials');
  }
  const signer =
    key === undefined ? undefined : makeSigner(voice, 'assertion', { ...assertion, key }, baseDir);
  const claims = { aud: tokenUrl, ...(clientId === undefined ? {} : { iss: clientId, sub: clientId }) };
  return async ({ nowWallMs, tokenOf }) => ({
    grantType: JWT_BEARER,
    parameters: {
      assertion:
        signer === undefined ? await tokenOf(sourceName ?? '') : await signer.sign(nowWallMs(), claims),
    },
  });
}

function tokenExchange(settings: OAuth2Settings, subject: string): GrantMaker {
  const { subjectTokenType = ACCESS_TOKEN, actorToken, actorTokenType = ACCESS_TOKEN } = settings;
  return async ({ tokenOf }) => ({
    grantType: TOKEN_EXCHANGE,
    parameters: {
      subject_token: await tokenOf(subject),
      subject_token_type: subjectTokenType,
      ...(actorToken === undefined
        ? {}
        : { actor_token: await tokenOf(actorToken), actor_token_type: actorTokenType }),
    },
  });
}
