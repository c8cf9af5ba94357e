import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Validator } from '@seriousme/openapi-schema-validator';
import { createAdminApp } from '../../src/admin/admin-app.ts';
import type { AdminParts } from '../../src/admin/admin-parts.ts';
import { TokenHistory } from '../../src/admin/live/token-history.ts';
import { type AppParts, createRouter } from '../../src/http/app.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ERROR_TABLE } from '../../src/lib/errors/ferry-error.ts';
import type { TokenStateName } from '../../src/tokens/manager/token-status.ts';
import { ApiDescription, DESCRIPTION_FILE } from './api-description.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const description = new ApiDescription();
const packageJson = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
  files: string[];
};

/** Never answered: nobody is left to hear it. */
const SILENT = ['client_gone'];
const ROWS = Object.entries(ERROR_TABLE).filter(([kind]) => !SILENT.includes(kind));

/** Statuses of kinds that have no row of their own for them (`statusForClient`), and the codes that they carry. */
const MORE_CODES: Readonly<Record<number, readonly string[]>> = {
  503: ['upstream_error'],
  504: ['upstream_error'],
};

/** Codes of errors that say more than their kind does, as the source has them; all of them are the client's to mend. */
function finerCodes(): string[] {
  const files = globSync('src/{openai,http,routing,upstream}/**/*.ts', { cwd: root });
  const found = files.flatMap((file) =>
    [...readFileSync(`${root}/${file}`, 'utf8').matchAll(/\bcode: '(\w+)'/g)].map((match) => match[1] ?? ''),
  );
  const ofTable = new Set<string | null>(ROWS.map(([, { code }]) => code));
  return [...new Set(found)].filter((code) => !ofTable.has(code));
}

function codesOf(status: number): string[] {
  const codes = ROWS.flatMap(([, row]) => (row.status === status && row.code !== null ? [row.code] : []));
  return [
    ...new Set([...codes, ...(MORE_CODES[status] ?? []), ...(status === 400 ? finerCodes() : [])]),
  ].sort();
}

test('openapi.yaml is valid OpenAPI 3.1, of this version, and is shipped', async () => {
  const validator = new Validator();
  const result = await validator.validate(DESCRIPTION_FILE);
  assert.deepEqual(result.errors ?? [], []);
  assert.ok(result.valid);
  assert.match(description.document.openapi, /^3\.1\./);
  assert.equal(description.document.info.version, packageJson.version);
  assert.ok(packageJson.files.includes('openapi.yaml'));
});

test('no text of openapi.yaml was parsed as keys because of an unquoted comma', () => {
  const strange: string[] = [];
  JSON.stringify(description.document, (key: string, value: unknown) => {
    if (/[ ,]/.test(key)) strange.push(key);
    return value;
  });
  assert.deepEqual(strange, []);
});

/** Routes that no path can express, and the words that describe them instead. */
const IN_WORDS: Readonly<Record<string, string>> = { '/^\\/v1\\/./': '**Any other path below `/v1`**' };
const AS_TEMPLATES: Readonly<Record<string, string>> = { '/^\\/v1\\/models\\/./': '/v1/models/{model}' };
/** What `RequestPaths` turns into a path with `/v1` before any route is looked for. */
const SPELLINGS: Readonly<Record<string, string>> = { 'post /rerank': 'post /v1/rerank' };

interface Layer {
  readonly route?: { readonly path: unknown; readonly methods: Readonly<Record<string, boolean>> };
}

/** `app.all` answers every method that Node knows. */
const isForAll = (route: Layer['route']): boolean => Object.keys(route?.methods ?? {}).length > 10;

const stackOf = (app: unknown): Layer[] => (app as { router: { stack: Layer[] } }).router.stack;

function routesOf(app: unknown): string[] {
  return stackOf(app).flatMap(({ route }) => {
    if (route === undefined || isForAll(route)) return [];
    const paths = (Array.isArray(route.path) ? route.path : [route.path]).map(String);
    // `_all`: what refuses the other methods.
    const methods = Object.keys(route.methods).filter((method) => method !== '_all');
    return methods.flatMap((method) => paths.map((path) => `${method} ${AS_TEMPLATES[path] ?? path}`));
  });
}

test('every route of the app is described, and every described operation is a route', () => {
  const app = createRouter({} as AppParts);
  const described = description.operations
    .filter(({ path }) => !path.startsWith('/admin/'))
    .map(({ method, path }) => `${method} ${path}`);
  const spelt = described.map((one) => SPELLINGS[one] ?? one);
  assert.deepEqual([...new Set(spelt)].sort(), routesOf(app).sort());
  const wild = stackOf(app).flatMap(({ route }) =>
    isForAll(route) && route?.path instanceof RegExp ? [String(route.path)] : [],
  );
  assert.deepEqual(wild, Object.keys(IN_WORDS));
  for (const words of Object.values(IN_WORDS))
    assert.ok(description.document.info.description.includes(words), words);
});

test('every route of the admin API is described, and every described one is a route', () => {
  const { app } = createAdminApp(
    { clock: systemClock, key: null } as AdminParts,
    new TokenHistory(systemClock),
  );
  const routes = routesOf(app).map((route) => route.replace(/:(\w+)/g, '{$1}'));
  const described = description.operations
    .filter(({ path }) => path.startsWith('/admin/'))
    .map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(routes.filter((route) => route.includes(' /admin/')).sort(), described.sort());
});

test('the codes are those of the table of errors and the finer ones of the source', () => {
  const codes = ROWS.flatMap(([, { code }]) => (code === null ? [] : [code]));
  const codesDescribed = description.document.components.schemas.OwnErrorCode?.enum;
  assert.deepEqual(
    [...(codesDescribed as string[])].sort(),
    [...new Set([...codes, ...finerCodes()])].sort(),
  );
});

test('the examples of each response are the errors of its status, one for each code', () => {
  const post = description.operation('post', '/v1/chat/completions');
  const statuses = [...new Set(ROWS.map(([, row]) => row.status))].filter((status) => status !== 501);
  // A few have no code of ours at all: 424 speaks the upstream's own.
  for (const status of [...statuses, 424]) {
    const { examples = {}, schema = {} } =
      description.response(post, status).content['application/json'] ?? {};
    assert.deepEqual(Object.keys(examples).sort(), codesOf(status), `examples of ${status}`);
    for (const [code, { value }] of Object.entries(examples)) {
      assert.equal(description.fault(schema, value), null);
      const { error } = value as { error: { code: string; type: string } };
      assert.equal(error.code, code);
      const row = Object.values(ERROR_TABLE).find((one) => one.code === code) ?? ERROR_TABLE.invalid_request;
      assert.equal(error.type, row.type, code);
    }
  }
});

test('every operation that calls an upstream describes every status of the table', () => {
  const statuses = new Set(ROWS.map(([, row]) => String(row.status)));
  statuses.delete('501');
  for (const operation of description.operations.filter(
    ({ method, path }) => method === 'post' && !path.startsWith('/admin/'),
  )) {
    const missing = [...statuses].filter((status) => !(status in operation.responses));
    assert.deepEqual(missing, [], operation.operationId);
  }
});

test('the states of tokens are those that tokenManagers have', () => {
  const states = {
    empty: true,
    acquiring: true,
    fresh: true,
    renewing: true,
    degraded: true,
    starved: true,
    rejected: true,
    misconfigured: true,
    dormant: true,
    stopped: true,
  } satisfies Record<TokenStateName, true>;
  const { properties } = description.document.components.schemas.Readiness as unknown as {
    properties: { tokens: { items: { properties: { state: { enum: string[] } } } } };
  };
  assert.deepEqual(properties.tokens.items.properties.state.enum, Object.keys(states));
});
