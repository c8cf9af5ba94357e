import * as oauth from 'oauth4webapi';
import { Secret } from '../../../lib/secret.ts';
import type { IssuerRequest } from '../../issuer/issuer-client.ts';
import type { OAuth2Settings } from './oauth2-settings.ts';

/** One request of a grant: its `grant_type` and the parameters that belong to it. */
export interface GrantParameters {
  readonly grantType: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * Builds a token request with oauth4webapi, which knows the RFCs, and hands it out instead of sending it: our own
 * client sends, with its TLS, proxy, limits and retry. `skewMs` is how far the issuer's clock is ahead of this
 * machine's `Date`, so that assertions made inside are dated as the issuer sees time.
 */
export async function buildTokenRequest(
  settings: OAuth2Settings,
  clientAuth: oauth.ClientAuth,
  grant: GrantParameters,
  skewMs: number,
): Promise<IssuerRequest> {
  let built: IssuerRequest | undefined;
  const client: oauth.Client = {
    client_id: settings.clientId ?? '',
    [oauth.clockSkew]: Math.round(skewMs / 1000),
  };
  await oauth.genericTokenEndpointRequest(
    { issuer: settings.tokenUrl, token_endpoint: settings.tokenUrl },
    settings.clientId === undefined ? { ...client, client_id: 'none' } : client,
    clientAuth,
    grant.grantType,
    parametersOf(settings, grant),
    {
      // http:// is for issuers beside us (a side-car, IMDS, a test); the configuration decides.
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: async (url, { body, headers, method }) => {
        built = { method, url, ...encoded(settings, body, headers) };
        return new Response(null);
      },
    },
  );
  if (built === undefined) throw new Error('oauth4webapi built no request');
  return built;
}

function parametersOf(settings: OAuth2Settings, grant: GrantParameters): URLSearchParams {
  const parameters = new URLSearchParams(grant.parameters);
  if (settings.scope !== undefined) parameters.set('scope', settings.scope);
  for (const [name, value] of Object.entries(settings.params ?? {})) {
    const values = Array.isArray(value) ? (value as readonly string[]) : [plain(value as string | Secret)];
    parameters.delete(name);
    for (const item of values) parameters.append(name, item);
  }
  return parameters;
}

function encoded(
  settings: OAuth2Settings,
  body: URLSearchParams,
  headers: Record<string, string>,
): { headers: Record<string, string>; body: string } {
  const own = Object.entries(settings.headers ?? {}).map(([name, value]) => [
    name.toLowerCase(),
    plain(value),
  ]);
  if (settings.bodyFormat !== 'json') {
    return { headers: { ...headers, ...Object.fromEntries(own) }, body: body.toString() };
  }
  const json = JSON.stringify(Object.fromEntries(body));
  return {
    headers: { ...headers, 'content-type': 'application/json', ...Object.fromEntries(own) },
    body: json,
  };
}

function plain(value: string | Secret): string {
  return value instanceof Secret ? value.reveal() : value;
}
