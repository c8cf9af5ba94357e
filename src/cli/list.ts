import { type UpstreamConfig, upstreamDefect } from '../config/config.ts';
import { loadOrThrow, readArguments, withUsage } from './config-argument.ts';

const USAGE = 'usage: tokenferry list [--config FILE]';

/** `tokenferry list`: the upstreams of a configuration and what they serve, without secrets. */
export async function list(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { config } = loadOrThrow(readArguments(args, {}).values.config);
    for (const upstream of config.upstreams) {
      const defect = upstreamDefect(upstream);
      console.log(`${upstream.name}${defect === null ? '' : `  (skipped: ${defect})`}`);
      console.log(`  endpoint  ${shownEndpoint(upstream)}`);
      console.log(`  token     ${credentialsOf(upstream)}`);
      console.log(`  allow     ${upstream.allow.join(', ') || 'every model'}`);
      if (upstream.deny.length > 0) console.log(`  deny      ${upstream.deny.join(', ')}`);
      for (const [alias, model] of Object.entries(upstream.models))
        console.log(`  alias     ${alias} -> ${model}`);
    }
    if (config.upstreams.length === 0) console.log('The configuration has no upstreams.');
    return 0;
  });
}

/** The values of a query may be keys. */
function shownEndpoint({ endpoint }: UpstreamConfig): string {
  if (endpoint === null) return '-';
  const { origin, pathname, searchParams } = new URL(endpoint);
  const names = [...searchParams.keys()].map((name) => `${name}=…`);
  return `${origin}${pathname}${names.length === 0 ? '' : `?${names.join('&')}`}`;
}

function credentialsOf({ token, sk }: UpstreamConfig): string {
  if (token !== null) return token;
  if (sk === null) return '-';
  return sk === 'asis' ? "the client's own header (sk: asis)" : 'a fixed key (sk)';
}
