import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredToken, TokenStore } from '../../../src/tokens/sharing/token-store.ts';

/** What the contract needs of a store: two replicas' views of one empty store, and a way to let time pass. */
export interface StoreFixture {
  readonly one: TokenStore;
  readonly two: TokenStore;
  /** Lets time pass for the store, so that leases of at most `ms` milliseconds expire. */
  pass(ms: number): void | Promise<void>;
  end(): Promise<void>;
}

/** What is read is what was stored; its times may have moved a little, as a store may keep them by a clock of its own. */
function assertSame(read: StoredToken | null, stored: StoredToken): void {
  const { issuedWallMs = Number.NaN, notBeforeWallMs, ...rest } = read ?? {};
  const { issuedWallMs: issued, notBeforeWallMs: notBefore, ...expected } = stored;
  assert.deepEqual(rest, expected);
  assert.ok(Math.abs(issuedWallMs - issued) < 10_000, `${issuedWallMs} for ${issued}`);
  if (notBefore === undefined) assert.equal(notBeforeWallMs, undefined);
  else assert.ok(Math.abs((notBeforeWallMs ?? Number.NaN) - notBefore) < 10_000);
}

/** The one contract of all stores of shared tokens; each implementation's test calls it. */
export function testTokenStore(name: string, open: () => Promise<StoreFixture>): void {
  const token = (generation: number): StoredToken => ({
    generation,
    value: `value-${generation}`,
    issuedWallMs: 1_767_225_600_000 + generation,
    lifeMs: 300_000,
    refreshInMs: 100_000,
    notBeforeWallMs: 1_767_225_600_000,
    extra: { group: 'g' },
  });

  const using = (title: string, body: (fixture: StoreFixture) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const fixture = await open();
      try {
        await body(fixture);
      } finally {
        await fixture.one.close();
        await fixture.two.close();
        await fixture.end();
      }
    });
  };

  using('a replica reads exactly what another one stored', async ({ one, two }) => {
    assert.equal(await two.get('a'.repeat(64)), null);
    assert.equal(await one.put('a'.repeat(64), token(1)), true);
    assertSame(await two.get('a'.repeat(64)), token(1));
    assert.equal(await two.get('b'.repeat(64)), null);
  });

  using('a token without a stated lifetime is stored without one', async ({ one, two }) => {
    const bare = { generation: 1, value: 'v', issuedWallMs: 5, lifeMs: null };
    await one.put('k', bare);
    assertSame(await two.get('k'), bare);
  });

  using('a token of an older or the same generation does not replace a newer one', async ({ one, two }) => {
    await one.put('k', token(2));
    assert.equal(await two.put('k', token(2)), false);
    assert.equal(await two.put('k', token(1)), false);
    assert.equal((await one.get('k'))?.value, 'value-2');
    assert.equal(await two.put('k', token(3)), true);
    assert.equal((await one.get('k'))?.value, 'value-3');
  });

  using(
    'the lease of a recipe is one replica’s until it is released, those of others are free',
    async ({ one, two }) => {
      const lease = await one.lease('k', 10_000);
      assert.notEqual(lease, null);
      assert.equal(await two.lease('k', 10_000), null);
      assert.equal(await one.lease('k', 10_000), null);
      assert.notEqual(await two.lease('other', 10_000), null);
      await lease?.release();
      await lease?.release();
      const next = await two.lease('k', 10_000);
      assert.notEqual(next, null);
      // The first one's second release must not free what is another's now.
      await lease?.release();
      assert.equal(await one.lease('k', 10_000), null);
    },
  );

  using('a lease that was never released expires', async ({ one, two, pass }) => {
    const lost = await one.lease('k', 10_000);
    assert.notEqual(lost, null);
    assert.equal(await two.lease('k', 10_000), null);
    await pass(10_001);
    const next = await two.lease('k', 10_000);
    assert.notEqual(next, null);
    await lost?.release();
    assert.equal(await one.lease('k', 10_000), null);
  });

  using('of many that ask at one time one gets the lease', async ({ one, two }) => {
    const asked = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two).lease('k', 10_000));
    const leases = await Promise.all(asked);
    assert.equal(leases.filter((lease) => lease !== null).length, 1);
  });
}
