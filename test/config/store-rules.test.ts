import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, MINIMAL, problemsOf } from './config-text.ts';

test('records in PostgreSQL need its address, as a URL or as libpq writes it', () => {
  for (const dbaddr of ['postgres://app:pw@db/llm', 'postgresql://db/llm', 'host=db user=app dbname=llm'])
    assert.equal(load(`${MINIMAL}dbtype: postgres\ndbaddr: "${dbaddr}"\n`).config.dbtype, 'postgres');
  for (const text of ['dbtype: postgres\n', 'dbtype: postgres\ndbaddr: ./db.sqlite\n'])
    assert.match(
      problemsOf(`${MINIMAL}${text}`).join('\n'),
      /dbaddr: must be a postgres:\/\/ URL or a libpq/,
    );
});

test('an address where a file is expected is reported', () => {
  assert.match(
    problemsOf(`${MINIMAL}dbaddr: postgres://db/llm\n`).join('\n'),
    /dbaddr: is the address of a PostgreSQL: set dbtype: postgres/,
  );
});
