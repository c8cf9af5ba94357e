import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../../helpers/gateway.ts';
import { sendJson } from '../../helpers/json-answer.ts';
import { type IssuedToken, ScriptedIssuer } from '../../helpers/scripted-issuer.ts';
import { type ReceivedRequest, StandInModel } from '../../helpers/stand-in-model.ts';
import { until } from '../../helpers/until.ts';

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

interface Listing {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

async function list({ url }: Gateway): Promise<Listing> {
  const response = await fetch(`${url}/v1/models`);
  return { status: response.status, text: await response.text(), headers: response.headers };
}

test('an upstream without a token that never listed its models: 503 with the reason, and no empty list', async (t) => {
  const issuer = await ScriptedIssuer.start({ status: 401, body: { error: 'invalid_client' } });
  t.after(() => issuer.close());
  await using lone = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: first.url, token: 'corp' }],
  });
  const refused = await list(lone);
  assert.equal(refused.status, 503, refused.text);
  const { code, message } = errorIn(refused.text);
  assert.equal(code, 'upstream_auth_unavailable');
  assert.match(message, /^The models cannot be listed now\. Upstream "lone" .*invalid_client/);
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/);
  issuer.defaults({
    status: 200,
    body: (token: IssuedToken) => ({ access_token: token.value, expires_in: 300 }),
  });
  await lone.service.reload();
  await until(() => lone.service.status().tokens[0]?.state === 'fresh', 'a token');
  assert.equal((await list(lone)).status, 200, 'a missing token is not remembered');
});

test('the last list is kept while the token is missing, across a reload too; degraded says what it means', async (t) => {
  const issuer = await ScriptedIssuer.start({ lifetimeMs: 1_000 });
  t.after(() => issuer.close());
  const model = await StandInModel.start();
  t.after(() => model.close());
  await using lone = await Gateway.start({
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '100ms' } } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  const before = await list(lone);
  assert.equal(before.status, 200);
  const ids = (text: string) => (JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id);
  assert.notDeepEqual(ids(before.text), []);
  issuer.defaults({ status: 401, body: { error: 'invalid_client' } });
  await until(() => lone.service.status().tokens[0]?.isUsable === false, 'the end of the token');
  const during = await list(lone);
  assert.equal(during.status, 200, during.text);
  assert.deepEqual(ids(during.text), ids(before.text));
  await lone.service.reload();
  assert.deepEqual(ids((await list(lone)).text), ids(before.text));
  const { status, degraded } = await lone.readiness();
  assert.equal(status, 200);
  assert.match(
    degraded.join('\n'),
    /^token corp: missing, .*; no upstream can be called: every request fails$/m,
  );
});

test('an upstream that fails lists nothing: an error while nothing else is known, else the models of the others', async (t) => {
  const broken = await StandInModel.start({
    intercept: (_request, response) => {
      sendJson(response, { error: { message: 'out of order' } }, 500);
      return true;
    },
  });
  t.after(() => broken.close());
  const upstream = { name: 'broken', endpoint: broken.url, token: 'none' };
  await using alone = await Gateway.start({ upstreams: [upstream] });
  const failed = await list(alone);
  assert.equal(failed.status, 503, failed.text);
  assert.match(errorIn(failed.text).message, /Upstream "broken" responded to GET \/models with status 500/);
  await using beside = await Gateway.start({
    upstreams: [upstream, { name: 'other', endpoint: first.url, token: 'none', allow: ['named'] }],
  });
  const listed = await list(beside);
  assert.equal(listed.status, 200);
  assert.match(listed.text, /"id":"named"/);
});

test('an upstream without a list of models is no failure: the list is empty', async () => {
  await using alone = await Gateway.start({
    upstreams: [{ name: 'none', endpoint: second.url, token: 'none' }],
  });
  const { status, text } = await list(alone);
  assert.equal(status, 200);
  assert.equal(text, '{"object":"list","data":[]}');
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
