import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorIn, Gateway, until } from '../../helpers/gateway.ts';
import { RawClient, rawPost } from '../../helpers/raw-client.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';

const CHAT = '{"model":"m","messages":[{"role":"user","content":"hello"}]}';
const BOUNDS = { headersTimeoutMs: 800, bodyStallMs: 800 };

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start(
    {
      dbtype: 'none',
      keep_alive_timeout: '150ms',
      upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m', '/v1/files'] }],
    },
    {},
    BOUNDS,
  );
});

after(async () => {
  await gateway.close();
  await model.close();
});

/** Sends `text` byte by byte until it is all sent or the connection is closed. */
async function trickle(client: RawClient, text: string, everyMs = 10): Promise<void> {
  for (const byte of text) {
    if (client.isClosed) return;
    client.send(byte);
    await sleep(everyMs);
  }
}

test('a client that sends its headers byte by byte gets a 408', async () => {
  const client = await RawClient.connect(gateway.port);
  const sending = trickle(
    client,
    `GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ${'x'.repeat(2_000)}`,
  );
  const answer = await client.answer();
  assert.equal(answer.status, 408);
  assert.equal(errorIn(answer.body).code, 'request_incomplete');
  await until(() => client.isClosed, 'the end of the connection', 10_000);
  await sending;
});

test('a client that goes on sending its headers behind the 408 is disconnected all the same', async () => {
  const client = await RawClient.connect(gateway.port, { allowHalfOpen: true });
  const sending = trickle(
    client,
    `GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ${'x'.repeat(1_000)}`,
  );
  assert.equal((await client.answer()).status, 408);
  await until(() => client.isClosed, 'the end of the connection', 4_000);
  await sending;
});

test('a client that connects and sends nothing is disconnected too', async () => {
  const client = await RawClient.connect(gateway.port);
  await until(() => client.isClosed, 'the end of the connection', 10_000);
});

test('the next request of a connection has no more time for its headers than the first', async () => {
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', CHAT));
  assert.equal((await client.answer()).status, 200);
  const sending = trickle(client, `GET /v1/models HTTP/1.1\r\nX-Slow: ${'x'.repeat(2_000)}`);
  assert.equal((await client.answer()).status, 408);
  await sending;
});

for (const [path, status] of [
  ['/v1/chat/completions', 200],
  ['/v1/files', 404],
] as const) {
  test(`a body that stalls on ${path} is a 408, one that keeps coming is read to its end`, async () => {
    const stalling = await RawClient.connect(gateway.port);
    stalling.send(rawPost(path, CHAT).slice(0, -20));
    const answer = await stalling.answer();
    assert.equal(answer.status, 408);
    assert.equal(errorIn(answer.body).code, 'request_incomplete');
    assert.equal(answer.headers.connection, 'close');
    const slow = await RawClient.connect(gateway.port);
    slow.send(rawPost(path, CHAT).slice(0, -40));
    await trickle(slow, CHAT.slice(-40), 30);
    assert.equal((await slow.answer()).status, status);
    slow.close();
  });
}

test('an idle connection is closed after keep_alive_timeout, and one that is used is not', async () => {
  const [idle, used] = [await RawClient.connect(gateway.port), await RawClient.connect(gateway.port)];
  for (const client of [idle, used]) {
    client.send(rawPost('/v1/chat/completions', CHAT));
    const answer = await client.answer();
    assert.equal(answer.headers.connection, 'keep-alive');
  }
  for (let asked = 0; !idle.isClosed; asked++) {
    assert.ok(asked < 100, 'the idle one is closed');
    used.send(rawPost('/v1/chat/completions', CHAT));
    assert.equal((await used.answer()).status, 200);
    await sleep(20);
  }
  assert.equal(used.isClosed, false);
  used.close();
});

test('five hundred idle connections delay no other request, and are closed', async () => {
  const idle = await Promise.all(Array.from({ length: 500 }, () => RawClient.connect(gateway.port)));
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', CHAT));
  assert.equal((await client.answer()).status, 200);
  await until(() => idle.every(({ isClosed }) => isClosed), 'the end of the idle ones', 10_000);
});
