import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { Gateway } from '../helpers/gateway.ts';
import { chunkedHead, httpChunk, type RawConnection, RawUpstream } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, LIMITS, SLACK_MS } from './fault-rig.ts';

const event = (delta: object): string =>
  httpChunk(
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`,
  );
const BEGINNING =
  chunkedHead() + event({ role: 'assistant', content: '' }) + event({ content: 'half of it' });
const FINISH =
  'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';

interface Break {
  readonly how: string;
  readonly act: (connection: RawConnection) => Promise<void> | void;
  readonly code: string;
  /** From the last word to the error event, without slack. */
  readonly withinMs: number;
  readonly coolsAtOnce?: boolean;
}

const BREAKS: readonly Break[] = [
  {
    how: 'reset',
    act: async (connection) => {
      await sleep(30);
      connection.reset();
    },
    code: 'upstream_disconnected',
    withinMs: 30,
  },
  { how: 'closed', act: (connection) => connection.end(), code: 'upstream_disconnected', withinMs: 0 },
  {
    how: 'ended in order but without a finish',
    act: (connection) => connection.write(httpChunk('')),
    code: 'upstream_disconnected',
    withinMs: 0,
  },
  {
    how: 'silent for idle_timeout',
    act: () => undefined,
    code: 'upstream_timeout',
    withinMs: 500,
    coolsAtOnce: true,
  },
  {
    how: 'interrupted by an error event',
    act: (connection) =>
      connection.write(httpChunk('data: {"error":{"message":"the engine died","type":"server_error"}}\n\n')),
    code: 'upstream_error',
    withinMs: 0,
  },
];

for (const { how, act, code, withinMs, coolsAtOnce } of BREAKS) {
  test(`Q27 Q28 Q30 S92 S94 S95 S96 a stream that is ${how} after content ends with the error event, and no other upstream is called`, async () => {
    await using raw = await RawUpstream.start(async (connection) => {
      await connection.request();
      await connection.write(BEGINNING);
      await act(connection);
    });
    await using other = await StandInModel.start();
    await using gateway = await Gateway.start({
      ...LIMITS,
      idle_timeout: '500ms',
      upstreams: [
        { name: 'bad', endpoint: raw.url, sk: 'key-of-bad', allow: ['m'] },
        { name: 'good', endpoint: other.url, sk: 'key-of-good', allow: ['m'] },
      ],
    });
    const { response, text, elapsedMs } = await ask(gateway, 'stream', 'm');
    assert.equal(response.status, 200);
    const stream = checkCanonicalStream(text, { includeUsage: true });
    assert.equal(stream.choices[0]?.content, 'half of it');
    assert.equal(stream.choices[0]?.finish, null, 'never a finish that looks like an answer');
    assert.equal(stream.error?.code, code);
    assert.ok(elapsedMs < withinMs + SLACK_MS, `${elapsedMs} ms`);
    assert.equal(other.received.length, 0);
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.equal(row.outcome, 'stream_broken');
    assert.equal(row.status, 200);
    assert.equal(row.error_code, code);
    assert.deepEqual(
      row.attempts.map(({ upstream, outcome }) => ({ upstream, outcome })),
      [{ upstream: 'bad', outcome: 'stream_broken' }],
    );
    const isCooling = async (): Promise<boolean> =>
      (await gateway.readiness()).degraded.some((one) => one.startsWith('upstream bad: cooling'));
    assert.equal(await isCooling(), coolsAtOnce === true);
  });
}

test('anything after [DONE] is ignored: a reset there is a complete stream', async () => {
  const whole = BEGINNING + httpChunk(`${FINISH}data: [DONE]\n\n`);
  await using raw = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(whole);
    await sleep(20);
    connection.reset();
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const { response, text } = await ask(gateway, 'stream', 'm');
  assert.equal(checkCanonicalStream(text, { includeUsage: true }).error, null);
  assert.equal((await gateway.rowOf(response.headers.get('x-request-id'))).outcome, 'ok');
});

test('Q26 S58 a client does not wait for an upstream that holds the connection open after [DONE]', async () => {
  await using raw = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(BEGINNING + httpChunk(`${FINISH}data: [DONE]\n\n`));
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  await ask(gateway, 'stream', 'm');
  const { elapsedMs } = await ask(gateway, 'stream', 'm');
  assert.ok(raw.open > 0, `the upstream was let go before the client, after ${elapsedMs} ms`);
});

for (const [how, pieces] of [
  ['in one piece with all else', [`${BEGINNING}${httpChunk(FINISH)}`]],
  ['later', [BEGINNING, httpChunk(FINISH)]],
] as const) {
  test(`an upstream that finishes ${how} and never ends is waited for only as long as its last events may take`, async () => {
    await using raw = await RawUpstream.start(async (connection) => {
      await connection.request();
      for (const piece of pieces) {
        await connection.write(piece);
        await sleep(30);
      }
    });
    await using gateway = await Gateway.start({
      ...LIMITS,
      idle_timeout: '60s',
      upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
    });
    const { text, elapsedMs } = await ask(gateway, 'stream', 'm');
    const { error, choices } = checkCanonicalStream(text, { includeUsage: true });
    assert.equal(error, null);
    assert.equal(choices[0]?.finish, 'stop');
    assert.ok(elapsedMs < 30_000, `${elapsedMs} ms`);
  });
}
