import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { JWK } from 'jose';
import { LoopbackServer } from './loopback-server.ts';

/** The part of oidc-provider that tests use; the package has no types of its own. */
interface Provider {
  callback(): RequestListener;
  readonly Client: { find(id: string): Promise<object> };
  readonly ClientCredentials: {
    find(token: string): Promise<{ clientId: string; scope?: string } | undefined>;
  };
  readonly AccessToken: { find(token: string): Promise<{ accountId: string } | undefined> };
  readonly Grant: new (facts: object) => { addOIDCScope(scope: string): void; save(): Promise<string> };
  readonly RefreshToken: new (facts: object) => { save(): Promise<string> };
}

interface Context {
  readonly socket: TLSSocket;
}

/** A client as it is registered: `client_id`, `token_endpoint_auth_method` and what that needs. */
export interface RegisteredClient {
  readonly client_id: string;
  readonly client_secret?: string;
  readonly token_endpoint_auth_method: string;
  readonly token_endpoint_auth_signing_alg?: string;
  readonly tls_client_auth_subject_dn?: string;
  readonly jwks?: { readonly keys: readonly JWK[] };
  readonly grant_types?: readonly string[];
}

/** A certified OpenID Connect server (npm oidc-provider) on a real port: it checks what we send to the letter. */
export interface OidcIssuer {
  readonly tokenUrl: string;
  readonly issuer: string;
  readonly provider: Provider;
  close(): Promise<void>;
}

export async function startOidcIssuer(
  clients: readonly RegisteredClient[],
  tls?: ServerOptions,
): Promise<OidcIssuer> {
  const server: Server = tls === undefined ? createServer() : createTlsServer(tls);
  const loopback = await new LoopbackServer(server).listening();
  const { port } = loopback;
  const issuer = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  // A name that the compiler does not follow: there are no types behind it.
  const name: string = 'oidc-provider';
  const module = (await import(name)) as { Provider: new (issuer: string, options: object) => Provider };
  const provider = new module.Provider(issuer, {
    clients: clients.map((client) => ({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      ...client,
    })),
    scopes: ['openid', 'offline_access', 'llm.invoke'],
    ttl: { ClientCredentials: 300, AccessToken: 300, RefreshToken: 3600, Grant: 3600 },
    rotateRefreshToken: true,
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    clientAuthMethods: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      ...(tls === undefined ? [] : ['tls_client_auth']),
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: tls !== undefined,
        tlsClientAuth: true,
        getCertificate: ({ socket }: Context) => socket.getPeerX509Certificate(),
        certificateAuthorized: ({ socket }: Context) => socket.authorized,
        certificateSubjectMatches: ({ socket }: Context, property: string, expected: string) =>
          property === 'tls_client_auth_subject_dn' && socket.getPeerX509Certificate()?.subject === expected,
      },
    },
  });
  server.on('request', provider.callback());
  return {
    tokenUrl: `${issuer}/token`,
    issuer,
    provider,
    close: () => loopback.close(),
  };
}
