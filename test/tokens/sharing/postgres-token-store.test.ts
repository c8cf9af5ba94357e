import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { PostgresTokenStore } from '../../../src/tokens/sharing/postgres-token-store.ts';
import { TokenCipher } from '../../../src/tokens/sharing/token-cipher.ts';
import { freePort } from '../../helpers/free-port.ts';
import { until } from '../../helpers/gateway.ts';
import { LoopbackServer } from '../../helpers/loopback-server.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import { testTokenStore } from './token-store-contract.ts';

const KEY = new Secret(Buffer.alloc(32, 7).toString('base64'));
const TOKEN = {
  generation: 1,
  value: 'shared-token-value',
  issuedWallMs: 1_767_225_600_000,
  lifeMs: 300_000,
};

let postgres: TestPostgres;
before(async () => {
  postgres = await TestPostgres.start();
});
after(() => postgres.close());

const storeOn = (url: string, key = KEY) => new PostgresTokenStore(new Secret(url), key, systemClock);

testTokenStore('PostgreSQL', async () => {
  const url = await postgres.createDatabase();
  return {
    one: storeOn(url),
    two: storeOn(url),
    // Leases expire by the clock of the database, which no test can move: their ends move instead.
    pass: async (ms) => {
      await postgres.query(
        `UPDATE tokenferry_tokens SET lease_until = lease_until - interval '${ms} milliseconds'`,
        url,
      );
    },
    end: () => Promise.resolve(),
  };
});

async function withStore(body: (store: PostgresTokenStore, url: string) => Promise<void>): Promise<void> {
  const url = await postgres.createDatabase();
  const store = storeOn(url);
  try {
    await body(store, url);
  } finally {
    await store.close();
  }
}

test('neither a token nor the hash of a recipe can be read in the table', async () => {
  await withStore(async (store, url) => {
    await store.put('a'.repeat(64), { ...TOKEN, extra: { project: 'extra-secret-value' } });
    const { rows } = await postgres.query(
      `SELECT *, encode(token, 'escape') AS plain FROM tokenferry_tokens`,
      url,
    );
    const text = JSON.stringify(rows);
    for (const secret of [TOKEN.value, 'extra-secret-value', 'a'.repeat(64), KEY.reveal()]) {
      assert.ok(!text.includes(secret), secret);
    }
    const endsAtMs: number = rows[0]?.expires_at.getTime();
    assert.ok(Math.abs(endsAtMs - TOKEN.issuedWallMs - TOKEN.lifeMs) < 10_000, `${endsAtMs}`);
  });
});

test('a row that was moved, changed or encrypted with another key is not decrypted', async () => {
  await withStore(async (store, url) => {
    await store.put('one', TOKEN);
    await store.put('two', { ...TOKEN, value: 'another-token' });
    const other = storeOn(url, new Secret(Buffer.alloc(32, 8).toString('base64')));
    // Another key looks into other rows: both replicas work, each on its own.
    assert.equal(await other.get('one'), null);
    await other.close();
    const cipher = new TokenCipher(KEY);
    await postgres.query(
      `UPDATE tokenferry_tokens SET token = (SELECT token FROM tokenferry_tokens WHERE source = '${cipher.rowOf('two')}') WHERE source = '${cipher.rowOf('one')}'`,
      url,
    );
    await assert.rejects(store.get('one'), /cannot decrypt a shared token/);
    await postgres.query(`UPDATE tokenferry_tokens SET generation = 9`, url);
    await assert.rejects(store.get('two'), /cannot decrypt a shared token/);
    await postgres.query(`UPDATE tokenferry_tokens SET token = 'short'`, url);
    await assert.rejects(store.get('two'), /cannot decrypt a shared token/);
  });
});

test('a shared_key of another length than 32 bytes is invalid', () => {
  assert.throws(() => new TokenCipher(new Secret('c2hvcnQ=')), /32 bytes/);
});

test('the age of a shared token is measured by the clock of the database, with any clocks of the replicas', async () => {
  const url = await postgres.createDatabase();
  const replica = (aheadMs: number): { store: PostgresTokenStore; wallMs: () => number } => {
    const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + aheadMs };
    return { store: new PostgresTokenStore(new Secret(url), KEY, clock), wallMs: clock.wallMs };
  };
  const [one, behind, ahead] = [replica(0), replica(-3_600_000), replica(3_600_000)];
  const issuedWallMs = one.wallMs() - 60_000;
  await one.store.put('k', { ...TOKEN, issuedWallMs, notBeforeWallMs: issuedWallMs });
  for (const other of [behind, ahead]) {
    const token = await other.store.get('k');
    for (const at of [token?.issuedWallMs, token?.notBeforeWallMs]) {
      const ageMs = other.wallMs() - (at ?? Number.NaN);
      assert.ok(ageMs >= 60_000 && ageMs < 75_000, `${ageMs}`);
    }
  }
  await Promise.all([one, behind, ahead].map(({ store }) => store.close()));
});

test('a role that may not create the table uses the one that is there', async () => {
  await withStore(async (store, url) => {
    await store.put('k', TOKEN);
    const name = new URL(url).pathname.slice(1);
    const role = `plain_${name}`;
    await postgres.query(`CREATE ROLE ${role} LOGIN`);
    await postgres.query(`GRANT SELECT, INSERT, UPDATE ON tokenferry_tokens TO ${role}`, url);
    const plain = storeOn(url.replace('postgres@', `${role}@`));
    assert.equal((await plain.get('k'))?.value, TOKEN.value);
    await (await plain.lease('k', 1_000))?.release();
    await plain.close();
  });
});

test('twenty replicas that find no table make one', async () => {
  const url = await postgres.createDatabase();
  const stores = Array.from({ length: 20 }, () => storeOn(url));
  const read = await Promise.all(stores.map((store) => store.get('k')));
  assert.deepEqual(new Set(read), new Set([null]));
  await Promise.all(stores.map((store) => store.close()));
});

test('the others are notified of a new token at once, also after the database was unavailable', async () => {
  const url = await postgres.createDatabase();
  const [one, two] = [storeOn(url), storeOn(url)];
  let hints = 0;
  const watching = two.watch('k', () => hints++);
  let generation = 0;
  const put = () => one.put('k', { ...TOKEN, generation: ++generation });
  // The first connection of the listener is made in the background.
  await until(() => hints > 0, 'listening');
  for (const _ of [1, 2]) {
    const before = hints;
    assert.equal(await put(), true);
    await until(() => hints > before, 'a hint', 500);
    await postgres.halt();
    await assert.rejects(one.get('k'));
    await postgres.resume();
    await until(() => hints > before + 1, 'listening again', 5_000);
  }
  watching.close();
  await Promise.all([one.close(), two.close()]);
});

test('a database that is not there, or accepts and never responds, rejects within 4 s', async () => {
  await using silent = await new LoopbackServer(createServer()).listening();
  const failing = async (port: number): Promise<void> => {
    const store = storeOn(`postgres://x:password-of-x@127.0.0.1:${port}/x`);
    const startedMs = performance.now();
    await assert.rejects(store.get('k'), (error: Error) => !error.message.includes('password-of-x'));
    store.watch('k', () => {}).close();
    await store.close();
    assert.ok(performance.now() - startedMs < 4_000);
  };
  await Promise.all([failing(silent.port), failing(await freePort())]);
});
