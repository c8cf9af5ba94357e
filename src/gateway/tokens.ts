import type { Config, TokenSourceConfig } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import {
  DEFAULT_HOLDER_SETTINGS,
  type HolderSettings,
  startJitterFor,
} from '../tokens/manager/holder-settings.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import { TokenHolder } from '../tokens/manager/token-holder.ts';
import { createTokenSource } from '../tokens/sources/source-factory.ts';
import type { SourceDeps, TokenSource } from '../tokens/sources/token-source.ts';
import { holderFor } from './holder-reuse.ts';
import { SharedStores } from './shared-stores.ts';
import { sourceSettings } from './token-settings.ts';

interface HolderParts {
  readonly secrets: SecretRegistry;
  readonly clock: Clock;
  /** What relative paths of sources are relative to. */
  readonly baseDir: string;
  readonly onEvent: (event: TokenEvent) => void;
  /** On reload: the holders that run, which go on where nothing of them changed. */
  readonly running?: ReadonlyMap<string, TokenHolder>;
  /** On reload: the holders in use, for chained sources that outlive the ones they were built with. */
  readonly inUse?: () => ReadonlyMap<string, TokenHolder>;
}

const NONE: ReadonlyMap<string, TokenHolder> = new Map();

/** One holder for each token source of the configuration, by its name; new ones are not started yet. */
export function buildHolders(config: Config, parts: HolderParts): ReadonlyMap<string, TokenHolder> {
  const holders = new Map<string, TokenHolder>();
  const names = Object.keys(config.tokens);
  const stores = new SharedStores(config, parts.clock);
  const deps: SourceDeps = {
    clock: parts.clock,
    secrets: parts.secrets,
    baseDir: parts.baseDir,
    tokenOf: (name, context) => tokenOf(parts.inUse?.() ?? holders, name, context),
  };
  for (const [name, source] of Object.entries(config.tokens)) {
    const plan = {
      name,
      source: stores.share(source, createTokenSource(name, sourceSettings(source), deps)),
      settings: { ...holderSettings(source, names.length), sharing: stores.nameOf(source) },
    };
    const { clock, secrets, onEvent } = parts;
    const create = (from: TokenSource): TokenHolder =>
      new TokenHolder({ ...plan, source: from, clock, random: Math.random, secrets, onEvent });
    holders.set(name, holderFor(plan, parts.running ?? NONE, create));
  }
  return holders;
}

function holderSettings(source: TokenSourceConfig, sources: number): HolderSettings {
  const { refresh } = source;
  return {
    ...DEFAULT_HOLDER_SETTINGS,
    placements: source.place,
    rotation: source.rotation,
    refreshAt: refresh.at,
    leewayMs: refresh.leeway,
    floorMs: refresh.floor,
    attemptTimeoutMs: refresh.attempt_timeout,
    maxWaitMs: refresh.max_wait,
    defaultTtlMs: source.default_ttl,
    startJitterMs: startJitterFor(sources),
  };
}

/** Half of a usual attempt: who waits for the first issuer of a chain has yet to ask the second one. */
const LONGEST_CHAIN_WAIT_MS = 5_000;

/** The token of one source as the raw material of another: a chain of issuers. */
async function tokenOf(
  holders: ReadonlyMap<string, TokenHolder>,
  name: string,
  context: { readonly signal: AbortSignal; readonly force: boolean },
): Promise<string> {
  const holder = holders.get(name);
  if (holder === undefined) throw new Error(`there is no token source "${name}"`);
  const wait = { signal: context.signal, maxWaitMs: LONGEST_CHAIN_WAIT_MS };
  const lease = context.force ? await holder.refresh(wait) : await holder.get(wait);
  return lease.secret.reveal();
}
