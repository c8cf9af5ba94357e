import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import pg from 'pg';
import { SecretRegistry } from '../../../src/lib/secret.ts';
import { PostgresDatabase } from '../../../src/request-log/postgres/postgres-database.ts';
import type { RequestLogEvent } from '../../../src/request-log/record-writer.ts';
import { followPostgres } from '../../../src/request-log/request-follower.ts';
import { createRequestLog } from '../../../src/request-log/request-log.ts';
import { COLUMNS } from '../../../src/request-log/request-row.ts';
import { StoreError } from '../../../src/request-log/request-store.ts';
import { WorkerStore } from '../../../src/request-log/worker-store.ts';
import { Gateway } from '../../helpers/gateway.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';
import { until } from '../../helpers/until.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';
import { failedRecord, requestById, sampleRecord } from '../sample-record.ts';
import { batchOf, storeContract } from '../store-contract.ts';

const postgres = await TestPostgres.start();
after(() => postgres.close());

storeContract(
  'PostgreSQL',
  async () =>
    new WorkerStore({
      type: 'postgres',
      path: await postgres.createDatabase(),
      maxBodyBytes: 65_536,
      redact: [],
    }),
);

function open(t: TestContext, address: string): PostgresDatabase {
  const database = new PostgresDatabase({ address, redact: (body) => body });
  t.after(() => database.close());
  return database;
}

const DAY_MS = 86_400_000;
const TODAY_MS = Date.UTC(2026, 10, 21);

async function partitionsOf(url: string): Promise<string[]> {
  const { rows } = await postgres.query(
    "SELECT relname FROM pg_class WHERE relname ~ '^tokenferry_requests_[0-9]+$' ORDER BY 1",
    url,
  );
  return rows.map(({ relname }: { relname: string }) => relname);
}

async function fails(run: Promise<unknown>, fault: string, says: RegExp): Promise<void> {
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.fault, fault);
    assert.match(error.message, says);
    return true;
  });
}

test('the table has exactly the columns of the record, in order', async (t) => {
  const url = await postgres.createDatabase();
  await open(t, url).insert(batchOf([sampleRecord()]));
  const { rows } = await postgres.query(
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'tokenferry_requests' ORDER BY ordinal_position",
    url,
  );
  assert.deepEqual(
    rows.map(({ column_name }: { column_name: string }) => column_name),
    [...COLUMNS],
  );
});

test('each day has its partition, made with its first row', async (t) => {
  const url = await postgres.createDatabase();
  const days = [TODAY_MS, TODAY_MS + DAY_MS - 1, TODAY_MS + DAY_MS].map((createdAtMs) =>
    sampleRecord({ createdAtMs }),
  );
  await open(t, url).insert(batchOf(days));
  assert.deepEqual(await partitionsOf(url), ['tokenferry_requests_20261121', 'tokenferry_requests_20261122']);
  const { rows } = await postgres.query(
    'SELECT count(*)::int AS count FROM tokenferry_requests_20261121',
    url,
  );
  assert.equal(rows[0].count, 2);
});

test('past days are dropped as partitions, the day of the limit row by row', async (t) => {
  const url = await postgres.createDatabase();
  const database = open(t, url);
  const at = (createdAtMs: number, id: string) => sampleRecord({ createdAtMs, id });
  await database.insert(
    batchOf([
      at(TODAY_MS - 2 * DAY_MS, 'a'),
      at(TODAY_MS - 1, 'b'),
      at(TODAY_MS, 'c'),
      at(TODAY_MS + 1_000, 'd'),
      at(TODAY_MS + 5_000, 'e'),
    ]),
  );
  // One day at a time, so that each step is short.
  assert.equal(await database.deleteBefore(TODAY_MS + 2_000, 9), 9);
  assert.deepEqual(await partitionsOf(url), ['tokenferry_requests_20261120', 'tokenferry_requests_20261121']);
  assert.equal(await database.deleteBefore(TODAY_MS + 2_000, 9), 9);
  assert.deepEqual(await partitionsOf(url), ['tokenferry_requests_20261121']);
  assert.equal(await database.deleteBefore(TODAY_MS + 2_000, 1), 1);
  assert.equal(await database.deleteBefore(TODAY_MS + 2_000, 9), 1);
  assert.equal(await database.deleteBefore(TODAY_MS + 2_000, 9), 0);
  assert.deepEqual(
    (await database.recent({}, { limit: 9 })).requests.map(({ id }) => id),
    ['e'],
  );
  await database.insert(batchOf([at(TODAY_MS - 1, 'again')]));
  assert.equal((await requestById(database, 'again'))?.id, 'again', 'a dropped day can come back');
});

test('a day that somebody reads is not dropped, and inserts do not wait behind the drop', async (t) => {
  const url = await postgres.createDatabase();
  const database = open(t, url);
  await database.insert(batchOf([sampleRecord({ createdAtMs: TODAY_MS })]));
  const reader = new pg.Client({ connectionString: url });
  await reader.connect();
  t.after(() => reader.end());
  await reader.query('BEGIN');
  await reader.query('SELECT count(*) FROM tokenferry_requests');
  assert.equal(await database.deleteBefore(TODAY_MS + 2 * DAY_MS, 9), 0);
  const later = sampleRecord({ createdAtMs: TODAY_MS + 1 });
  assert.deepEqual(await database.insert(batchOf([later])), { written: 1, refused: 0 });
  assert.deepEqual(await partitionsOf(url), ['tokenferry_requests_20261121']);
  await reader.query('COMMIT');
  assert.equal(await database.deleteBefore(TODAY_MS + 2 * DAY_MS, 9), 9);
  assert.deepEqual(await partitionsOf(url), []);
});

test("a day that another replica's retention dropped is made again", async (t) => {
  const url = await postgres.createDatabase();
  const [first, second] = [open(t, url), open(t, url)];
  await first.insert(batchOf([sampleRecord({ createdAtMs: TODAY_MS })]));
  await second.deleteBefore(TODAY_MS + 2 * DAY_MS, 10);
  assert.deepEqual(await partitionsOf(url), []);
  assert.deepEqual(await first.insert(batchOf([sampleRecord({ createdAtMs: TODAY_MS })])), {
    written: 1,
    refused: 0,
  });
});

test('replicas that start at one time make one table and one partition', async (t) => {
  const url = await postgres.createDatabase();
  const replicas = Array.from({ length: 4 }, () => open(t, url));
  await Promise.all(replicas.map((replica) => replica.insert(batchOf([sampleRecord()]))));
  const [first] = replicas;
  assert.equal((await first?.recent({}, { limit: 10 }))?.requests.length, 4);
});

test('a value that PostgreSQL cannot store is replaced, or its row alone is rejected', async (t) => {
  const database = open(t, await postgres.createDatabase());
  const records = [
    sampleRecord({ id: 'nul', model: 'a\u0000b', errorMessage: '\ud800' }),
    sampleRecord({ id: 'too_big', status: 10_000_000_000 }),
    sampleRecord({ id: 'plain' }),
  ];
  assert.deepEqual(await database.insert(batchOf(records)), { written: 2, refused: 1 });
  assert.equal((await requestById(database, 'nul'))?.model, 'a\ufffdb');
  assert.equal(await requestById(database, 'too_big'), null);
  assert.equal((await requestById(database, 'plain'))?.id, 'plain');
});

test('a database that is missing, not ours or newer is distinguished from an unavailable one', async (t) => {
  await fails(open(t, postgres.urlOf('nowhere')).insert(batchOf([])), 'unusable', /does not exist.*3D000/);
  await fails(open(t, './db.sqlite').insert(batchOf([])), 'unusable', /neither a postgres:/);
  await fails(
    open(t, 'host=127.0.0.1 port=1 user=me password=not-told').insert(batchOf([])),
    'unavailable',
    /^The database 127\.0\.0\.1:1\/me cannot be used: [^']*ECONNREFUSED/,
  );
  const foreign = await postgres.createDatabase();
  await postgres.query('CREATE TABLE tokenferry_requests (id text)', foreign);
  await fails(open(t, foreign).insert(batchOf([])), 'unusable', /not ours/);
  const newer = await postgres.createDatabase();
  await open(t, newer).insert(batchOf([]));
  await postgres.query("INSERT INTO tokenferry_migrations (number, name) VALUES (99, 'future')", newer);
  await fails(open(t, newer).insert(batchOf([])), 'unusable', /newer tokenferry/);
});

test('a table that was dropped is created again', async (t) => {
  const url = await postgres.createDatabase();
  const database = open(t, url);
  await database.insert(batchOf([sampleRecord()]));
  await postgres.query('DROP TABLE tokenferry_requests', url);
  await fails(database.insert(batchOf([sampleRecord()])), 'unavailable', /lost the table/);
  assert.deepEqual(await database.insert(batchOf([sampleRecord()])), { written: 1, refused: 0 });
});

test('rows wait while the server is unavailable, and are written afterwards', async (t) => {
  const clock = new VirtualClock();
  const events: RequestLogEvent[] = [];
  const log = createRequestLog(
    {
      type: 'postgres',
      path: await postgres.createDatabase(),
      queueRows: 10_000,
      retentionMs: 0,
      maxBodyBytes: 65_536,
    },
    { clock, secrets: new SecretRegistry(), random: () => 0.5, onEvent: (event) => events.push(event) },
  );
  t.after(() => log.close());
  log.acceptRecords([failedRecord()]);
  await until(() => log.stats().written === 1, 'the first row is written');
  await postgres.halt();
  await clock.advance(600);
  log.acceptRecords([sampleRecord({ id: 'waited_1' }), sampleRecord({ id: 'waited_2' })]);
  await until(() => events.length === 1, 'the outage was met');
  assert.equal(events[0]?.kind, 'unavailable');
  assert.deepEqual(log.stats(), { written: 1, dropped: 0, queued: 2 });
  await postgres.resume();
  for (let tries = 0; tries < 20 && log.stats().queued > 0; tries++) {
    await clock.advance(5_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(log.stats(), { written: 3, dropped: 0, queued: 0 });
  assert.deepEqual(events[1], { kind: 'available', waitingRows: 0, droppedRows: 0 });
  for (const id of ['waited_1', 'waited_2']) assert.equal((await requestById(log, id))?.id, id);
});

test('the whole service writes its records there, and starts and serves while the server is unavailable', async () => {
  await using model = await StandInModel.start();
  const dbaddr = await postgres.createDatabase();
  await postgres.halt();
  const upstreams = [{ name: 'only', endpoint: model.url, sk: 'upstream-key' }];
  await using gateway = await Gateway.start({ dbtype: 'postgres', dbaddr, upstreams });
  const body = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
  const response = await gateway.post('/v1/chat/completions', body);
  assert.equal(response.status, 200);
  await postgres.resume();
  const count = async () =>
    (await postgres.query('SELECT model, upstream, outcome FROM tokenferry_requests', dbaddr)).rows;
  let rows: unknown[] = [];
  for (let tries = 0; tries < 200 && rows.length === 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    rows = await count().catch(() => []);
  }
  assert.deepEqual(rows, [{ model: 'm', upstream: 'only', outcome: 'ok' }]);
});

test('the log command reads it, also as a user who may only read', async () => {
  const url = await postgres.createDatabase();
  const database = new PostgresDatabase({ address: url, redact: (body) => body });
  await database.insert(batchOf([sampleRecord({ id: 'first', createdAtMs: Date.now() })]));
  await postgres.query('CREATE ROLE reader LOGIN', url);
  await postgres.query('GRANT SELECT ON tokenferry_requests TO reader', url);
  const follower = await followPostgres(url.replace('postgres@', 'reader@'), Date.now);
  try {
    assert.deepEqual(
      (await follower.newest({}, 10)).map(({ id }) => id),
      ['first'],
    );
    await database.insert(batchOf([sampleRecord({ id: 'second', createdAtMs: Date.now() })]));
    assert.deepEqual(
      (await follower.news()).map(({ id }) => id),
      ['second'],
    );
  } finally {
    await follower.close();
    await database.close();
  }
  await postgres.query('ALTER TABLE tokenferry_requests DROP COLUMN client_request_id', url);
  const older = await followPostgres(url, Date.now);
  await fails(
    older.newest({ id: 'first' }, 1),
    'unusable',
    /older tokenferry: start the gateway of this version/,
  );
  assert.equal((await older.newest({}, 10)).length, 2);
  await older.close();
  const empty = await followPostgres(await postgres.createDatabase(), Date.now);
  await fails(empty.newest({}, 1), 'unusable', /has no requests of tokenferry/);
  await empty.close();
});
