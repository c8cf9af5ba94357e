import { SecretRegistry } from '../../../src/lib/secret.ts';
import type { TokenEvent, TokenEventKind } from '../../../src/tokens/manager/token-event.ts';
import { TokenManager } from '../../../src/tokens/manager/token-manager.ts';
import {
  DEFAULT_TOKEN_MANAGER_SETTINGS,
  type TokenManagerSettings,
} from '../../../src/tokens/manager/token-manager-settings.ts';
import { ScriptedSource, type Step } from '../../helpers/scripted-source.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

export interface RigOptions {
  readonly script?: readonly Step[];
  readonly usual?: Step;
  readonly settings?: Partial<TokenManagerSettings>;
  /** Default: always 0.5, the middle of every range. */
  readonly random?: () => number;
  readonly onEvent?: (event: TokenEvent) => void;
}

/** A manager on a virtual clock with a scripted source, and everything that it reported. */
export interface Rig {
  readonly clock: VirtualClock;
  readonly source: ScriptedSource;
  readonly manager: TokenManager;
  readonly secrets: SecretRegistry;
  readonly events: TokenEvent[];
  /** How many events of a kind there were. */
  count(kind: TokenEventKind): number;
  /** Starts the manager and lets its first attempt end. */
  start(): Promise<void>;
}

export function makeRig(options: RigOptions = {}): Rig {
  const clock = new VirtualClock();
  const source = new ScriptedSource(clock, options.script, options.usual);
  const secrets = new SecretRegistry();
  const events: TokenEvent[] = [];
  const manager = new TokenManager({
    name: 'corp',
    source,
    settings: { ...DEFAULT_TOKEN_MANAGER_SETTINGS, ...options.settings },
    clock,
    random: options.random ?? (() => 0.5),
    secrets,
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
  });
  return {
    clock,
    source,
    manager,
    secrets,
    events,
    count: (kind) => events.filter((event) => event.kind === kind).length,
    start: async () => {
      const started = manager.start();
      await clock.advance(200);
      await started;
    },
  };
}

/** Follows a promise without waiting for it; a rejection is kept, not thrown. */
export function follow<T>(promise: Promise<T>): { value?: T; error?: unknown; isSettled: boolean } {
  const followed: { value?: T; error?: unknown; isSettled: boolean } = { isSettled: false };
  promise.then(
    (value) => Object.assign(followed, { value, isSettled: true }),
    (error: unknown) => Object.assign(followed, { error, isSettled: true }),
  );
  return followed;
}

/** The lease that must be there now. */
export function leaseNow(rig: Rig): NonNullable<ReturnType<TokenManager['peek']>> {
  const lease = rig.manager.peek();
  if (lease === null) throw new Error('there is no usable lease');
  return lease;
}

/** Asks for a lease every `everyMs` for `forMs`; returns how often there was none. */
export async function traffic(rig: Rig, forMs: number, everyMs: number): Promise<number> {
  let refused = 0;
  for (let passedMs = 0; passedMs < forMs; passedMs += everyMs) {
    const lease = rig.manager.peek();
    if (lease === null || lease.remainingMs() <= 0) refused += 1;
    await rig.clock.advance(everyMs);
  }
  return refused;
}
