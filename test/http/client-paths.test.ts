import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start({
    dbtype: 'none',
    clients: [
      { name: 'vectors', key: 'key-vectors', paths: ['/v1/embeddings'] },
      { name: 'lists', key: 'key-lists', paths: ['GET /v1/models/**', 'GET  /v1/models', 'POST /v1/chat/*'] },
    ],
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m', '/v1/**'] }],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

const BODY = {
  model: 'm',
  messages: [{ role: 'user', content: 'hello' }],
  input: 'a',
  query: 'q',
  documents: ['a'],
};

async function ask(key: string, method: string, path: string): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const body = method === 'POST' ? JSON.stringify(BODY) : null;
  return fetch(`${gateway.url}${path}`, { method, headers, body });
}

test('a key reaches no path that its paths do not name, the list of models included', async () => {
  assert.equal((await ask('key-vectors', 'POST', '/v1/embeddings')).status, 200);
  const before = model.received.length;
  for (const [method, path] of [
    ['GET', '/v1/models'],
    ['GET', '/v1/models/m'],
    ['POST', '/v1/chat/completions'],
    ['POST', '/v1/rerank'],
    ['GET', '/v1/files'],
    ['POST', '/v1/EMBEDDINGS'],
    ['POST', '/v1/embeddings/x'],
  ] as const) {
    const response = await ask('key-vectors', method, path);
    assert.equal(response.status, 403, `${method} ${path}`);
    assert.equal(errorIn(await response.text()).code, 'not_permitted');
  }
  assert.equal(model.received.length, before);
});

test('a method before a path of a key allows only that method, and a star does not match a slash', async () => {
  for (const [method, path, status] of [
    ['GET', '/v1/models', 200],
    ['GET', '/v1/models/m', 200],
    ['POST', '/v1/chat/completions', 200],
    ['POST', '/v1/models/m', 403],
    ['DELETE', '/v1/chat/completions', 403],
    ['POST', '/v1/chat/completions/x/messages', 403],
    ['POST', '/v1/embeddings', 403],
  ] as const) {
    const response = await ask('key-lists', method, path);
    const text = await response.text();
    const expected = path === '/v1/chat/completions' && method === 'DELETE' ? 405 : status;
    assert.equal(response.status, expected, `${method} ${path}: ${text}`);
  }
});

test('an upstream without the path: the error names the path as the client wrote it', async () => {
  await using pathless = await StandInModel.start({
    intercept: (_request, response) => {
      response
        .writeHead(404, { 'content-type': 'text/html' })
        .end('<html><title>404 Not Found</title></html>');
      return true;
    },
  });
  await using alone = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: pathless.url, sk: 'upstream-key' }],
  });
  for (const path of ['/v2/rerank', '/v1', '/openai/deployments/m/chat/completions', '/chat/completions']) {
    const response = await fetch(`${alone.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(BODY),
    });
    const text = await response.text();
    assert.equal(response.status, 502, text);
    assert.ok(errorIn(text).message.includes(`not found for ${path}:`), text);
  }
});
