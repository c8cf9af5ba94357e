import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { chunkedHead, httpChunk, type RawScript, RawUpstream, silent } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, type Kind, type Outcome, TIGHT_LIMITS, testFault } from './fault-rig.ts';

const testTightFault: typeof testFault = (what, fault, outcome) =>
  testFault(what, { ...fault, config: TIGHT_LIMITS }, outcome);

const TIMEOUT: Outcome = {
  status: 504,
  code: 'upstream_timeout',
  type: 'upstream_error',
  attempt: 'timeout',
  upstreamStatus: null,
  counts: 'cools_at_once',
  // `timeout` for chat and for the last candidate of a stream, `stream_timeout` while another one is left.
  withinMs: (kind, isAlone) => (kind === 'embeddings' ? 1500 : kind === 'stream' && !isAlone ? 900 : 2500),
};

const ROLE =
  'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n';

testTightFault(
  'S96 an upstream that accepts the connection and sends nothing',
  { script: () => silent },
  TIMEOUT,
);

testTightFault(
  'Q30 S96 headers and then nothing',
  {
    script: (kind) => async (connection) => {
      await connection.request();
      await connection.write(chunkedHead(kind === 'stream' ? 'text/event-stream' : 'application/json'));
    },
  },
  { ...TIMEOUT, upstreamStatus: 200 },
);

const COMMENTS: RawScript = async (connection) => {
  await connection.request();
  await connection.write(chunkedHead() + httpChunk(ROLE));
  for (;;) {
    await connection.write(httpChunk(': keep-alive\n\n'));
    await sleep(40);
  }
};

testTightFault(
  'a stream of comments and a role that never comes to content',
  { script: () => COMMENTS, kinds: ['stream'] },
  { ...TIMEOUT, upstreamStatus: 200, says: /no content/ },
);

testTightFault(
  'a JSON body that arrives slowly and never ends',
  {
    script: (kind: Kind) => async (connection) => {
      await connection.request();
      await connection.write(chunkedHead('application/json'));
      for (;;) {
        await connection.write(httpChunk(kind === 'chat' ? ' ' : '{"a":'));
        await sleep(40);
      }
    },
    kinds: ['chat', 'embeddings'],
  },
  { ...TIMEOUT, upstreamStatus: 200 },
);

testTightFault(
  'an error response whose body never ends',
  {
    script: () => async (connection) => {
      await connection.request();
      await connection.write(
        'HTTP/1.1 503 Busy\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{',
      );
    },
  },
  {
    status: 503,
    code: 'upstream_error',
    attempt: 'retryable_status',
    upstreamStatus: 503,
    attemptsAlone: 2,
    counts: 'yes',
    retryAfter: [1, 1],
    withinMs: (_kind, isAlone) => (isAlone ? 2_000 : 1_000),
  },
);

test('a slow stream that makes progress is never aborted, however long it takes', async () => {
  await using model = await StandInModel.start({
    reply: 'one two three four five six seven',
    wordDelayMs: 300,
  });
  await using gateway = await Gateway.start({
    ...TIGHT_LIMITS,
    timeout: '1200ms',
    upstreams: [{ name: 'slow', endpoint: model.url, sk: 'key-of-slow', allow: ['m'] }],
  });
  const { text, elapsedMs } = await ask(gateway, 'stream', 'm');
  const stream = checkCanonicalStream(text, { includeUsage: true });
  assert.equal(stream.choices[0]?.content, 'one two three four five six seven');
  assert.ok(elapsedMs > 1_500, `${elapsedMs} ms`);
});

test('S95 the deadline ends all attempts together, with the failure of the upstreams and not a rate limit', async () => {
  await using upstream = await RawUpstream.start(silent);
  const bad = { endpoint: upstream.url, sk: 'key-of-bad', allow: ['m'] };
  await using gateway = await Gateway.start({
    ...TIGHT_LIMITS,
    deadline: '600ms',
    upstreams: [
      { name: 'a', ...bad },
      { name: 'b', ...bad },
      { name: 'c', ...bad },
    ],
  });
  const { response, text, elapsedMs } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 504, text);
  assert.ok(elapsedMs > 500 && elapsedMs < 6_000, `${elapsedMs} ms`);
  assert.match(
    errorIn(text).message,
    /did not respond within [\d.]{1,5} s \((?:timeout|deadline)\)\./,
    'what was left, in few digits',
  );
});
