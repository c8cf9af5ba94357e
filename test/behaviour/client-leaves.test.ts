import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gateway, until } from '../helpers/gateway.ts';
import { RawClient, rawPost } from '../helpers/raw-client.ts';
import {
  answering,
  chunkedHead,
  httpAnswer,
  httpChunk,
  RawUpstream,
  silent,
} from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const CHAT = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
const STREAM = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] });
const EMBEDDINGS = JSON.stringify({ model: 'm', input: ['a', 'b'] });

/** The record of the one request of a test: the client left, which is nobody's failure. */
async function isGone(gateway: Gateway): Promise<void> {
  await until(() => gateway.rows().length === 1, 'the record');
  const row = gateway.rows()[0];
  assert.equal(row?.outcome, 'client_gone');
  assert.equal(row?.status, 499);
  assert.deepEqual((await gateway.readiness()).degraded, []);
  await until(() => gateway.log.includes('"message":"request"'), 'the line of the log');
  const lines = gateway.log.split('\n').filter((line) => line.includes('"message":"request"'));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /"level":"info"/, 'nor is it logged as one');
  assert.match(await gateway.metrics(), /^tokenferry_inflight 1$/m, 'only the one for the metrics');
}

test('a client that disconnects before the retry of the only upstream ends the request: no second attempt is made', async () => {
  await using raw = await RawUpstream.start(answering(httpAnswer('{}', { status: 503 })));
  await using gateway = await Gateway.start({
    retry: { backoff: '30s' },
    cool_down: { failures: 1 },
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', CHAT));
  await until(() => gateway.circuitEvents.length === 1, 'the first attempt has failed');
  client.reset();
  await until(() => gateway.rows().length === 1, 'the record');
  assert.equal(gateway.rows()[0]?.outcome, 'client_gone');
  assert.deepEqual(
    gateway.rows()[0]?.attempts.map(({ outcome }) => outcome),
    ['retryable_status'],
  );
});

for (const [kind, path, body] of [
  ['chat', '/v1/chat/completions', CHAT],
  ['stream', '/v1/chat/completions', STREAM],
  ['embeddings', '/v1/embeddings', EMBEDDINGS],
] as const) {
  test(`S65 ${kind}: a client that disconnects before the upstream's headers frees the upstream within a second`, async () => {
    await using raw = await RawUpstream.start(silent);
    await using gateway = await Gateway.start({
      upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
    });
    const client = await RawClient.connect(gateway.port);
    client.send(rawPost(path, body));
    await until(() => raw.open === 1, 'the call');
    await sleep(50);
    client.reset();
    await until(() => raw.open === 0, 'the upstream is free', 1_000);
    await isGone(gateway);
  });

  test(`S65 ${kind}: a client that disconnects while it waits for a token leaks nothing`, async () => {
    await using issuer = await ScriptedIssuer.start({ hang: true });
    await using model = await StandInModel.start();
    await using gateway = await Gateway.start({
      tokens: { corp: issuer.source },
      upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp', allow: ['m'] }],
    });
    const client = await RawClient.connect(gateway.port);
    client.send(rawPost(path, body));
    await sleep(150);
    client.close();
    await until(() => gateway.rows().length === 1, 'the record');
    assert.equal(gateway.rows()[0]?.outcome, 'client_gone');
    assert.equal(model.received.length, 0);
  });
}

test('S65 a client that disconnects in mid-stream frees the upstream within a second', async () => {
  await using model = await StandInModel.start({ reply: 'word '.repeat(1_000), wordDelayMs: 20 });
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', STREAM));
  await until(() => client.received.includes('word'), 'content');
  client.reset();
  await until(() => model.open === 0, 'the upstream is free', 1_000);
  assert.equal(model.aborted, 1);
  await isGone(gateway);
});

test('a client that disconnects during the attempt at the first of two upstreams: the second is never called', async () => {
  await using raw = await RawUpstream.start(silent);
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    stream_timeout: '300ms',
    upstreams: [
      { name: 'first', endpoint: raw.url, sk: 'key-of-first', allow: ['m'] },
      { name: 'second', endpoint: model.url, sk: 'key-of-second', allow: ['m'] },
    ],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', STREAM));
  await until(() => raw.open === 1, 'the call');
  client.close();
  await until(() => raw.open === 0, 'the first is free', 1_000);
  await sleep(400);
  assert.equal(model.received.length, 0);
});

test('a client that disconnects within its own request is recorded and reaches no upstream', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', CHAT).slice(0, -10));
  await sleep(50);
  client.reset();
  await until(() => gateway.rows().length === 1, 'the record');
  assert.equal(gateway.rows()[0]?.outcome, 'client_gone');
  assert.equal(model.connections, 0);
});

test('on_disconnect: finish reads the response to its end for the record', async () => {
  await using model = await StandInModel.start({ reply: 'one two three four five', wordDelayMs: 40 });
  await using gateway = await Gateway.start({
    on_disconnect: 'finish',
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', STREAM));
  await until(() => client.received.includes('one'), 'content');
  client.reset();
  await until(() => gateway.rows().length === 1, 'the record');
  assert.equal(model.aborted, 0);
  assert.equal(gateway.rows()[0]?.completion_tokens, 5);
});

test('S66 a client that does not read stalls the upstream, and memory stays bounded', async () => {
  const filler = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: 'x'.repeat(16_000) }, finish_reason: null }] })}\n\n`;
  let sentBytes = 0;
  await using raw = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(chunkedHead());
    for (;;) {
      await connection.write(httpChunk(filler));
      sentBytes += filler.length;
    }
  });
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const client = await RawClient.connect(gateway.port);
  client.socket.pause();
  client.send(rawPost('/v1/chat/completions', STREAM));
  await until(() => sentBytes > 0, 'the stream runs');
  let before = -1;
  for (let tries = 0; tries < 40 && before !== sentBytes; tries++) {
    before = sentBytes;
    await sleep(100);
  }
  assert.equal(sentBytes, before, 'the upstream is stalled');
  // Four socket buffers of the kernel (up to some MiB each on loopback) and our own 128 KiB.
  assert.ok(sentBytes < 32 * 1024 * 1024, `${sentBytes} bytes`);
  client.reset();
  await until(() => raw.open === 0, 'the upstream is free', 1_000);
});
