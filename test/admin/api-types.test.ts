import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type * as api from '../../src/admin/api-types.ts';
import { ApiDescription } from '../openapi/api-description.ts';

const text = readFileSync(new URL('../../src/admin/api-types.ts', import.meta.url), 'utf8');
const schemas = new ApiDescription().document.components.schemas;

/** The names of events are described by the type alone. */
const NO_SCHEMA: readonly string[] = ['AdminEvents' satisfies keyof TypesOf];

interface TypesOf {
  readonly AdminEvents: api.AdminEvents;
}

test('every type of the admin API has a schema with the same members', () => {
  const types = [...text.matchAll(/^export interface (\w+)(?: extends (\w+))? \{\n([\s\S]*?)^\}/gm)].map(
    ([, name = '', base, body = '']) => ({ name, base, members: membersIn(body) }),
  );
  assert.ok(types.length > 25);
  const byName = new Map(types.map((type) => [type.name, type]));
  for (const { name, base, members } of types) {
    if (NO_SCHEMA.includes(name)) continue;
    const schema = schemas[name.startsWith('Admin') ? name : `Admin${name}`];
    const all = [...(base === undefined ? [] : (byName.get(base)?.members ?? [])), ...members];
    assert.deepEqual(Object.keys((schema?.properties as object | undefined) ?? {}).sort(), all.sort(), name);
  }
});

/** The members of the interface itself, which are indented by two. */
function membersIn(body: string): string[] {
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name = '']) => name);
}
