import { type UpstreamConfig, upstreamDefect } from '../config/config.ts';
import type { PathStep } from '../config/config-error.ts';
import type { IsNeeded } from '../config/load/load-config.ts';
import { CONFIG_OPTION, loadOrThrow, readArguments, withUsage } from './arguments.ts';

const USAGE = 'usage: tokenferry list [--config FILE]';

/** `tokenferry list`: the upstreams of a configuration and what they serve; prints and needs no secrets. */
export async function list(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { config } = loadOrThrow(readArguments(args, CONFIG_OPTION).values.config, isShown);
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
    if (config.upstreams.length === 0) console.log('No upstreams configured.');
    return 0;
  });
}

/** What is printed; credentials and the rest of the configuration need not be resolved. */
const SHOWN_KEYS: ReadonlySet<PathStep | undefined> = new Set([
  'name',
  'endpoint',
  'allow',
  'deny',
  'models',
]);

const isShown: IsNeeded = ([section, , key]) =>
  section === 'upstreams' && (key === undefined || SHOWN_KEYS.has(key));

/** Query values are left out: they may be keys. */
function shownEndpoint({ endpoint }: UpstreamConfig): string {
  if (endpoint === null) return '-';
  const { origin, pathname, searchParams } = new URL(endpoint);
  const names = [...searchParams.keys()].map((name) => `${name}=…`);
  return `${origin}${pathname}${names.length === 0 ? '' : `?${names.join('&')}`}`;
}

function credentialsOf({ token, sk, sign }: UpstreamConfig): string {
  if (token !== null) return token;
  if (sk === null) return sign === null ? '-' : 'none: each request is signed (sign)';
  return sk === 'asis' ? "the client's own header (sk: asis)" : 'a fixed key (sk)';
}
