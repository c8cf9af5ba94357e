import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Database from 'better-sqlite3';
import pg from 'pg';
import { importFile } from '../../../src/cli/import/import-file.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import {
  createRouteDatabase,
  ROUTE_INSERT_COLUMNS,
  type RouteRow,
  routeValues,
} from '../../helpers/route-database.ts';
import { callCommand } from '../../helpers/run-command.ts';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';

const RECENT = new Date(Date.now() - 86_400_000).toISOString().replace('T', ' ').replace('Z', '123456+00:00');

const ROWS: readonly RouteRow[] = [
  { created_at: RECENT },
  {
    created_at: RECENT,
    authorization: 'iampassword',
    body: '{"model":"m1","stream":true,"messages":[{"role":"user","content":"my key is upstream-secret"}]}',
  },
  {
    created_at: RECENT,
    status: 502,
    response: '[proxy.ErrorHandler]: dial tcp 10.1.2.3:443: upstream-secret refused',
    authorization: 'Bearer stranger-key',
  },
  {
    created_at: RECENT,
    model: '/v1/audio/transcriptions',
    body: '',
    upstream_endpoint: 'http://gone.example/v1',
  },
  { created_at: '2019-01-01 00:00:00+00:00' },
];

interface Copied {
  readonly client: string | null;
  readonly upstream: string | null;
  readonly [column: string]: unknown;
}

function configFor(file: string, content: 'none' | 'all'): object {
  return {
    authorization: 'woshimima,iampassword',
    dbtype: 'sqlite',
    dbaddr: file,
    record: { content },
    upstreams: [
      { name: 'other', sk: 'another-secret', endpoint: 'http://127.0.0.1:9801/v1' },
      { name: 'main', sk: 'upstream-secret', endpoint: 'http://127.0.0.1:9801/v1/' },
    ],
  };
}

function copiedRows(file: string): Copied[] {
  const database = new Database(file, { readonly: true });
  try {
    return database.prepare('SELECT * FROM tokenferry_requests ORDER BY id').all() as Copied[];
  } finally {
    database.close();
  }
}

function assertCopied(rows: readonly Copied[]): void {
  assert.equal(rows.length, 4);
  const [first, second, third, fourth] = rows;
  assert.equal(first?.client, 'key-1');
  assert.equal(first.upstream, 'main');
  assert.equal(first.hostname, 'old-node');
  assert.equal(first.ip, '10.0.0.9');
  assert.equal(first.user_agent, 'ua1');
  assert.equal(first.path, '/v1/chat/completions');
  assert.equal(first.model, 'm1');
  assert.equal(first.status, 200);
  assert.equal(first.outcome, 'ok');
  assert.equal(first.elapsed_ms, 9);
  assert.equal(first.first_token_ms, 9);
  assert.equal(second?.client, 'key-2');
  assert.equal(second.stream, 1);
  assert.equal(third?.client, null);
  assert.equal(third.outcome, 'upstream_error');
  assert.match(String(third.error_message), /dial tcp/);
  assert.equal(fourth?.path, '/v1/audio/transcriptions');
  assert.equal(fourth.upstream, null);
  assert.doesNotMatch(JSON.stringify(rows), /upstream-secret|woshimima|iampassword|stranger-key/);
}

test('records are copied once, with names for keys and without secrets; bodies as record.content says', async (t) => {
  const directory = temporaryDirectory(t);
  const source = join(directory, 'old.sqlite');
  createRouteDatabase(source, ROWS);
  for (const content of ['none', 'all'] as const) {
    const file = join(directory, `${content}.sqlite`);
    const first = await callCommand(importFile, configFor(file, content), ['--records', source]);
    assert.equal(first.code, 0, first.stdout);
    assert.match(first.stdout, /4 records copied into sqlite/);
    assert.match(first.stdout, /1 record left out: older than record\.retention/);
    assert.match(first.stdout, /http:\/\/gone\.example\/v1/);
    const rows = copiedRows(file);
    assertCopied(rows);
    assert.equal(rows[0]?.body === null, content === 'none');
    const again = await callCommand(importFile, configFor(file, content), ['--records', source]);
    assert.match(again.stdout, /0 records copied/);
    assert.match(again.stdout, /4 records had been copied before/);
    assert.equal(copiedRows(file).length, 4);
  }
});

test('its database may be the one that tokenferry writes to', async (t) => {
  const file = join(temporaryDirectory(t), 'db.sqlite');
  createRouteDatabase(file, ROWS);
  const { code, stdout } = await callCommand(importFile, configFor(file, 'none'), ['--records', file]);
  assert.equal(code, 0, stdout);
  assertCopied(copiedRows(file));
});

let postgres: TestPostgres;
before(async () => {
  postgres = await TestPostgres.start();
});
after(() => postgres.close());

test('a PostgreSQL database of openai-api-route is read by its URL or its "host=…" text', async (t) => {
  const url = await postgres.createDatabase();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  // As gorm's driver for PostgreSQL creates it.
  await client.query(
    'CREATE TABLE records (id bigserial PRIMARY KEY, hostname text, upstream_endpoint text, upstream_sk text, created_at timestamptz, ip text, body text, model text, response text, response_time bigint, elapsed_time bigint, status bigint, "authorization" text, user_agent text, headers text)',
  );
  const columns = ROUTE_INSERT_COLUMNS.replace('authorization', '"authorization"');
  const places = columns.split(',').map((_, index) => `$${index + 1}`);
  for (const row of ROWS)
    await client.query(`INSERT INTO records (${columns}) VALUES (${places.join(', ')})`, [
      ...routeValues(row),
    ]);
  await client.end();
  const { hostname, port, pathname, username } = new URL(url);
  const text = `host=${hostname} port=${port} user=${username} dbname=${pathname.slice(1)} sslmode=disable`;
  for (const [index, address] of [url, text].entries()) {
    const file = join(temporaryDirectory(t), `${index}.sqlite`);
    const { code, stdout } = await callCommand(importFile, configFor(file, 'none'), ['--records', address]);
    assert.equal(code, 0, stdout);
    assertCopied(copiedRows(file));
  }
});

test('a database that is none, or not openai-api-route’s, is an error that says so', async (t) => {
  const directory = temporaryDirectory(t);
  const empty = join(directory, 'empty.sqlite');
  new Database(empty).exec('CREATE TABLE a (b)').close();
  const error = t.mock.method(console, 'error', () => undefined);
  for (const source of [join(directory, 'missing.sqlite'), empty]) {
    const { code } = await callCommand(importFile, configFor(join(directory, 'db.sqlite'), 'none'), [
      '--records',
      source,
    ]);
    assert.equal(code, 1);
  }
  const messages = error.mock.calls.map((call) => String(call.arguments[0]));
  assert.match(messages[0] ?? '', /missing\.sqlite cannot be opened/);
  assert.match(messages[1] ?? '', /has no table "records"/);
});

test('a configuration is printed, or written where nobody else can read it, and never over another file', async (t) => {
  const directory = temporaryDirectory(t);
  const old = join(directory, 'old.yaml');
  writeFileSync(
    old,
    'authorization: k\nupstreams:\n  - { sk: a, endpoint: "https://a.example/v1", weight: 1 }\n',
  );
  const printed: string[] = [];
  t.mock.method(console, 'log', (text: string) => void printed.push(text));
  t.mock.method(console, 'error', () => undefined);
  assert.equal(await importFile([old]), 0);
  assert.match(printed.join('\n'), /# Not taken over: weight/);
  const output = join(directory, 'config.yaml');
  assert.equal(await importFile([old, '--output', output]), 0);
  assert.match(readFileSync(output, 'utf8'), /endpoint: https:\/\/a\.example\/v1/);
  assert.equal(statSync(output).mode & 0o077, 0);
  assert.equal(await importFile([old, '--output', output]), 2);
  assert.equal(await importFile([old, '--output', output, '--force']), 0);
  assert.equal(await importFile([join(directory, 'missing.yaml')]), 2);
  assert.equal(await importFile([]), 2);
});
