import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load/load-config.ts';
import { startService } from '../../../src/gateway/server.ts';
import { BodyReader, type BodyReaderSettings } from '../../../src/http/body/body-reader.ts';
import { RequestContext } from '../../../src/http/middleware/request-context.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { errorIn, Gateway, until } from '../../helpers/gateway.ts';
import { LoopbackServer } from '../../helpers/loopback-server.ts';
import { RawClient } from '../../helpers/raw-client.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';

const BOUNDS: BodyReaderSettings = { maxBufferedBytes: 1_000, stallMs: 40 };

/** A server that reads bodies of up to 800 bytes, and answers with their length or the kind of the failure. */
async function withReader(
  settings: BodyReaderSettings,
  use: (port: number, bodies: BodyReader, contexts: RequestContext[]) => Promise<void>,
): Promise<void> {
  const bodies = new BodyReader(settings);
  const contexts: RequestContext[] = [];
  const recording = {
    clock: systemClock,
    hostname: 'h',
    keptHeaders: [],
    content: 'none',
    maxContent: 0,
    onDisconnect: 'abort',
    records: { add: () => undefined },
  } as const;
  const server = createServer((request, response) => {
    const context = new RequestContext({ request, response, path: '/', query: '', ip: '' }, recording);
    contexts.push(context);
    bodies.read(context, 800).then(
      (body) => response.end(String(body.length)),
      (error: FerryError) => response.end(error.kind),
    );
  });
  await using loopback = await new LoopbackServer(server).listening();
  await use(loopback.port, bodies, contexts);
}

function head(length: number): string {
  return `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: ${length}\r\n\r\n`;
}

test('a body that stalls is given up after the maximum silence', async () => {
  await withReader(BOUNDS, async (port) => {
    const client = await RawClient.connect(port);
    client.send(`${head(100)}only a part`);
    assert.equal((await client.answer()).body, 'request_timeout');
  });
});

test('a body that arrives slowly is read, however long it takes in total', async () => {
  await withReader({ ...BOUNDS, stallMs: 400 }, async (port, _bodies, contexts) => {
    const client = await RawClient.connect(port);
    client.send(head(8));
    for (let sent = 0; sent < 8; sent++) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      client.send('x');
    }
    assert.equal((await client.answer()).body, '8');
    assert.ok((contexts[0]?.elapsedMs ?? 0) > 400, 'longer than the longest silence');
  });
});

test('bodies count from their first bytes until they are released', async () => {
  await withReader({ ...BOUNDS, stallMs: 5_000 }, async (port, bodies, contexts) => {
    const first = await RawClient.connect(port);
    first.send(head(700) + 'x'.repeat(300));
    await until(() => bodies.bufferedBytes === 300, 'what has come counts');
    first.send('x'.repeat(400));
    assert.equal((await first.answer()).body, '700');
    assert.equal(bodies.bufferedBytes, 700, 'a body that was read is still in memory');
    const second = await RawClient.connect(port);
    second.send(head(301));
    assert.equal((await second.answer()).body, 'overloaded', 'refused before its body came');
    bodies.release(contexts[0] as RequestContext);
    assert.equal(bodies.bufferedBytes, 0);
    const third = await RawClient.connect(port);
    third.send(head(301) + 'x'.repeat(301));
    assert.equal((await third.answer()).body, '301');
  });
});

test('a chunked body is refused at the byte that does not fit', async () => {
  await withReader({ ...BOUNDS, maxBufferedBytes: 500, stallMs: 5_000 }, async (port, bodies) => {
    const client = await RawClient.connect(port);
    const chunk = `190\r\n${'x'.repeat(400)}\r\n`;
    client.send(`POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n${chunk}`);
    await until(() => bodies.bufferedBytes === 400, 'the first chunk counts');
    client.send(chunk);
    assert.equal((await client.answer()).body, 'body_too_large');
  });
});

const CHAT = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(1_000) }] });

test('when limits.buffered is full the next body gets 503 and a time to wait, until one is done', async () => {
  await using model = await StandInModel.start({ firstDelayMs: 400 });
  await using gateway = await Gateway.start({
    limits: { buffered: 1_800 },
    upstreams: [{ name: 'only', endpoint: model.url, sk: 'key' }],
  });
  const running = gateway.post('/v1/chat/completions', CHAT);
  await until(() => model.open === 1, 'the first one runs');
  const refused = await gateway.post('/v1/chat/completions', CHAT);
  const text = await refused.text();
  assert.equal(refused.status, 503, text);
  assert.equal(errorIn(text).code, 'overloaded');
  assert.match(errorIn(text).message, /limits\.buffered/);
  assert.equal(refused.headers.get('retry-after'), '1');
  assert.equal((await running).status, 200);
  const next = await gateway.post('/v1/chat/completions', CHAT);
  assert.equal(next.status, 200);
  await next.text();
  const leaving = new AbortController();
  const left = gateway.post('/v1/chat/completions', CHAT, { signal: leaving.signal }).catch(() => null);
  await until(() => model.open === 1, 'the next one runs');
  leaving.abort();
  await left;
  await until(() => model.open === 0, 'the client left');
  assert.equal((await gateway.post('/v1/chat/completions', CHAT)).status, 200, 'and left no bytes behind');
});

test('headers over limits.header_bytes get 431 in our own form, and the next request is served', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    limits: { header_bytes: '8KiB' },
    upstreams: [{ name: 'only', endpoint: model.url, sk: 'key' }],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(`GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nx-long: ${'x'.repeat(9_000)}\r\n\r\n`);
  const answer = await client.answer();
  assert.equal(answer.status, 431);
  assert.equal(errorIn(answer.body).code, 'headers_too_large');
  const next = await RawClient.connect(gateway.port);
  next.send(`GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nx-long: ${'x'.repeat(7_000)}\r\n\r\n`);
  assert.equal((await next.answer()).status, 200);
});

test('a passed-through upload that stalls is a 408, and does not count against the upstream', async () => {
  const model = await StandInModel.start();
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-stall-'));
  const file = join(folder, 'config.yaml');
  const upstreams = [{ name: 'only', endpoint: model.url, sk: 'key' }];
  const limits = { replay: 10 };
  const log = { file: join(folder, 'log') };
  await writeFile(file, stringify({ address: '127.0.0.1:0', dbtype: 'none', limits, log, upstreams }));
  const service = await startService(loadConfig(file, {}), { bodyStallMs: 50 });
  try {
    const client = await RawClient.connect(Number(new URL(service.url).port));
    client.send('POST /v1/files HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\nonly a part');
    const answer = await client.answer();
    assert.equal(answer.status, 408);
    assert.equal(errorIn(answer.body).code, 'request_incomplete');
    await until(() => model.open === 0, 'the upstream call ends');
    const readiness = await (await fetch(`${service.url}/readyz`)).json();
    assert.deepEqual((readiness as { degraded: string[] }).degraded, []);
  } finally {
    await service.close();
    await model.close();
    await rm(folder, { recursive: true });
  }
});
