import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { configReference } from '../../scripts/config-reference.ts';
import { loadConfig } from '../../src/config/load/load-config.ts';
import { jsonSchema } from '../../src/config/schema/json-schema.ts';

const sampleFile = fileURLToPath(new URL('../../config.sample.yaml', import.meta.url));
const sample = readFileSync(sampleFile, 'utf8');

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly required?: readonly string[];
  readonly const?: unknown;
  readonly type?: unknown;
}

test('the sample loads without a warning and without any environment', () => {
  const { warnings } = loadConfig(sampleFile, {});
  assert.deepEqual(warnings, []);
});

test('the sample shows every key of the top level, every type of source and every key of an upstream', () => {
  const { properties = {} } = jsonSchema() as JsonSchema;
  const names = (schema: JsonSchema | undefined) => Object.keys(schema?.properties ?? {});
  const upstream = names(properties.upstreams?.items);
  const nested = [
    'limits',
    'retry',
    'cool_down',
    'record',
    'log',
    'metrics',
    'admin',
    'pass_through',
  ].flatMap((key) => names(properties[key]));
  for (const key of [...Object.keys(properties), ...nested, ...upstream]) {
    assert.match(sample, new RegExp(`(^|[\\s{,#])${key}(:|,|\\s)`, 'm'), key);
  }
  const types = new Set(
    Object.values((parse(sample) as { tokens: Record<string, { type: string }> }).tokens).map(
      ({ type }) => type,
    ),
  );
  assert.equal(types.size, 8);
});

test('the JSON schema knows what is required and what may not be there', () => {
  const schema = jsonSchema() as JsonSchema;
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual(schema.required ?? [], []);
  const sources = schema.properties?.tokens?.additionalProperties;
  assert.ok(typeof sources === 'object');
  const http = sources.oneOf?.find((one) => one.properties?.type?.const === 'http');
  assert.deepEqual(http?.required, ['type', 'url']);
  assert.deepEqual(schema.properties?.clients?.items?.required, ['name']);
});

test('the JSON schema describes every key', () => {
  const missing: string[] = [];
  const visit = (schema: JsonSchema, path: string): void => {
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      if (!('description' in child) && child.const === undefined) missing.push(`${path}.${key}`);
      visit(child, `${path}.${key}`);
    }
    for (const one of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) visit(one, path);
    if (schema.items !== undefined) visit(schema.items, `${path}[]`);
    if (typeof schema.additionalProperties === 'object') visit(schema.additionalProperties, `${path}.*`);
  };
  visit(jsonSchema() as JsonSchema, '');
  assert.deepEqual(missing, []);
});

test('docs/configuration.md matches the schema: node scripts/config-reference.ts', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  assert.equal(page, configReference());
});
