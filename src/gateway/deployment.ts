import type { Config } from '../config/config.ts';
import type { Installation } from '../http/app.ts';
import { UseCount } from '../http/middleware/use-count.ts';
import type { Clock } from '../lib/clock.ts';
import type { CircuitState } from '../routing/upstream-state/circuit.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import { UpstreamProbes } from '../routing/upstream-state/upstream-probes.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import type { TokenHolder } from '../tokens/manager/token-holder.ts';
import { buildInstallation, type InstallationParts } from './installation.ts';
import { buildHolders } from './tokens.ts';
import { buildUpstreams, type SkippedUpstream } from './upstreams.ts';

/** What outlives a deployment. */
export interface DeploymentParts extends Omit<InstallationParts, 'use' | 'skipped'> {
  readonly clock: Clock;
  /** What relative paths of the configuration are relative to. */
  readonly baseDir: string;
  readonly onTokenEvent: (event: TokenEvent) => void;
  readonly onCircuit: (upstream: string, state: CircuitState) => void;
  /** Whatever did not change is taken over from it; null for the first. */
  readonly takesOverFrom: Deployment | null;
  /** The holders of whichever deployment serves at the time. */
  readonly holdersInUse: () => ReadonlyMap<string, TokenHolder>;
}

/** All that is built from one configuration and replaced with it: token holders, upstreams, what the routes need. */
export class Deployment {
  readonly config: Config;
  readonly holders: ReadonlyMap<string, TokenHolder>;
  readonly upstreams: readonly RoutedUpstream[];
  readonly skipped: readonly SkippedUpstream[];
  readonly installation: Installation;
  readonly #use = new UseCount();
  readonly #clock: Clock;
  #probes: UpstreamProbes | null = null;

  /** Opens and starts nothing; throws when the configuration cannot work. */
  constructor(config: Config, parts: DeploymentParts) {
    const { clock, secrets, baseDir, onCircuit } = parts;
    const running = parts.takesOverFrom;
    this.config = config;
    this.#clock = clock;
    this.holders = buildHolders(config, {
      secrets,
      clock,
      baseDir,
      onEvent: parts.onTokenEvent,
      inUse: parts.holdersInUse,
      ...(running === null ? {} : { running: running.holders }),
    });
    const { upstreams, skipped } = buildUpstreams(config, {
      holders: this.holders,
      clock,
      onCircuit,
      ...(running === null ? {} : { running: running.upstreams }),
    });
    this.upstreams = upstreams;
    this.skipped = skipped;
    this.installation = buildInstallation(config, upstreams, { ...parts, skipped, use: this.#use });
  }

  /** Starts what is new. Resolves when the first attempt of every token source is settled, however it ended. */
  async start(): Promise<void> {
    await Promise.all(Array.from(this.holders.values(), (holder) => holder.start()));
  }

  /** From now on its cooling upstreams are asked whether they are back. */
  beginProbing(): void {
    this.#probes ??= new UpstreamProbes(this.upstreams, {
      everyMs: this.config.probe.every,
      clock: this.#clock,
    });
  }

  endProbing(): void {
    this.#probes?.close();
  }

  /** Another one serves: ends what `next` did not take over, after the requests that began with this one. */
  async giveWay(next: Deployment): Promise<void> {
    await this.#use.idle();
    await this.#end(new Set(next.holders.values()), new Set(next.upstreams));
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    this.endProbing();
    await this.#end(new Set(), new Set());
  }

  async #end(
    keptHolders: ReadonlySet<TokenHolder>,
    keptUpstreams: ReadonlySet<RoutedUpstream>,
  ): Promise<void> {
    const holders = [...this.holders.values()].filter((holder) => !keptHolders.has(holder));
    const upstreams = this.upstreams.filter((upstream) => !keptUpstreams.has(upstream));
    await Promise.all(holders.map((holder) => holder.stop()));
    await Promise.all(upstreams.map(({ client }) => client.close()));
  }
}
