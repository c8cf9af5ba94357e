/**
 * Debugging an application: what was left out, renamed, set, merged and sent again is in the record, in the log line and in
 * `tokenferry log --id`, with the reasons; a client's id that comes with many requests is kept beside our own; a 429 has the
 * seconds and the upstream's words in its text, since applications show no headers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { errorIn, type Gateway, type StoredRow, until } from '../helpers/gateway.ts';
import { runCommand } from '../helpers/run-command.ts';
import { asks, refusal, type Says, startRig } from './reports-rig.ts';

/** What `tokenferry log` prints of one id. */
function logOf(gateway: Gateway, id: string, ...flags: readonly string[]): Promise<{ stdout: string }> {
  return runCommand('log', { dbaddr: gateway.databaseFile, upstreams: [] }, { args: ['--id', id, ...flags] });
}

interface Adaptation {
  readonly upstream: string;
  readonly change: string;
  readonly reason: string | null;
}

type Row = StoredRow & {
  readonly adaptations: string | null;
  readonly client_request_id: string | null;
};

const adaptationsOf = (row: StoredRow): readonly Adaptation[] =>
  JSON.parse((row as Row).adaptations ?? '[]') as readonly Adaptation[];

const UNSUPPORTED = "Unsupported parameter: 'verbosity' is not supported with this model.";
const AT_THE_BEGINNING = 'System message must be at the beginning.';

const MESSAGES = [
  { role: 'user', content: 'Hi' },
  { role: 'system', content: 'Be brief.' },
];

/** Refuses a parameter, a length limit, a value and the place of a system message, one after the other. */
const strict = (body: Readonly<Record<string, unknown>>): Says | null => {
  if ('verbosity' in body) return refusal(UNSUPPORTED, { param: 'verbosity' });
  if ('max_tokens' in body)
    return refusal("'max_tokens' is not supported. Use 'max_completion_tokens' instead.");
  if (body.store === true) return refusal('store must be false');
  const messages = body.messages as readonly { role: string }[];
  return messages[0]?.role === 'system' ? null : refusal(AT_THE_BEGINNING);
};

const ASKED = { messages: MESSAGES, verbosity: 'low', max_tokens: 9, store: true };

test('the record, the log line and log --id name every change and the words that asked for it', async () => {
  await using rig = await startRig([
    () => ({ status: 503, body: { error: { message: 'We are overloaded.' } } }),
    strict,
  ]);
  for (const attempts of [6, 2]) {
    const { response } = await rig.client.chat.completions.create(asks(ASKED)).withResponse();
    assert.equal(response.headers.get('x-tokenferry-attempts'), String(attempts));
    const row = await rig.gateway.rowOf(response.headers.get('x-request-id'));
    const changes = Object.fromEntries(adaptationsOf(row).map((one) => [one.change, one]));
    assert.deepEqual(Object.keys(changes).toSorted(), [
      'max_tokens>max_completion_tokens',
      'messages:system',
      'store=false',
      'verbosity',
    ]);
    assert.deepEqual(changes.verbosity, { upstream: 'u1', change: 'verbosity', reason: UNSUPPORTED });
    assert.equal(changes['messages:system']?.reason, AT_THE_BEGINNING);
    assert.match(changes['max_tokens>max_completion_tokens']?.reason ?? '', /Use 'max_completion_tokens'/);
    assert.equal(changes['store=false']?.reason, 'store must be false');
    const [first] = row.attempts as readonly { outcome: string; detail?: string }[];
    assert.equal(first?.outcome, 'retryable_status');
    assert.match(first?.detail ?? '', /We are overloaded/, 'the reasons of earlier attempts');
  }
  await rig.gateway.end();
  const line = rig.gateway.log
    .split('\n')
    .filter((one) => one.includes('"message":"request"'))
    .map((one) => JSON.parse(one) as { id: string; adaptations?: string[] })
    .at(-1);
  assert.deepEqual(line?.adaptations?.toSorted(), [
    'u1: max_tokens>max_completion_tokens',
    'u1: messages:system',
    'u1: store=false',
    'u1: verbosity',
  ]);
  const { stdout } = await logOf(rig.gateway, line?.id ?? '');
  assert.match(stdout, /u1: verbosity left out \(upstream: Unsupported parameter: 'verbosity'/);
  assert.match(stdout, /u1: max_tokens sent as max_completion_tokens/);
  assert.match(stdout, /u1: store set to false \(upstream: store must be false\)/);
  assert.match(stdout, /system messages merged into one at the beginning/);
  assert.match(stdout, /u0: retryable_status 503/);
});

test('a request that is sent as it came has no adaptations', async () => {
  await using rig = await startRig([() => null]);
  const { response } = await rig.client.chat.completions.create(asks({})).withResponse();
  const row = (await rig.gateway.rowOf(response.headers.get('x-request-id'))) as Row;
  assert.deepEqual([row.adaptations, row.client_request_id], [null, null]);
});

test('what the configuration changes is named without a reason, on passed-through paths too', async () => {
  await using rig = await startRig([
    {
      says: (_body, { path }) =>
        path.includes('responses')
          ? {
              status: 200,
              body: {
                id: 'resp_1',
                object: 'response',
                created_at: 1,
                status: 'completed',
                model: 'm',
                output: [],
              },
            }
          : null,
      profile: { drop_params: ['user'] },
    },
  ]);
  const chat = await rig.client.chat.completions.create(asks({ user: 'u' })).withResponse();
  const passed = await rig.client.responses.create({ model: 'm', input: 'Hi', user: 'u' }).withResponse();
  for (const { response } of [chat, passed]) {
    const row = await rig.gateway.rowOf(response.headers.get('x-request-id'));
    assert.deepEqual(adaptationsOf(row), [{ upstream: 'u0', change: 'user', reason: null }]);
  }
});

test("a client's id is used once; with later requests it is kept beside our own, and log --id finds them all", async () => {
  await using rig = await startRig([() => null]);
  const ids: string[] = [];
  for (let count = 0; count < 3; count++) {
    const response = await rig.gateway.post('/v1/chat/completions', asks({}), {
      headers: { 'x-request-id': 'session-7' },
    });
    await response.text();
    ids.push(response.headers.get('x-request-id') ?? '');
  }
  assert.equal(ids[0], 'session-7');
  assert.equal(new Set(ids).size, 3, 'each request has an id of its own');
  const rows = await Promise.all(ids.map((id) => rig.gateway.rowOf(id)));
  assert.deepEqual(
    rows.map((row) => (row as Row).client_request_id),
    [null, 'session-7', 'session-7'],
  );
  await rig.gateway.end();
  const found = await logOf(rig.gateway, 'session-7', '--json');
  const listed = found.stdout
    .trim()
    .split('\n')
    .map((one) => (JSON.parse(one) as { id: string }).id);
  assert.deepEqual(listed.toSorted(), ids.toSorted());
});

const WORDS = 'You have reached the limit of 3 requests per second for tier one.';

for (const [which, says, config] of [
  ['with retry-after', { ...refusal(WORDS, {}, 429), headers: { 'retry-after': '7' } }, {}],
  ['without it', refusal(WORDS, {}, 429), {}],
  ['of a quota', refusal(WORDS, { code: 'insufficient_quota' }, 429), {}],
] as const) {
  test(`a 429 ${which} names the seconds and the upstream's words in its text`, async () => {
    await using rig = await startRig([{ says: () => says as Says, entry: { pace: 'off' } }], config);
    for (const isStream of [false, true]) {
      const response = await rig.gateway.post('/v1/chat/completions', asks({ stream: isStream }));
      assert.equal(response.status, 429);
      const { message } = errorIn(await response.text());
      const seconds = response.headers.get('retry-after');
      assert.match(message, new RegExp(`Retry after ${seconds} s\\.$`));
      assert.match(message, /limit of 3 requests per second/);
    }
    await assert.rejects(rig.client.chat.completions.create(asks({})), (error: Error) => {
      assert.ok(error instanceof OpenAI.RateLimitError);
      return /limit of 3 requests per second.*Retry after \d+ s/.test(error.message);
    });
  });
}

test('the limit of a client of our own names the seconds too', async () => {
  await using rig = await startRig([() => null], {
    clients: [{ name: 'one', key: 'key-of-one', rpm: 1 }],
  });
  const client = new OpenAI({ baseURL: `${rig.gateway.url}/v1`, apiKey: 'key-of-one', maxRetries: 0 });
  await client.chat.completions.create(asks({}));
  await assert.rejects(client.chat.completions.create(asks({})), /Retry after \d+ s/);
  await until(() => rig.gateway.rows().length === 2, 'both are recorded');
});
