import { hostname } from 'node:os';
import type { z } from 'zod';
import type { WrittenConfig } from './schema.ts';
import type { tokenSource } from './tokens-schema.ts';
import type { upstream } from './upstreams-schema.ts';

type WrittenUpstream = z.output<typeof upstream>;
type WrittenTokenSource = z.output<typeof tokenSource>;

export interface UpstreamConfig extends WrittenUpstream {
  readonly name: string;
}

type WithRefreshAt<Source extends WrittenTokenSource> = Source extends WrittenTokenSource
  ? Omit<Source, 'refresh'> & {
      readonly refresh: Omit<Source['refresh'], 'at' | 'attempt_timeout'> & {
        readonly at: readonly [number, number];
        readonly attempt_timeout: number;
      };
    }
  : never;

/** One source of `tokens`, told apart by `type`. */
export type TokenSourceConfig = WithRefreshAt<WrittenTokenSource>;

/**
 * The configuration in the names of the file (product.md section 4): durations in milliseconds, sizes in bytes,
 * secrets as `Secret`, every default filled in, also those that depend on other keys. Absent texts are null.
 */
export interface Config extends Omit<WrittenConfig, 'address' | 'hostname' | 'tokens' | 'upstreams'> {
  /** host:port; an empty host means every address of the machine. */
  readonly address: string;
  readonly hostname: string;
  readonly tokens: Readonly<Record<string, TokenSourceConfig>>;
  readonly upstreams: readonly UpstreamConfig[];
}

/** Fills in the defaults that depend on other keys. */
export function complete(written: WrittenConfig): Config {
  return {
    ...written,
    address: written.address ?? (needsKeyAlways(written) ? ':8888' : '127.0.0.1:8888'),
    hostname: written.hostname ?? hostname(),
    tokens: Object.fromEntries(
      Object.entries(written.tokens).map(([name, source]) => [name, completeSource(source)]),
    ),
    upstreams: written.upstreams.map((one, index) => ({ ...one, name: one.name ?? `upstream-${index + 1}` })),
  };
}

/** True when there is a key and no request is let in without one. */
export function needsKeyAlways(config: KeyFacts): boolean {
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
export type KeyFacts = Pick<WrittenConfig, 'authorization' | 'clients' | 'noauth'> & {
  readonly upstreams: readonly Pick<WrittenUpstream, 'authorization' | 'noauth'>[];
};

/** Renewal early enough to survive an outage of the issuer (tokens.md 5.3); late where each one ends another. */
const REFRESH_AT = { overlap: [0.4, 0.5], exclusive: [0.75, 0.8] } as const;
const ATTEMPT_TIMEOUT_MS = 10_000;

function completeSource(source: WrittenTokenSource): TokenSourceConfig {
  const [from, to = from] = source.refresh.at ?? REFRESH_AT[source.rotation];
  const own = 'timeout' in source ? source.timeout : ATTEMPT_TIMEOUT_MS;
  const refresh = {
    ...source.refresh,
    at: [from ?? 0.4, to ?? 0.5] as const,
    attempt_timeout: source.refresh.attempt_timeout ?? own,
  };
  return { ...source, refresh };
}
