import type { Config, TokenSourceConfig } from '../config/config.ts';
import { tokenReferences } from '../config/rules/token-rules.ts';
import type { Clock } from '../lib/clock.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import { settingsKey } from '../lib/settings-key.ts';
import type { Lease } from '../tokens/manager/lease.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import { TokenManager } from '../tokens/manager/token-manager.ts';
import {
  DEFAULT_TOKEN_MANAGER_SETTINGS,
  startJitterFor,
  type TokenManagerSettings,
} from '../tokens/manager/token-manager-settings.ts';
import { createTokenSource } from '../tokens/sources/source-factory.ts';
import {
  type AcquireContext,
  type ChainedToken,
  type RawToken,
  type SourceDeps,
  type TokenSource,
  TokenSourceError,
} from '../tokens/sources/token-source.ts';
import { SharedStores } from './shared-stores.ts';
import { sourceSettings } from './token-settings.ts';

interface TokenManagerParts {
  readonly secrets: SecretRegistry;
  readonly clock: Clock;
  /** Directory that relative paths of sources start from. */
  readonly baseDir: string;
  readonly onEvent: (event: TokenEvent) => void;
  /** By source: the keys that hold its credentials, for messages. */
  readonly credentialKeys: ReadonlyMap<string, readonly string[]>;
  /** By source: equal when only its credentials were replaced. */
  readonly sourceIdentities: ReadonlyMap<string, string>;
  /** On reload: the running token managers; those whose settings did not change are kept. */
  readonly running?: ReadonlyMap<string, TokenManager>;
  /** On reload: the token managers in use, since a chained source can outlive those it was built with. */
  readonly inUse?: () => ReadonlyMap<string, TokenManager>;
  /** True: also managers for sources whose tokens are only obtained when the next source of a chain needs them. */
  readonly withTickets?: boolean;
}

const NO_NAMES: ReadonlySet<string> = new Set();

const NONE: ReadonlyMap<string, TokenManager> = new Map();

/** One manager for each token source of the configuration, by name; new ones are not started. */
export function buildTokenManagers(
  config: Config,
  parts: TokenManagerParts,
): ReadonlyMap<string, TokenManager> {
  const tokenManagers = new Map<string, TokenManager>();
  const names = Object.keys(config.tokens);
  const stores = new SharedStores(config, parts.clock);
  const deps: SourceDeps = {
    clock: parts.clock,
    secrets: parts.secrets,
    baseDir: parts.baseDir,
    credentialKeysOf: (name) => parts.credentialKeys.get(name) ?? [],
    tokenOf: (name, context) => chainedToken(parts.inUse?.() ?? tokenManagers, name, context),
    sourceOf: (name) => createTokenSource(name, sourceSettings(sourceNamed(config, name), config), deps),
  };
  const tickets = parts.withTickets === true ? NO_NAMES : ticketSources(config);
  for (const [name, source] of Object.entries(config.tokens)) {
    if (tickets.has(name)) continue;
    const plan = {
      name,
      identity: KEPT_TYPES.has(source.type) ? (parts.sourceIdentities.get(name) ?? null) : null,
      source: stores.share(source, deps.sourceOf(name)),
      settings: { ...managerSettings(source, names.length), sharing: stores.nameOf(source) },
    };
    const { clock, secrets, onEvent } = parts;
    const create = (from: TokenSource): TokenManager =>
      new TokenManager({ ...plan, source: from, clock, random: Math.random, secrets, onEvent });
    tokenManagers.set(name, tokenManagerFor(plan, parts.running ?? NONE, create));
  }
  return tokenManagers;
}

function managerSettings(source: TokenSourceConfig, sources: number): TokenManagerSettings {
  const { refresh } = source;
  return {
    ...DEFAULT_TOKEN_MANAGER_SETTINGS,
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

/** Half of a usual attempt: after the first issuer of a chain the second one is still to be called. */
const MAX_CHAIN_WAIT_MS = 5_000;

/** The token of one source as an input of another one: a chain of issuers. */
async function chainedToken(
  tokenManagers: ReadonlyMap<string, TokenManager>,
  name: string,
  context: { readonly signal: AbortSignal; readonly force: boolean },
): Promise<ChainedToken> {
  const manager = tokenManagers.get(name);
  if (manager === undefined) throw new Error(`unknown token source "${name}"`);
  const wait = { signal: context.signal, maxWaitMs: MAX_CHAIN_WAIT_MS };
  return chainedLease(manager, context.force ? await manager.refresh(wait) : await manager.get(wait));
}

function chainedLease(manager: TokenManager, lease: Lease): ChainedToken {
  return {
    values: { ...lease.extra, token: lease.secret.reveal() },
    accept: () => manager.reportAccepted(lease),
    refuse: () => manager.reportRejected(lease),
    renew: async ({ signal }) => {
      const wait = { signal, maxWaitMs: MAX_CHAIN_WAIT_MS };
      const renewed = await manager.renewAfter(lease, wait).catch(() => null);
      return renewed === null ? null : chainedLease(manager, renewed);
    },
  };
}

function sourceNamed(config: Config, name: string): TokenSourceConfig {
  const source = config.tokens[name];
  if (source === undefined) throw new Error(`unknown token source "${name}"`);
  return source;
}

/**
 * The sources whose tokens are only used once by other sources: they are obtained when they are needed, so there is
 * nothing to keep valid.
 */
function ticketSources(config: Config): ReadonlySet<string> {
  const once = new Set<string>();
  const kept = new Set(config.upstreams.map(({ token }) => token));
  for (const source of Object.values(config.tokens)) {
    const isOnce = 'token_use' in source && source.token_use === 'once';
    for (const { name } of tokenReferences(source)) (isOnce ? once : kept).add(name);
  }
  return new Set([...once].filter((name) => !kept.has(name)));
}

/** Sources whose issuer has to accept the credentials; those of other types are the token, or make it here. */
const KEPT_TYPES: ReadonlySet<string> = new Set(['oauth2', 'http', 'exec']);

/** What a manager is built from. */
interface TokenManagerPlan {
  readonly name: string;
  readonly identity: string | null;
  readonly source: TokenSource;
  readonly settings: TokenManagerSettings;
}

/**
 * The manager for `plan` on a reload: the running manager when nothing of it changed; else a new one, which starts with the
 * token of a running manager of the same source settings.
 */
function tokenManagerFor(
  plan: TokenManagerPlan,
  running: ReadonlyMap<string, TokenManager>,
  create: (source: TokenSource) => TokenManager,
): TokenManager {
  const same = [...running.values()].filter(({ sourceKey }) => sourceKey === plan.source.key);
  const unchanged = same.find(
    ({ name, settings }) => name === plan.name && isSameManagement(settings, plan.settings),
  );
  if (unchanged !== undefined) {
    void plan.source.close?.();
    return unchanged;
  }
  const renamed = same[0];
  const previous = running.get(plan.name);
  const isReplaced = plan.identity !== null && previous?.identity === plan.identity;
  const predecessor = renamed ?? (isReplaced ? previous : undefined);
  if (predecessor === undefined) return create(plan.source);
  return create(new InheritedToken(plan.source, predecessor, renamed === undefined));
}

/** The start jitter depends on the number of sources and only matters at the start. */
function isSameManagement(left: TokenManagerSettings, right: TokenManagerSettings): boolean {
  return settingsKey({ ...left, startJitterMs: 0 }) === settingsKey({ ...right, startJitterMs: 0 });
}

const REPLACED_NOTE =
  'the credentials were replaced: the token of the previous ones is used until the issuer has given another, or until it expires';
const REPLACED_HINT = 'The last token was obtained with the previous credentials.';

/**
 * A source whose first token is the current token of another manager of the same source: changed refresh settings are no
 * reason to ask the issuer, and an issuer that revokes the previous token would end it for running requests. With new
 * credentials the issuer is called at once, and the token serves while it has not accepted them.
 */
class InheritedToken implements TokenSource {
  readonly kind: string;
  readonly key: string;
  readonly #source: TokenSource;
  #from: TokenManager | null;
  /** True: the credentials were replaced, and the issuer has not accepted the new ones yet. */
  #isUnproven: boolean;
  #onChange: (() => void) | null = null;

  constructor(source: TokenSource, from: TokenManager, areCredentialsNew: boolean) {
    this.kind = source.kind;
    this.key = source.key;
    this.#source = source;
    this.#from = from;
    this.#isUnproven = areCredentialsNew;
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    const lease = context.force ? null : (this.#from?.peek() ?? null);
    const isFirst = this.#from !== null;
    this.#from = null;
    const lifetimeMs = lease?.remainingMs() ?? Number.POSITIVE_INFINITY;
    if (lease === null || !Number.isFinite(lifetimeMs)) {
      if (isFirst) this.#isUnproven = false;
      return this.#isUnproven ? this.#prove(context) : this.#source.acquire(context);
    }
    const token = { value: lease.secret.reveal(), lifetimeMs, extra: lease.extra };
    if (!this.#isUnproven) return token;
    // The source is called as soon as this token is in use.
    this.#onChange?.();
    return { ...token, notes: [REPLACED_NOTE] };
  }

  /** A failure says which token is in use meanwhile. */
  async #prove(context: AcquireContext): Promise<RawToken> {
    try {
      const token = await this.#source.acquire(context);
      this.#isUnproven = false;
      return token;
    } catch (error) {
      if (!(error instanceof TokenSourceError)) throw error;
      const { severity, retryAfterMs, target, message } = error;
      throw new TokenSourceError(`${message.replace(/\.?$/, '.')} ${REPLACED_HINT}`, {
        severity,
        retryAfterMs,
        ...(target === undefined ? {} : { target }),
        cause: error,
      });
    }
  }

  watch(onChange: () => void): { close(): void } {
    this.#onChange = onChange;
    return this.#source.watch?.(onChange) ?? { close: () => undefined };
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}
