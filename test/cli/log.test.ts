// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration files interpolate.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SqliteDatabase } from '../../src/request-log/sqlite/sqlite-database.ts';
import { type EndedCommand, runCommand } from '../helpers/run-command.ts';
import { sampleRecord } from '../request-log/sample-record.ts';
import { batchOf } from '../request-log/store-contract.ts';

const UPSTREAMS = [{ endpoint: 'http://llm.example', sk: 'k' }];

async function database(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-log-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'db.sqlite');
  const store = new SqliteDatabase({ path, redact: (body) => body });
  const nowMs = Date.now();
  const rows = [
    sampleRecord({ id: 'old', createdAtMs: nowMs - 3_600_000, path: '/v1/old', outcome: 'ok' }),
    sampleRecord({
      id: 'new',
      createdAtMs: nowMs - 10_000,
      path: '/v1/new',
      outcome: 'ok',
      traceId: TRACE_ID,
    }),
  ];
  store.insert(batchOf(rows));
  store.close();
  return path;
}

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

function log(config: object, ...args: string[]): Promise<EndedCommand> {
  return runCommand('log', { upstreams: UPSTREAMS, ...config }, { args });
}

function isClear({ stderr }: EndedCommand, pattern: RegExp): void {
  assert.match(stderr, pattern);
  assert.ok(!stderr.includes('usage:'), stderr);
}

test('without configured records the error names the setting, exit code 2', async () => {
  const ended = await log({ dbtype: 'none' });
  assert.equal(ended.code, 2);
  isClear(
    ended,
    /^No requests are recorded: .*dbtype: none\. Set dbtype: sqlite, or postgres, and restart tokenferry\.\n$/,
  );
});

test('a file that is not there yet is named in full, with why it may be missing, exit code 1', async () => {
  const ended = await log({ dbaddr: './none.sqlite' });
  assert.equal(ended.code, 1);
  isClear(ended, /^There is no database \/.*\/none\.sqlite: no request was recorded yet, or .*\n$/);
});

test('--since takes seconds, units and times', async (t) => {
  const dbaddr = await database(t);
  const paths = ({ stdout }: EndedCommand) => stdout.match(/\/v1\/\w+/g) ?? [];
  assert.deepEqual(paths(await log({ dbaddr })), ['/v1/old', '/v1/new']);
  assert.deepEqual(paths(await log({ dbaddr }, '--since', '90')), ['/v1/new']);
  assert.deepEqual(paths(await log({ dbaddr }, '--since', '2h')), ['/v1/old', '/v1/new']);
  const time = new Date(Date.now() - 60_000).toISOString();
  assert.deepEqual(paths(await log({ dbaddr }, '--since', time)), ['/v1/new']);
  const none = await log({ dbaddr }, '--since', '1s');
  assert.equal(none.code, 0);
  assert.match(none.stderr, /^No request is recorded since 20\d\d-.*Z\.\n$/);
});

test('a --since that is neither is refused with the forms that are taken, exit code 2', async () => {
  const { code, stderr } = await log({}, '--since', 'yesterday');
  assert.equal(code, 2);
  assert.match(stderr, /^--since must be a duration \(90, 5m, 2h, 7d: .*\) or a time \(2026-.*\)\.\nusage: /);
});

test('records are printed without the secrets of upstreams and tokens', async (t) => {
  const dbaddr = await database(t);
  const ended = await log({
    dbaddr,
    tokens: { corp: { type: 'static', value: '${NOT_SET_ANYWHERE}' } },
    upstreams: [{ endpoint: 'http://llm.example', token: 'corp', tls: { ca: '/nowhere/ca.pem' } }],
  });
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stdout, /\/v1\/new/);
});

test('an address of the database that cannot be resolved is still an error', async () => {
  const ended = await log({ dbtype: 'postgres', dbaddr: 'postgres://u:${NOT_SET_ANYWHERE}@db/llm' });
  assert.equal(ended.code, 2);
  assert.match(ended.stderr, /dbaddr: environment variable NOT_SET_ANYWHERE is not set/);
});

test('--id opens one request: its facts and its attempts on a time line', async (t) => {
  const dbaddr = await database(t);
  const { code, stdout } = await log({ dbaddr }, '--id', 'new');
  assert.equal(code, 0);
  assert.match(stdout, /^request new\n {2}time {5}20\d\d/);
  assert.match(stdout, /^ {2}attempts\n {4}\|[ █]{40}\| \d+ ms {2}\S+: \w+/m);
  const traced = await log({ dbaddr }, '--id', TRACE_ID);
  assert.match(traced.stdout, /^request new\n/);
  assert.match(traced.stdout, new RegExp(`^ {2}trace {4}${TRACE_ID}$`, 'm'));
  const none = await log({ dbaddr }, '--id', 'unknown');
  assert.match(none.stderr, /^No request with id unknown is recorded\.\n$/);
});

test('filters by client, model, upstream and status hold together', async (t) => {
  const dbaddr = await database(t);
  const { client, model, upstream, status } = sampleRecord({});
  const all = ['--client', client, '--model', model, '--upstream', upstream, '--status', status].map(String);
  const found = await log({ dbaddr }, ...all);
  assert.equal(found.stdout.split('\n').filter(Boolean).length, 2, found.stderr);
  const none = await log({ dbaddr }, ...all, '--client', 'somebody-else');
  assert.equal(none.stdout, '');
});

test('--json prints one object a line, --csv a table that a spreadsheet opens', async (t) => {
  const dbaddr = await database(t);
  const json = (await log({ dbaddr }, '--json')).stdout.trim().split('\n');
  assert.deepEqual(
    json.map((text) => (JSON.parse(text) as { id: string }).id),
    ['old', 'new'],
  );
  const csv = (await log({ dbaddr }, '--csv')).stdout.trim().split('\n');
  assert.match(csv[0] ?? '', /^created_at,id,client,method,path,model,upstream,status/);
  assert.equal(csv.length, 3);
});
