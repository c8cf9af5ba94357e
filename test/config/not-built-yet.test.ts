import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { findNotBuilt, NOT_BUILT_YET } from '../../src/config/rules/not-built-yet.ts';
import { configSchema } from '../../src/config/schema/schema.ts';
import { schemaNode } from '../../src/config/schema/schema-walk.ts';
import { load, MINIMAL, problemsOf } from './config-text.ts';

test('the default of a capability that is not built is accepted', () => {
  const { config } = load(MINIMAL);
  assert.deepEqual(findNotBuilt(config), []);
});

test('every place that uses one is named with its line', () => {
  const table = [
    { path: 'a.b', accepts: (value: unknown) => value === 1, what: 'this' },
    { path: 'list[].x', accepts: (value: unknown) => value === 0, what: 'that' },
    { path: 'map.*.y', accepts: () => false, what: 'those' },
  ];
  const config = { a: { b: 2 }, list: [{ x: 0 }, { x: 3 }, {}], map: { one: { y: 1 }, two: {} } };
  assert.deepEqual(
    findNotBuilt(config as unknown as Config, table).map(({ path }) => path),
    [
      ['a', 'b'],
      ['list', 1, 'x'],
      ['map', 'one', 'y'],
    ],
  );
});

test('the error names the key and the capability', () => {
  // One row of the table as it is now, whichever it is.
  const row = NOT_BUILT_YET.find(({ path }) => path === 'workers');
  if (row === undefined) return;
  assert.deepEqual(problemsOf(`${MINIMAL}workers: 2\n`), [
    `5 workers: not built yet: ${row.what}; remove this key`,
  ]);
});

type Schema = Parameters<typeof schemaNode>[0];

/** The schema at a path of the table; of several types of token source the first stands for all. */
function schemaAt(path: string): Schema | null {
  let schema: Schema | null = configSchema;
  for (const step of path.replaceAll('[]', '.[]').split('.')) {
    if (schema === null) return null;
    schema = childOf(schema, step);
  }
  return schema;
}

function childOf(schema: Schema, step: string): Schema | null {
  const node = schemaNode(schema);
  if (step !== '*' && step !== '[]') return node.shape?.[step] ?? null;
  return node.item === null ? null : (schemaNode(node.item).variants[0] ?? node.item);
}

test('every row of the table names a key of the schema', () => {
  for (const { path } of NOT_BUILT_YET) assert.ok(schemaAt(path) !== null, path);
});
