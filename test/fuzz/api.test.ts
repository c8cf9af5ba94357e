import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Gateway } from '../helpers/gateway.ts';
import { ApiDescription } from '../openapi/api-description.ts';
import { AgreeableUpstream } from './agreeable-upstream.ts';
import { EXAMPLES, SEED } from './fuzz-settings.ts';

const SCHEMATHESIS = fileURLToPath(new URL('./.venv/bin/st', import.meta.url));
const SETTINGS = fileURLToPath(new URL('./python/schemathesis.toml', import.meta.url));
/** Python finds the module of hooks by its name. */
const HOOKS = {
  SCHEMATHESIS_HOOKS: 'bounded_vectors',
  PYTHONPATH: fileURLToPath(new URL('./python', import.meta.url)),
};
const KEY = 'client-key-of-the-fuzzer';
/**
 * Whether token ids are any of an encoding is not for a schema to say. What is passed through comes back as it came, which no
 * description covers.
 */
const PROFILE = { token_ids: 'pass', responses: 'via_chat', messages: 'via_chat' };

type Json = Record<string, unknown>;

/**
 * The description with what only an upstream's refusal explains taken out, since this upstream refuses nothing: other
 * statuses of its own and its own codes. What an event holds is said in the words of OpenAPI 3.2, which schemathesis reads.
 * `isAdmin`: the admin API alone, whose actions change the gateway that the others are tried on.
 */
function strictDescription(isAdmin: boolean): Json {
  const document = structuredClone(new ApiDescription().document) as unknown as {
    paths: Record<string, Record<string, { responses: Json }>>;
    components: { schemas: Json };
  };
  for (const path of Object.keys(document.paths))
    if (path.startsWith('/admin/') !== isAdmin) delete document.paths[path];
  for (const { responses } of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    if (isAdmin) continue;
    delete responses['4XX'];
    const { content } = responses['200'] as { content: Record<string, Json> };
    const events = content['text/event-stream'];
    if (events !== undefined) content['text/event-stream'] = { itemSchema: eventOf(events['x-itemSchema']) };
  }
  document.components.schemas.ErrorCode = { $ref: '#/components/schemas/OwnErrorCode' };
  return document as unknown as Json;
}

function eventOf(contentSchema: unknown): Json {
  const data = [{ const: '[DONE]' }, { contentMediaType: 'application/json', contentSchema }];
  return { type: 'object', required: ['data'], properties: { data: { anyOf: data } } };
}

interface Run {
  readonly code: number;
  readonly output: string;
}

/** One run of schemathesis in a folder of its own, where it leaves what it likes to leave. */
async function schemathesis(url: string, args: readonly string[], isAdmin = false): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-fuzz-'));
  try {
    const file = join(folder, 'openapi.json');
    await writeFile(file, JSON.stringify(strictDescription(isAdmin)));
    const bounds = ['--seed', String(SEED), '--max-examples', String(EXAMPLES), '--continue-on-failure'];
    const command = [
      ...['--config-file', SETTINGS, '--no-color', 'run', file, '--url', url],
      ...bounds,
      ...args,
    ];
    const child = spawn(SCHEMATHESIS, command, {
      cwd: folder,
      env: { ...process.env, ...HOOKS },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const [code] = (await once(child, 'close')) as [number];
    return { code, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** How many requests it made. */
function casesIn(output: string): number {
  return Number(/(\d+) generated/.exec(output)?.[1] ?? 0);
}

/** What it did and for how long, e.g. `Fuzzing (in 14.46s)`. */
function phasesIn(output: string): string {
  const phases = output.matchAll(/\w+ \(in [\d.]+m? ?[\d.]*s\)/g);
  const scenarios = /Scenarios: +(\d+)/.exec(output)?.[1] ?? '0';
  return `${[...phases].join(', ')}, ${scenarios} stateful scenarios`;
}

for (const [what, config, args] of [
  ['with keys', { authorization: KEY }, ['-H', `Authorization: Bearer ${KEY}`]],
  // There is nothing to ignore where no key is needed.
  ['without keys', {}, ['--exclude-checks', 'ignored_auth']],
] as const) {
  test(`a gateway ${what} responds to every request that openapi.yaml allows as openapi.yaml describes`, async (context) => {
    await using upstream = await AgreeableUpstream.start();
    await using gateway = await Gateway.start({
      ...config,
      dbtype: 'none',
      upstreams: [
        {
          name: 'agreeable',
          endpoint: upstream.url,
          sk: 'upstream-key',
          profile: PROFILE,
        },
      ],
    });
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const { code, output } = await schemathesis(gateway.url, args);
    process.off('warning', onWarning);
    assert.equal(code, 0, output);
    assert.deepEqual(warnings, [], 'Node noticed no leak');
    const cases = casesIn(output);
    context.diagnostic(`${cases} requests, seed ${SEED}: ${phasesIn(output)}`);
    // Of the operations, the few without parameters have little to vary.
    assert.ok(cases > 6 * EXAMPLES, output);
    assert.equal(upstream.unreadable, 0, 'every body that the upstream got was JSON');
    assert.doesNotMatch(gateway.log, /internal error|defect of tokenferry/);
    assert.match(await gateway.metrics(), /^tokenferry_inflight 1$/m);
  });
}

test('the fuzzer detects a gateway that requires no key where openapi.yaml does', async () => {
  await using upstream = await AgreeableUpstream.start();
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'agreeable', endpoint: upstream.url, sk: 'upstream-key' }],
  });
  const args = ['-H', `Authorization: Bearer ${KEY}`, '--include-path', '/v1/models', '--max-examples', '5'];
  const { code, output } = await schemathesis(gateway.url, args);
  assert.equal(code, 1, output);
  assert.match(output, /auth/i);
});

/**
 * Left out: the session, since after ten wrong keys an address has to wait, for which `ignored_auth` is off as well; the events,
 * which have no end; the setup, which calls whatever address a text has. test/admin has their tests.
 */
const ADMIN_ARGS = [
  ...['-H', `Authorization: Bearer ${KEY}`],
  ...['--exclude-path-regex', '^/admin/(session$|events$|setup/)'],
  ...['--exclude-checks', 'ignored_auth'],
];

test('the admin API responds to every request that openapi.yaml allows as openapi.yaml describes', async (context) => {
  await using upstream = await AgreeableUpstream.start();
  await using gateway = await Gateway.start({
    admin: { key: KEY },
    embeddings_cache: { size: '1MiB' },
    tokens: { fixed: { type: 'static', value: 'upstream-key' } },
    upstreams: [{ name: 'agreeable', endpoint: upstream.url, token: 'fixed', profile: PROFILE }],
  });
  for (let request = 0; request < 5; request++)
    await gateway.post('/v1/chat/completions', { model: 'any', messages: [{ role: 'user', content: 'Hi' }] });
  const { code, output } = await schemathesis(gateway.url, ADMIN_ARGS, true);
  assert.equal(code, 0, output);
  const cases = casesIn(output);
  context.diagnostic(`${cases} requests, seed ${SEED}: ${phasesIn(output)}`);
  assert.ok(cases > 6 * EXAMPLES, output);
  assert.doesNotMatch(gateway.log, /internal error|defect of tokenferry/);
});
