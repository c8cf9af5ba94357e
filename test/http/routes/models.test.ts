import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../../helpers/gateway.ts';
import { sendJson } from '../../helpers/json-answer.ts';
import { type ReceivedRequest, StandInModel } from '../../helpers/stand-in-model.ts';

const STORED = '/v1/chat/completions/chatcmpl-1';
let first: StandInModel;
let second: StandInModel;
let gateway: Gateway;

function respond({ method, path }: ReceivedRequest, response: ServerResponse): boolean {
  if (path.startsWith('/v1/models/')) {
    const id = decodeURIComponent(path.slice('/v1/models/'.length));
    if (/^hidden|^org\/hidden|^own-name/.test(id))
      sendJson(response, { id, object: 'model', created: '1700000000' });
    else if (id === 'listed-as-page') sendJson(response, { data: [] });
    else if (id === 'busy') sendJson(response, { error: { message: 'Slow down.' } }, 429);
    else
      sendJson(
        response,
        { error: { message: `The model '${id}' does not exist`, code: 'model_not_found' } },
        404,
      );
    return true;
  }
  if (!path.startsWith(STORED)) return false;
  sendJson(response, method === 'DELETE' ? { id: 'chatcmpl-1', deleted: true } : { id: 'chatcmpl-1', path });
  return true;
}

before(async () => {
  first = await StandInModel.start({ intercept: (request, response) => respond(request, response) });
  second = await StandInModel.start({
    intercept: ({ path }, response) => {
      if (!path.startsWith('/v1/models')) return false;
      sendJson(response, { detail: 'Not Found' }, 404);
      return true;
    },
  });
  gateway = await Gateway.start({
    upstreams: [
      { name: 'none', endpoint: second.url, sk: 'key-2', allow: ['*'], deny: [`${STORED}/**`, STORED] },
      { name: 'one', endpoint: first.url, sk: 'key-1', allow: ['*'], models: { alias: 'own-name' } },
    ],
  });
});

after(async () => {
  await gateway.close();
  await first.close();
  await second.close();
});

test('GET /v1/models/{id} of a model in no list is sent to the upstreams, one after the other', async () => {
  for (const [path, id] of [
    ['hidden-1', 'hidden-1'],
    ['org/hidden:1', 'org/hidden:1'],
    ['org%2Fhidden', 'org/hidden'],
  ]) {
    const response = await fetch(`${gateway.url}/v1/models/${path}`);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.deepEqual(JSON.parse(text), { id, object: 'model', created: 1_700_000_000, owned_by: 'upstream' });
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'one');
    assert.equal(response.headers.get('x-tokenferry-attempts'), '2');
    assert.equal(first.received.at(-1)?.path, `/v1/models/${path}`);
    assert.equal(first.received.at(-1)?.headers.authorization, 'Bearer key-1');
  }
});

test('a model that no upstream knows is a 404 model_not_found, as before', async () => {
  for (const id of ['gpt-none', 'listed-as-page']) {
    const response = await fetch(`${gateway.url}/v1/models/${id}`);
    const text = await response.text();
    assert.equal(response.status, 404, text);
    assert.equal(errorIn(text).code, 'model_not_found');
  }
  assert.deepEqual((await gateway.readiness()).degraded, []);
});

test('a busy upstream does not make a model unknown', async () => {
  assert.equal((await fetch(`${gateway.url}/v1/models/busy`)).status, 429);
});

for (const [method, path] of [
  ['GET', STORED],
  ['DELETE', STORED],
  ['POST', STORED],
  ['GET', `${STORED}/messages?limit=2`],
] as const) {
  test(`${method} ${path} of a stored completion is passed through`, async () => {
    const body = method === 'POST' ? { body: '{"metadata":{"a":"b"}}' } : {};
    const response = await fetch(`${gateway.url}${path}`, { method, ...body });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(first.received.at(-1)?.method, method);
    assert.equal(first.received.at(-1)?.path, path);
  });
}
