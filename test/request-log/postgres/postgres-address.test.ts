import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePostgresAddress } from '../../../src/request-log/postgres/postgres-address.ts';

test('a URL is passed to the driver unchanged; its description has no user and no password', () => {
  const address = parsePostgresAddress('postgresql://app:pass@db.corp:5433/llm?sslmode=require');
  assert.equal(address?.config.connectionString, 'postgresql://app:pass@db.corp:5433/llm?sslmode=require');
  assert.equal(address?.place, 'db.corp:5433/llm');
  assert.equal(parsePostgresAddress('postgres://app:pass@db/llm')?.place, 'db:5432/llm');
});

test('a libpq string is read with its quotes, escapes and spaces', () => {
  const address = parsePostgresAddress(
    String.raw`host=db port = 6432 user=app password='it\'s a \\ secret' dbname=llm sslmode=disable TimeZone=Asia/Shanghai`,
  );
  assert.deepEqual(address, {
    config: {
      host: 'db',
      port: 6432,
      user: 'app',
      password: String.raw`it's a \ secret`,
      database: 'llm',
      ssl: false,
    },
    place: 'db:6432/llm',
  });
});

test('sslmode defines how much of the certificate is checked', () => {
  const sslOf = (mode: string) => parsePostgresAddress(`host=db sslmode=${mode}`)?.config.ssl;
  assert.equal(sslOf('verify-full'), true);
  assert.deepEqual(sslOf('require'), { rejectUnauthorized: false });
  assert.equal(sslOf('prefer'), false);
  assert.equal(typeof sslOf('verify-ca'), 'object');
});

test('any other text is rejected', () => {
  for (const text of ['./db.sqlite', '', 'mysql://db/x', 'host', 'host=db and more', 'postgres://['])
    assert.equal(parsePostgresAddress(text), null, text);
});
