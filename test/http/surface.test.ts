import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { exchangeRaw, RawClient, rawPost } from '../helpers/raw-client.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const KEY = 'client-key-of-surface';
const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
const authorized = { authorization: `Bearer ${KEY}` };

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start({
    authorization: KEY,
    base_path: '/agent/api/llm_proxy',
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key-1', allow: ['m', 'org/m:latest'] }],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

const origin = (): string => new URL(gateway.url).origin;
const post = (path: string, headers: Record<string, string> = authorized) =>
  fetch(`${origin()}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(CHAT),
  });

test('every spelling of a path is served where it is, without a redirect, and the upstream gets one', async () => {
  for (const path of [
    '/v1/chat/completions',
    '/chat/completions',
    '/v1/v1/chat/completions',
    '//v1//chat/completions/',
    '/v1/chat/completions/chat/completions',
    '/agent/api/llm_proxy/v1/chat/completions',
    '/agent/api/llm_proxy/chat/completions',
    '/v1/chat/completions?x=1',
  ]) {
    const response = await post(path);
    assert.equal(response.status, 200, `${path}: ${await response.text()}`);
    assert.match(model.received.at(-1)?.path ?? '', /^\/v1\/chat\/completions(\?x=1)?$/);
  }
});

test('the key is taken from each of three headers, any valid one wins, and it never reaches the upstream', async () => {
  for (const headers of [
    { authorization: `Bearer ${KEY}` },
    { authorization: `bearer   ${KEY}  ` },
    { 'x-api-key': KEY },
    { 'api-key': KEY },
    { authorization: 'Bearer stale', 'x-api-key': KEY },
    { authorization: `Bearer ${KEY}`, 'api-key': 'stale' },
  ]) {
    const response = await post('/v1/chat/completions', headers as unknown as Record<string, string>);
    assert.equal(response.status, 200, JSON.stringify(headers));
    await response.text();
    const sent = model.received.at(-1)?.headers ?? {};
    assert.equal(sent.authorization, 'Bearer upstream-key-1');
    assert.equal(sent['x-api-key'], undefined);
    assert.equal(sent['api-key'], undefined);
  }
});

test('OPTIONS needs no key and permits the requested headers', async () => {
  for (const path of ['/v1/chat/completions', '/v1/models', '/embeddings', '/v1/anything/else']) {
    const response = await fetch(`${origin()}${path}`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-stainless-os,http-referer',
      },
    });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.match(response.headers.get('access-control-allow-methods') ?? '', /POST/);
    assert.equal(
      response.headers.get('access-control-allow-headers'),
      'authorization,x-stainless-os,http-referer',
    );
    assert.ok(response.headers.get('access-control-max-age'));
  }
});

test('every response, errors and streams included, can be read by a page and exposes its id and retry headers', async () => {
  const answers = [
    await post('/v1/chat/completions'),
    await post('/v1/chat/completions', {}),
    await fetch(`${origin()}/nowhere`),
    await fetch(`${origin()}/v1/models`, { headers: authorized }),
  ];
  for (const response of answers) {
    await response.text();
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.match(response.headers.get('access-control-expose-headers') ?? '', /x-request-id, retry-after/);
  }
});

test('every response has the number of attempts, 0 when no upstream was called, and then names none', async () => {
  const chat = (body: string) =>
    fetch(`${origin()}/v1/chat/completions`, { method: 'POST', headers: authorized, body });
  const unasked = [
    await post('/v1/chat/completions', {}),
    await chat('{"model"'),
    await chat('{"model":"unknown","messages":[]}'),
    await fetch(`${origin()}/v1/chat/completions`, { headers: authorized }),
    await fetch(`${origin()}/v1/models`, { headers: authorized }),
  ];
  for (const response of unasked) {
    await response.text();
    assert.equal(response.headers.get('x-tokenferry-attempts'), '0', String(response.status));
    assert.equal(response.headers.get('x-tokenferry-upstream'), null);
  }
  const malformed = await exchangeRaw(gateway.port, 'GET /v1/models HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n');
  assert.equal(malformed.headers['x-tokenferry-attempts'], '0');
  const served = await post('/v1/chat/completions');
  await served.text();
  assert.equal(served.headers.get('x-tokenferry-attempts'), '1');
  assert.equal(served.headers.get('x-tokenferry-upstream'), 'one');
});

test('a safe request id of the client is kept; any other is replaced', async () => {
  const kept = await post('/v1/chat/completions', { ...authorized, 'x-request-id': 'trace-1.2:3' });
  assert.equal(kept.headers.get('x-request-id'), 'trace-1.2:3');
  await kept.text();
  for (const bad of ['a b', 'x'.repeat(200), '<script>', 'a"b']) {
    const response = await post('/v1/chat/completions', { ...authorized, 'x-request-id': bad });
    assert.match(response.headers.get('x-request-id') ?? '', /^req_\w{16,}$/);
    await response.text();
  }
});

test('S22 a connection is used again after each kind of error response', async () => {
  const client = await RawClient.connect(gateway.port);
  const auth = `Authorization: Bearer ${KEY}`;
  const requests: readonly [string, number][] = [
    [rawPost('/v1/chat/completions', '{', [auth]), 400],
    [rawPost('/v1/chat/completions', JSON.stringify(CHAT)), 401],
    [rawPost('/nowhere', '{}'), 404],
    ['GET /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', 405],
    [rawPost('/v1/chat/completions', '{"model":"unknown"}', [auth]), 404],
    [rawPost('/v1/chat/completions', JSON.stringify(CHAT), [auth]), 200],
  ];
  for (const [bytes, status] of requests) {
    client.send(bytes);
    assert.equal((await client.answer()).status, status, bytes);
  }
  client.close();
});

test('S22 Expect: 100-continue and chunked requests are served', async () => {
  const auth = `Authorization: Bearer ${KEY}`;
  const body = JSON.stringify(CHAT);
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', body, [auth, 'Expect: 100-continue']).slice(0, -body.length));
  while (!client.received.includes('100 Continue')) await new Promise((resolve) => setTimeout(resolve, 5));
  client.send(body);
  while (!client.received.includes('chat.completion')) await new Promise((resolve) => setTimeout(resolve, 5));
  client.close();
  const answer = await exchangeRaw(
    gateway.port,
    `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n${auth}\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  );
  assert.equal(answer.status, 200, answer.text);
});

test('S7 S10 GET /v1/models may carry a body, and models with slashes and colons are found in every spelling', async () => {
  const list = await exchangeRaw(
    gateway.port,
    `GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
  );
  assert.equal(list.status, 200);
  for (const id of ['m', 'org/m:latest', 'org%2Fm%3Alatest']) {
    const response = await fetch(`${origin()}/v1/models/${id}`, { headers: authorized });
    assert.equal(response.status, 200, `${id}: ${await response.text()}`);
  }
  const missing = await fetch(`${origin()}/v1/models/none`, { headers: authorized });
  assert.equal(missing.status, 404);
  assert.equal(errorIn(await missing.text()).code, 'model_not_found');
});

test('S11 an alias gives a model an id that shows its type, in the list and in requests', async () => {
  await using own = await Gateway.start({
    dbtype: 'none',
    upstreams: [
      {
        name: 'one',
        endpoint: model.url,
        sk: 'upstream-key-1',
        allow: ['deploy-17', 'deploy-18', 'deploy-19'],
        models: {
          'corp-text-embedding': 'deploy-17',
          'corp-bge-reranker': 'deploy-18',
          'corp-vl-chat': 'deploy-19',
        },
      },
    ],
  });
  const list = (await (await fetch(`${own.url}/v1/models`)).json()) as { data: { id: string }[] };
  const ids = list.data.map(({ id }) => id);
  for (const id of ['corp-text-embedding', 'corp-bge-reranker', 'corp-vl-chat'])
    assert.ok(ids.includes(id), id);
  const response = await own.post('/v1/embeddings', { model: 'corp-text-embedding', input: 'a' });
  assert.equal(response.status, 200, await response.text());
  assert.equal(model.received.at(-1)?.body.model, 'deploy-17');
});

test('S128 health needs no key, outside of /v1 and below base_path', async () => {
  for (const path of ['/livez', '/readyz', '/health', '/agent/api/llm_proxy/livez', '/health/']) {
    const response = await fetch(`${origin()}${path}`);
    assert.equal(response.status, 200, path);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    assert.equal(((await response.json()) as { status: string }).status, 'ok');
  }
  const inside = await fetch(`${origin()}/v1/health`);
  assert.equal(inside.status, 401, await inside.text());
  const wrong = await fetch(`${origin()}/livez`, { method: 'POST' });
  assert.equal(wrong.status, 405);
  errorIn(await wrong.text());
});

test('without keys only this machine is served: foreign Host and Origin are refused', async () => {
  await using open = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key-1', allow: ['m'] }],
  });
  const body = JSON.stringify(CHAT);
  const before = model.received.length;
  for (const fields of [
    ['Host: evil.example'],
    ['Host: 127.0.0.1.evil.example'],
    ['Host: 127.0.0.1', 'Origin: https://evil.example'],
    ['Host: 127.0.0.1', 'Origin: null'],
    ['Host: localhost@evil.example'],
  ]) {
    const answer = await exchangeRaw(open.port, rawPost('/v1/chat/completions', body, fields));
    assert.ok(answer.status === 403 || answer.status === 400, `${fields}: ${answer.status}`);
    errorIn(answer.body);
  }
  assert.equal(model.received.length, before);
  for (const fields of [
    ['Host: localhost:8888'],
    ['Host: [::1]:8888'],
    ['Host: 127.0.0.1', 'Origin: http://localhost:3000'],
  ]) {
    assert.equal((await exchangeRaw(open.port, rawPost('/v1/chat/completions', body, fields))).status, 200);
  }
});
