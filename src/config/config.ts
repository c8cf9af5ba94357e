import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { z } from 'zod';
import type { WrittenConfig } from './schema/schema.ts';
import type { tokenSource } from './schema/tokens-schema.ts';
import type { upstream } from './schema/upstreams-schema.ts';

type WrittenUpstream = z.output<typeof upstream>;
type WrittenTokenSource = z.output<typeof tokenSource>;

export interface UpstreamConfig extends WrittenUpstream {
  readonly name: string;
}

type WrittenChannel = WrittenConfig['notify'][number];

/** Where alerts are sent: one item of `notify`. */
export interface ChannelConfig extends WrittenChannel {
  readonly name: string;
}

type Completed<Source extends WrittenTokenSource> = Source extends { readonly type: 'http' }
  ? Omit<Source, 'refresh' | 'method'> & { readonly refresh: RefreshConfig; readonly method: string }
  : Omit<Source, 'refresh'> & { readonly refresh: RefreshConfig };

/** When a token is renewed; durations in milliseconds, `at` as shares of its life. */
interface RefreshConfig extends Omit<WrittenTokenSource['refresh'], 'at' | 'attempt_timeout'> {
  readonly at: readonly [number, number];
  readonly attempt_timeout: number;
}

/** One source of `tokens`, distinguished by `type`. */
export type TokenSourceConfig = Completed<WrittenTokenSource>;

/**
 * The configuration in the names of the file: durations in milliseconds, sizes in bytes,
 * secrets as `Secret`, every default filled in, also those that depend on other keys. What is absent is null.
 */
export interface Config
  extends Omit<WrittenConfig, 'address' | 'hostname' | 'tokens' | 'upstreams' | 'notify'> {
  /** host:port; an empty host means every address of the machine. */
  readonly address: string;
  readonly hostname: string;
  readonly tokens: Readonly<Record<string, TokenSourceConfig>>;
  readonly upstreams: readonly UpstreamConfig[];
  readonly notify: readonly ChannelConfig[];
}

/**
 * Fills in the defaults that depend on other keys. Names of files that are read here are relative to
 * `directory`, the one of the configuration file.
 */
export function complete(written: WrittenConfig, directory: string): Config {
  return {
    ...written,
    address: written.address ?? (needsKeyAlways(written) ? ':8888' : '127.0.0.1:8888'),
    hostname: written.hostname ?? hostname(),
    tls: inDirectory(written.tls, directory),
    clients: written.clients.map((client) => ({
      ...client,
      jwt:
        client.jwt === null
          ? null
          : { ...client.jwt, ca: client.jwt.ca === null ? null : resolve(directory, client.jwt.ca) },
    })),
    tokens: Object.fromEntries(
      Object.entries(written.tokens).map(([name, source]) => [name, completeSource(source, directory)]),
    ),
    upstreams: written.upstreams.map((one, index) => ({
      ...one,
      name: one.name ?? `upstream-${index + 1}`,
      endpoint: one.endpoint ?? (one.type === 'replicate' ? REPLICATE : null),
      tls: inDirectory(one.tls, directory),
    })),
    notify: withNames(written.notify).map((one) => ({ ...one, tls: inDirectory(one.tls, directory) })),
  };
}

/** A channel without a name has that of its type, with a number from the second on. */
function withNames(channels: readonly WrittenChannel[]): ChannelConfig[] {
  const seen = new Map<string, number>();
  return channels.map((one) => {
    const count = (seen.get(one.type) ?? 0) + 1;
    seen.set(one.type, count);
    return { ...one, name: one.name ?? (count === 1 ? one.type : `${one.type}-${count}`) };
  });
}

const REPLICATE = 'https://api.replicate.com/v1';

/** True when there is a key and no request is let in without one. */
function needsKeyAlways(config: KeyFacts): boolean {
  return hasAnyKey(config) && !config.noauth && !config.upstreams.some((one) => one.noauth);
}

export function hasAnyKey(config: KeyFacts): boolean {
  return (
    config.authorization.length > 0 ||
    config.clients.length > 0 ||
    config.upstreams.some((one) => one.authorization.length > 0)
  );
}

/** The part of the configuration that decides who is let in. */
type KeyFacts = Pick<WrittenConfig, 'authorization' | 'clients' | 'noauth'> & {
  readonly upstreams: readonly Pick<WrittenUpstream, 'authorization' | 'noauth'>[];
};

/**
 * Why an upstream can serve nothing, or null. Such an upstream is no error: as in openai-api-route it is
 * skipped and logged, so that one empty variable does not take down the others.
 */
export function upstreamDefect(
  one: Pick<UpstreamConfig, 'endpoint' | 'sk' | 'token' | 'sign'>,
): string | null {
  const hasCredentials = one.sk !== null || one.token !== null || one.sign !== null;
  if (one.endpoint === null && !hasCredentials) return 'no endpoint and no credentials (token or sk)';
  if (one.endpoint === null) return 'no endpoint';
  return hasCredentials ? null : 'no credentials: set token, or sk, or `token: none` if none are needed';
}

/** Early enough to survive an outage of the issuer; late where each token revokes another. */
const REFRESH_AT = { overlap: [0.4, 0.5], exclusive: [0.75, 0.8] } as const;
const ATTEMPT_TIMEOUT_MS = 10_000;

function completeSource(source: WrittenTokenSource, directory: string): TokenSourceConfig {
  const [early, late] = REFRESH_AT[source.rotation];
  const [from = early, to = source.refresh.at === null ? late : from] = source.refresh.at ?? [];
  const ownTimeout = 'timeout' in source ? source.timeout : ATTEMPT_TIMEOUT_MS;
  const refresh = {
    ...source.refresh,
    at: [from, to] as const,
    attempt_timeout: source.refresh.attempt_timeout ?? ownTimeout,
  };
  if (source.type === 'http') {
    const hasBody = source.body_json !== null || source.body_form !== null || source.body_text !== null;
    const method = source.method ?? (hasBody ? 'POST' : 'GET');
    return { ...source, refresh, method, tls: inDirectory(source.tls, directory) };
  }
  if (source.type === 'oauth2') return { ...source, refresh, tls: inDirectory(source.tls, directory) };
  return { ...source, refresh };
}

interface FileNames {
  readonly ca?: string | null;
  readonly client_ca?: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

function inDirectory<Tls extends FileNames>(tls: Tls | null, directory: string): Tls | null {
  if (tls === null) return null;
  const absolute = (name: string | null): string | null => (name === null ? null : resolve(directory, name));
  const ca = tls.ca === undefined ? {} : { ca: absolute(tls.ca) };
  const clientCa = tls.client_ca === undefined ? {} : { client_ca: absolute(tls.client_ca) };
  return { ...tls, ...ca, ...clientCa, cert: absolute(tls.cert), key: absolute(tls.key) };
}
