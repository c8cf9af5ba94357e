import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../../src/lib/secret.ts';
import { TokenManager } from '../../../src/tokens/manager/token-manager.ts';
import { DEFAULT_TOKEN_MANAGER_SETTINGS } from '../../../src/tokens/manager/token-manager-settings.ts';
import { SharedSource } from '../../../src/tokens/sharing/shared-source.ts';
import type { RenewalLease, StoredToken, TokenStore } from '../../../src/tokens/sharing/token-store.ts';
import {
  type AcquireReason,
  type RawToken,
  TokenSourceError,
} from '../../../src/tokens/sources/token-source.ts';
import { ScriptedSource, type Step } from '../../helpers/scripted-source.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';
import { follow } from '../manager/manager-rig.ts';
import { testTokenStore } from './token-store-contract.ts';

/** A store in memory on a given clock, which can be away. */
class MemoryStore implements TokenStore {
  isAway = false;
  /** Gives no hints. */
  isSilent = false;
  /** Called after each lease that was given. */
  onLease = (): void => {};
  readonly tokens = new Map<string, StoredToken>();
  readonly #clock: VirtualClock;
  readonly #leases = new Map<string, { untilWallMs: number }>();
  readonly #hints = new Set<() => void>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  async get(key: string): Promise<StoredToken | null> {
    this.#check();
    return this.tokens.get(key) ?? null;
  }

  async put(key: string, token: StoredToken): Promise<boolean> {
    this.#check();
    if ((this.tokens.get(key)?.generation ?? 0) >= token.generation) return false;
    this.tokens.set(key, token);
    this.hint();
    return true;
  }

  hint(): void {
    if (this.isSilent) return;
    for (const hint of this.#hints) hint();
  }

  async lease(key: string, forMs: number): Promise<RenewalLease | null> {
    this.#check();
    if ((this.#leases.get(key)?.untilWallMs ?? 0) > this.#clock.wallMs()) return null;
    const lease = { untilWallMs: this.#clock.wallMs() + forMs };
    this.#leases.set(key, lease);
    this.onLease();
    return {
      release: async () => {
        if (this.#leases.get(key) === lease) this.#leases.delete(key);
      },
    };
  }

  watch(_key: string, onHint: () => void): { close(): void } {
    this.#hints.add(onHint);
    return { close: () => this.#hints.delete(onHint) };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #check(): void {
    if (this.isAway)
      throw Object.assign(new Error('connection to db.internal refused'), { code: 'ECONNREFUSED' });
  }
}

testTokenStore('memory', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore(clock);
  return { one: store, two: store, pass: (ms) => clock.stepWall(ms), end: () => Promise.resolve() };
});

interface Fleet {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly source: ScriptedSource;
  readonly tokenManagers: TokenManager[];
}

/** Replicas that share one issuer's tokens through one store. */
function makeFleet(size: number, rotation: 'overlap' | 'exclusive' = 'overlap', script: Step[] = []): Fleet {
  const clock = new VirtualClock();
  const store = new MemoryStore(clock);
  const source = new ScriptedSource(clock, script);
  const random = randomFrom(size);
  const tokenManagers = Array.from({ length: size }, (_, index) => {
    return new TokenManager({
      name: `replica-${index}`,
      source: new SharedSource(source, store, { rotation, leaseMs: 15_000, clock }),
      settings: { ...DEFAULT_TOKEN_MANAGER_SETTINGS, rotation },
      clock,
      random,
      secrets: new SecretRegistry(),
    });
  });
  return { clock, store, source, tokenManagers };
}

async function startAll(fleet: Fleet): Promise<void> {
  for (const manager of fleet.tokenManagers) void manager.start();
  await fleet.clock.advance(1_000);
}

const fingerprints = (fleet: Fleet): Set<string | undefined> =>
  new Set(fleet.tokenManagers.map((manager) => manager.peek()?.fingerprint));

test('#1 ten replicas that start together make one issuer call and use one token', async () => {
  const fleet = makeFleet(10);
  await startAll(fleet);
  assert.equal(fleet.source.calls.length, 1);
  assert.equal(fingerprints(fleet).size, 1);
  assert.ok(!fingerprints(fleet).has(undefined));
});

test('#17 with sharing, replicas on an exclusive issuer make one call a period, and all follow at once', async () => {
  const fleet = makeFleet(5, 'exclusive');
  await startAll(fleet);
  for (let step = 0; step < 1_200; step++) {
    await fleet.clock.advance(1_000);
    for (const manager of fleet.tokenManagers) assert.notEqual(manager.peek(), null);
  }
  assert.ok(fleet.source.calls.length <= 6, `${fleet.source.calls.length} calls`);
  assert.equal(fleet.source.maxConcurrent, 1);
  assert.equal(fingerprints(fleet).size, 1);
});

test('a rejected token is renewed once for all replicas', async () => {
  const fleet = makeFleet(4);
  await startAll(fleet);
  const replays = fleet.tokenManagers.map((manager) => {
    const lease = manager.peek();
    assert.ok(lease);
    return follow(manager.renewAfter(lease, { status: 401 }));
  });
  await fleet.clock.advance(2_000);
  assert.ok(replays.every((replay) => replay.value != null));
  assert.equal(fleet.source.calls.length, 2);
  assert.equal(fingerprints(fleet).size, 1);
});

test('rejections that another replica has renewed for already do not use up the forced renewals', async () => {
  const fleet = makeFleet(2);
  await startAll(fleet);
  const [one, two] = fleet.tokenManagers;
  assert.ok(one && two);
  for (let rotation = 0; rotation < 8; rotation++) {
    // Without a hint: the second replica hears of each rotation by a 401.
    const stale = two.peek();
    assert.ok(stale);
    two.reportAccepted(stale);
    fleet.store.isSilent = true;
    const refreshed = follow(one.refresh());
    await fleet.clock.advance(300);
    assert.notEqual(refreshed.value, undefined);
    const replay = follow(two.renewAfter(stale, { status: 401 }));
    await fleet.clock.advance(1_200);
    assert.notEqual(replay.value ?? null, null, `rotation ${rotation}`);
    assert.notEqual(replay.value?.fingerprint, stale.fingerprint);
  }
  assert.equal(fleet.source.calls.length, 9);
});

test('a replica that starts later takes the stored token with the life that is left of it', async () => {
  const fleet = makeFleet(2);
  void fleet.tokenManagers[0]?.start();
  await fleet.clock.advance(100_200);
  const late = follow(fleet.tokenManagers[1]?.get() ?? Promise.reject());
  await fleet.clock.advance(0);
  assert.equal(fleet.source.calls.length, 1);
  assert.equal(late.value?.remainingMs(), 199_800);
});

test('a stored token that has expired, or is from the future, is not taken', async () => {
  for (const issuedAgoMs of [290_000, -5_000]) {
    const fleet = makeFleet(1);
    const stored = {
      generation: 7,
      value: 'old',
      issuedWallMs: fleet.clock.wallMs() - issuedAgoMs,
      lifeMs: 300_000,
    };
    fleet.store.tokens.set('recipe-1', stored);
    await startAll(fleet);
    assert.equal(fleet.source.calls.length, 1);
    assert.equal(fleet.store.tokens.get('recipe-1')?.generation, 8);
  }
});

test('a replica that dies while it renews is replaced when its lease ends', async () => {
  const fleet = makeFleet(2, 'overlap');
  assert.notEqual(await fleet.store.lease('recipe-1', 15_000), null);
  const get = follow(fleet.tokenManagers[0]?.get() ?? Promise.reject());
  await fleet.clock.advance(14_000);
  assert.equal(fleet.source.calls.length, 0);
  await fleet.clock.advance(8_000);
  assert.notEqual(get.value, undefined);
});

test('an issuer that fails releases the lease, so that the next attempt is made after the pause and not after the lease', async () => {
  const fleet = makeFleet(1, 'overlap', [{ error: new TokenSourceError('503') }]);
  const get = follow(fleet.tokenManagers[0]?.get() ?? Promise.reject());
  await fleet.clock.advance(1_500);
  assert.notEqual(get.value, undefined);
  assert.equal(fleet.source.calls.length, 2);
});

test('an unavailable store: replicas obtain their own tokens, and share again when it is back', async () => {
  const fleet = makeFleet(3);
  fleet.store.isAway = true;
  await startAll(fleet);
  assert.equal(fleet.source.calls.length, 3);
  assert.equal(fingerprints(fleet).size, 3);
  fleet.store.isAway = false;
  for (let step = 0; step < 400; step++) {
    await fleet.clock.advance(1_000);
    for (const manager of fleet.tokenManagers) manager.peek();
  }
  assert.equal(fingerprints(fleet).size, 1);
});

test('an unavailable store and an exclusive issuer: the last token serves until it expires, no replica asks the issuer', async () => {
  const fleet = makeFleet(2, 'exclusive');
  await startAll(fleet);
  fleet.store.isAway = true;
  for (let step = 0; step < 296; step++) {
    await fleet.clock.advance(1_000);
    for (const manager of fleet.tokenManagers) assert.notEqual(manager.peek(), null);
  }
  assert.equal(fleet.source.calls.length, 1);
  assert.equal(
    fleet.tokenManagers[0]?.status().lastError,
    'the store of shared tokens is unavailable (ECONNREFUSED)',
  );
});

test('an unavailable store is reported once, with its code and without its address', async () => {
  const fleet = makeFleet(1);
  fleet.store.isAway = true;
  const notes: string[] = [];
  const manager = new TokenManager({
    name: 'corp',
    source: new SharedSource(fleet.source, fleet.store, {
      rotation: 'overlap',
      leaseMs: 15_000,
      clock: fleet.clock,
    }),
    settings: DEFAULT_TOKEN_MANAGER_SETTINGS,
    clock: fleet.clock,
    random: () => 0.5,
    secrets: new SecretRegistry(),
    onEvent: (event) => {
      if (event.kind === 'note') notes.push(event.note);
    },
  });
  void manager.start();
  for (let second = 0; second < 400; second++) {
    await fleet.clock.advance(1_000);
    manager.peek();
  }
  await manager.stop();
  assert.ok(fleet.source.calls.length > 1);
  assert.deepEqual(notes, [
    'the store of shared tokens is unavailable (ECONNREFUSED): this replica uses its own token',
  ]);
});

test('late or needless notifications cause no issuer call', async () => {
  const fleet = makeFleet(3);
  await startAll(fleet);
  for (let hint = 0; hint < 5; hint++) {
    fleet.store.hint();
    await fleet.clock.advance(1_000);
  }
  assert.equal(fleet.source.calls.length, 1);
});

/** One shared source by itself, asked once; `stored` is in the store before. */
async function askOnce(stored: Partial<StoredToken>, reason: AcquireReason = 'renewal') {
  const fleet = makeFleet(0);
  const { clock, store, source } = fleet;
  const shared = new SharedSource(source, store, { rotation: 'overlap', leaseMs: 15_000, clock });
  const token = {
    generation: 3,
    value: 'stored-value',
    issuedWallMs: clock.wallMs(),
    lifeMs: 300_000,
    ...stored,
  };
  const ask = (): ReturnType<typeof follow<RawToken>> =>
    follow(shared.acquire({ signal: new AbortController().signal, reason, force: false, clock }));
  return { ...fleet, token, ask };
}

test('a stored token of another replica is taken; a manual refresh passes it by, and so does anyone once it is over', async () => {
  for (const [reason, ageMs, expected] of [
    ['renewal', 1_000, 'stored-value'],
    ['manual', 1_000, 'token-1-secret'],
    ['renewal', 286_000, 'token-1-secret'],
  ] as const) {
    const { store, clock, token, ask } = await askOnce({}, reason);
    store.tokens.set('recipe-1', { ...token, issuedWallMs: clock.wallMs() - ageMs });
    const asked = ask();
    await clock.advance(200);
    assert.equal(asked.value?.value, expected);
  }
});

test('a token stored between the look and the lease is taken, and the lease given back', async () => {
  const { store, clock, source, token, ask } = await askOnce({});
  store.onLease = () => store.tokens.set('recipe-1', token);
  const asked = ask();
  await clock.advance(0);
  assert.equal(asked.value?.value, 'stored-value');
  assert.equal(source.calls.length, 0);
  assert.notEqual(await store.lease('recipe-1', 1_000), null);
});

test('a manual refresh asks the issuer even though a shared token is good', async () => {
  const fleet = makeFleet(2);
  await startAll(fleet);
  const refreshed = follow(fleet.tokenManagers[0]?.refresh() ?? Promise.reject());
  await fleet.clock.advance(1_000);
  assert.notEqual(refreshed.value, undefined);
  assert.equal(fleet.source.calls.length, 2);
  // The other replica heard of it.
  assert.equal(fingerprints(fleet).size, 1);
});

test('what is stored is the cleaned value, with the not-before time on our own clock', async () => {
  const fleet = makeFleet(1);
  const nowMs = fleet.clock.wallMs();
  const raw = {
    value: ' "shared-value"\n',
    lifetimeMs: 60_000,
    notBeforeWallMs: nowMs + 600_000,
    extra: { g: '1' },
  };
  fleet.source.usual = {
    delayMs: 0,
    raw: { ...raw, serverDateWallMs: nowMs + 600_000, refreshInMs: 20_000 },
  };
  await startAll(fleet);
  const stored = fleet.store.tokens.get('recipe-1');
  assert.deepEqual(stored, {
    generation: 1,
    value: 'shared-value',
    issuedWallMs: nowMs,
    lifeMs: 60_000,
    refreshInMs: 20_000,
    notBeforeWallMs: (stored?.notBeforeWallMs ?? 0) as number,
    extra: { g: '1' },
  });
  assert.ok(Math.abs((stored?.notBeforeWallMs ?? 0) - nowMs) <= 1_000);
});

test('an aborted attempt ends the wait for another replica', async () => {
  const fleet = makeFleet(1);
  assert.notEqual(await fleet.store.lease('recipe-1', 600_000), null);
  void fleet.tokenManagers[0]?.start();
  await fleet.clock.advance(1_000);
  await fleet.tokenManagers[0]?.stop();
  assert.equal(fleet.clock.pending, 0);
});
