import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { dropUnreadBody } from '../../../src/http/node-internals.ts';
import { load, MINIMAL } from '../../config/config-text.ts';
import { errorIn, Gateway, until } from '../../helpers/gateway.ts';
import { LoopbackServer } from '../../helpers/loopback-server.ts';
import { RawClient, rawPost } from '../../helpers/raw-client.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';

const KEY = 'client-key-of-refused-bodies';
const AUTH = `Authorization: Bearer ${KEY}`;
const CHAT = '{"model":"m","messages":[{"role":"user","content":"hello"}]}';
const MEGABYTE = 1024 * 1024;

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start({
    dbtype: 'none',
    authorization: KEY,
    limits: { body: '1MiB', upload: '2MiB' },
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m', '/v1/files'] }],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

/** The head of a POST of `length` bytes; no length: chunked. */
function head(path: string, length: number | null, fields: readonly string[] = [AUTH]): string {
  const framing = length === null ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
  const lines = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Content-Type: application/json', framing];
  return `${[...lines, ...fields].join('\r\n')}\r\n\r\n`;
}

test('S21 a body of 50 MB is accepted by default and reaches the upstream byte for byte', async () => {
  assert.ok(load(MINIMAL).config.limits.body >= 50_000_000);
  await using own = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m'] }],
  });
  const image = 'QUJD'.repeat(12_500_000);
  const body = `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,${image}"}}]}]}`;
  const response = await own.post('/v1/chat/completions', body);
  assert.equal(response.status, 200, await response.text());
  const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
  const received = model.received.pop();
  assert.equal(received?.text.length, body.length);
  assert.equal(digest(received.text), digest(body));
});

for (const path of ['/v1/chat/completions', '/v1/embeddings', '/v1/rerank', '/v1/completions', '/v1/files']) {
  test(`S21 a body over the limit on ${path} is refused by its headers, and the connection closed`, async () => {
    const before = model.received.length;
    const client = await RawClient.connect(gateway.port);
    client.send(head(path, 3 * MEGABYTE));
    const answer = await client.answer();
    assert.equal(answer.status, 413);
    assert.equal(errorIn(answer.body).code, 'body_too_large');
    assert.equal(answer.headers['x-should-retry'], 'false');
    assert.equal(answer.headers.connection, 'close');
    await until(() => client.isClosed, 'the end of the connection', 10_000);
    assert.equal(model.received.length, before);
  });
}

test('S21 a client with an upload over the limit receives the response while it sends, and is stopped when it continues', async () => {
  const client = await RawClient.connect(gateway.port, { allowHalfOpen: true });
  client.send(head('/v1/chat/completions', 4_000 * MEGABYTE));
  const block = Buffer.alloc(MEGABYTE, 0x20);
  let sentBlocks = 0;
  const send = (): void => {
    sentBlocks += 1;
    if (!client.socket.destroyed) client.socket.write(block, () => setTimeout(send, 20));
  };
  const startedMs = performance.now();
  send();
  const answer = await client.answer();
  assert.equal(answer.status, 413);
  await until(() => client.isClosed, 'the end of the upload', 10_000);
  assert.ok(performance.now() - startedMs > 1_000, 'not by a reset that could have overtaken the answer');
  assert.ok(sentBlocks < 4_000);
});

test('S21 a client with a chunked upload over the limit receives the response too', async () => {
  const client = await RawClient.connect(gateway.port);
  client.send(head('/v1/embeddings', null));
  const block = `${MEGABYTE.toString(16)}\r\n${' '.repeat(MEGABYTE)}\r\n`;
  for (let sent = 0; sent < 8; sent++) client.send(block);
  client.send('0\r\n\r\n');
  const answer = await client.answer();
  assert.equal(answer.status, 413);
  assert.equal(answer.headers.connection, 'close');
  await until(() => client.isClosed, 'the end of the connection', 10_000);
});

test('S22 a client that expects 100-continue gets it, its response, and can use its connection again', async () => {
  const client = await RawClient.connect(gateway.port);
  for (const path of ['/v1/chat/completions', '/v1/files', '/v1/chat/completions']) {
    client.send(head(path, CHAT.length, [AUTH, 'Expect: 100-continue']));
    assert.equal((await client.answer()).text, 'HTTP/1.1 100 Continue\r\n\r\n', path);
    client.send(CHAT);
    const answer = await client.answer();
    assert.equal(answer.status, path === '/v1/files' ? 404 : 200, answer.text);
    assert.equal(answer.headers.connection, 'keep-alive');
  }
  client.close();
});

test('S22 a client that expects 100-continue and is refused by its headers gets the refusal and no 100', async () => {
  for (const [request, status] of [
    [head('/v1/chat/completions', 3 * MEGABYTE, [AUTH, 'Expect: 100-continue']), 413],
    [head('/v1/files', 3 * MEGABYTE, [AUTH, 'Expect: 100-continue']), 413],
    [head('/v1/chat/completions', 100, ['Expect: 100-continue']), 401],
    [head('/nowhere', 100, [AUTH, 'Expect: 100-continue']), 404],
  ] as const) {
    const client = await RawClient.connect(gateway.port);
    client.send(request);
    const answer = await client.answer();
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.headers.connection, 'close', 'or the next request would be taken for this body');
    client.close();
  }
});

test('S22 a client that expects 100-continue and does not wait for it hears the refusal all the same', async () => {
  const client = await RawClient.connect(gateway.port, { allowHalfOpen: true });
  client.send(head('/v1/chat/completions', MEGABYTE, ['Expect: 100-continue']));
  const startedMs = performance.now();
  const sending = setInterval(() => client.send('x'.repeat(100)), 20);
  const answer = await client.answer();
  assert.equal(answer.status, 401);
  assert.equal(answer.headers.connection, 'close');
  await until(() => client.isClosed, 'the end of the connection', 10_000);
  clearInterval(sending);
  assert.ok(performance.now() - startedMs > 1_000, 'not by a reset that could have overtaken the answer');
});

test('S22 an expectation that nobody knows changes nothing', async () => {
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', CHAT, [AUTH, 'Expect: the-unexpected']));
  assert.equal((await client.answer()).status, 200);
  client.close();
});

test('S22 a connection is used again after a refusal whose body was still coming', async () => {
  const client = await RawClient.connect(gateway.port);
  const long = JSON.stringify({ model: 'm', padding: 'x'.repeat(MEGABYTE / 2) });
  client.send(rawPost('/v1/chat/completions', long).slice(0, 1_000));
  assert.equal((await client.answer()).status, 401);
  client.send(rawPost('/v1/chat/completions', long).slice(1_000));
  client.send(rawPost('/v1/chat/completions', CHAT, [AUTH]));
  assert.equal((await client.answer()).status, 200);
  client.close();
});

/** A server that refuses every request by its headers. */
async function withRefusals(
  refuse: (response: ServerResponse) => void,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const server = createServer((_request, response) => {
    refuse(response);
    response.end('no');
  });
  await using loopback = await new LoopbackServer(server).listening();
  await use(loopback.port);
}

test('a refused body that never ends does not keep its connection', async () => {
  const limits = { restMs: 60, lingerMs: 60 };
  for (const isClosing of [false, true]) {
    await withRefusals(
      (response) => {
        dropUnreadBody(response, isClosing, limits);
        if (isClosing) response.setHeader('connection', 'close');
      },
      async (port) => {
        const client = await RawClient.connect(port);
        client.send(head('/', 1_000));
        assert.equal((await client.answer()).status, 200);
        const trickle = setInterval(() => client.send('x'), 10);
        await until(() => client.isClosed, `closing: ${isClosing}`, 10_000);
        clearInterval(trickle);
      },
    );
  }
});

test('a connection with many refusals leaks nothing', async () => {
  let socket: Socket | null = null;
  await withRefusals(
    (response) => {
      socket = response.req.socket;
      dropUnreadBody(response, false, { restMs: 5_000, lingerMs: 5_000 });
    },
    async (port) => {
      const client = await RawClient.connect(port);
      const listeners: (number | undefined)[] = [];
      for (let count = 0; count < 12; count++) {
        client.send(head('/', 3));
        assert.equal((await client.answer()).status, 200);
        client.send('xyz');
        listeners.push(socket?.listenerCount('close'));
      }
      assert.ok((listeners.at(-1) ?? 99) <= (listeners[1] ?? 0), listeners.join());
      client.close();
    },
  );
});

test('after a refused body that ends its connection stays open', async () => {
  await withRefusals(
    (response) => dropUnreadBody(response, false, { restMs: 400, lingerMs: 400 }),
    async (port) => {
      const client = await RawClient.connect(port);
      client.send(head('/', 3));
      assert.equal((await client.answer()).status, 200);
      client.send('xyz');
      await new Promise((resolve) => setTimeout(resolve, 900));
      client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      assert.equal((await client.answer()).status, 200);
      client.close();
    },
  );
});
