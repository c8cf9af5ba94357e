import { type Config, hasAnyKey } from '../config/config.ts';
import type { ClientAuthSettings, NamedCertificate } from '../http/middleware/client-auth.ts';
import type { QuotaSettings } from '../http/middleware/client-quota.ts';
import { type ClientTokenIssuer, ClientTokens } from '../http/middleware/client-tokens.ts';
import { fetchWithCa } from '../lib/net/fetch-with-ca.ts';
import { readPem } from '../lib/net/tls.ts';
import { sha256Hex } from '../lib/secret.ts';
import { anyMatcher, globMatcher, type Matcher } from '../routing/glob.ts';
import type { ClientIdentity } from '../routing/routed-request.ts';

/** Every valid key of a configuration: the global list, named clients, and the lists of upstreams. */
export function clientAuthSettings(config: Config): ClientAuthSettings {
  const identities = new Map<string, ClientIdentity>();
  const upstreamKeys = config.upstreams.flatMap((upstream) => upstream.authorization);
  let number = 0;
  for (const [index, key] of [...config.authorization, ...upstreamKeys].entries()) {
    const keyDigest = sha256Hex(key.reveal());
    if (identities.has(keyDigest)) continue;
    number += 1;
    const isGlobal = index < config.authorization.length || config.noauth;
    identities.set(keyDigest, {
      name: `key-${number}`,
      user: null,
      keyDigest,
      isGlobal,
      mayUseModel: null,
      mayUsePath: null,
    });
  }
  const tokenIssuers: ClientTokenIssuer[] = [];
  const certificates: NamedCertificate[] = [];
  for (const client of config.clients) {
    const keyDigest = client.key === null ? client.key_sha256 : sha256Hex(client.key.reveal());
    const identity: ClientIdentity = {
      name: client.name,
      user: null,
      keyDigest,
      isGlobal: true,
      mayUseModel: anyMatcher(client.models),
      mayUsePath: pathMatcher(client.paths),
    };
    if (keyDigest !== null) identities.set(keyDigest, identity);
    if (client.certificate !== null)
      certificates.push({ matches: globMatcher(client.certificate), client: identity });
    if (client.jwt !== null) tokenIssuers.push(tokenIssuer(client.jwt, identity));
  }
  return {
    identities,
    anonymous: anonymousClient(config, hasAnyKey(config)),
    tokens: tokenIssuers.length === 0 ? null : new ClientTokens(tokenIssuers),
    certificates: config.tls?.client_ca ? certificates : null,
  };
}

type ClientTokenConfig = NonNullable<Config['clients'][number]['jwt']>;

function tokenIssuer(config: ClientTokenConfig, client: ClientIdentity): ClientTokenIssuer {
  return {
    issuer: config.issuer,
    audience: config.audience,
    jwks: config.jwks,
    nameClaim: config.name_claim,
    modelsClaim: config.models_claim,
    leewayMs: config.leeway,
    fetch: fetchWithCa(config.ca === null ? undefined : readPem(config.ca)),
    client,
  };
}

const ASKED = /^(?:([A-Z-]+) +)?(.*)$/s;

/**
 * Matches `METHOD /path`, or a path alone with any method that is allowed there. A pattern without a method
 * means all of them.
 */
function pathMatcher(patterns: readonly string[]): Matcher {
  const rules = patterns.map((pattern) => {
    const [, method, glob = ''] = ASKED.exec(pattern) ?? [];
    return { method, matches: globMatcher(glob) };
  });
  return (asked) => {
    const [, method, path = ''] = ASKED.exec(asked) ?? [];
    return rules.some(
      (rule) =>
        (rule.method === undefined || method === undefined || rule.method === method) && rule.matches(path),
    );
  };
}

/** The limits of the clients that have any, by their names. */
export function clientQuotaSettings({ clients }: Config): ReadonlyMap<string, QuotaSettings> {
  const limited = clients.filter(
    ({ rpm, tpm, max_concurrency }) => rpm > 0 || tpm > 0 || max_concurrency > 0,
  );
  return new Map(
    limited.map(({ name, rpm, tpm, max_concurrency }) => [
      name,
      { requestsPerMinute: rpm, tokensPerMinute: tpm, concurrency: max_concurrency },
    ]),
  );
}

/** Who comes without a key; null when every request needs one. */
function anonymousClient(config: Config, hasKeys: boolean): ClientIdentity | null {
  if (hasKeys && needsClientKey(config)) return null;
  return clientWithoutKey(null, config.noauth || !hasKeys);
}

/** A client that may use every model and path. `isGlobal`: of every upstream that is not for certain keys or clients only. */
export function clientWithoutKey(name: string | null, isGlobal = true): ClientIdentity {
  return { name, user: null, keyDigest: null, isGlobal, mayUseModel: null, mayUsePath: null };
}

/** True: no request is let in without a key. */
export function needsClientKey(config: Config): boolean {
  return hasAnyKey(config) && !config.noauth && !config.upstreams.some((upstream) => upstream.noauth);
}

/** True: neither keys nor `noauth` are configured, so only this machine may connect. */
export function isLoopbackOnly(config: Config): boolean {
  return !hasAnyKey(config) && !config.noauth;
}
