import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../../helpers/gateway.ts';
import { sendJson } from '../../helpers/json-answer.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';

const CHAT = { messages: [{ role: 'user', content: 'hello' }] };
const RERANK = { model: 'm', query: 'q', documents: ['a', 'b'], top_n: 1 };

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start({
    intercept: ({ path }, response) => {
      if (path !== '/v1/rerank') return false;
      sendJson(response, { results: [{ index: 1, relevance_score: 0.9 }] });
      return true;
    },
  });
  gateway = await Gateway.start({
    authorization: 'client-key',
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m', 'other', 'org/m'] }],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

const post = (path: string, body: unknown): Promise<Response> =>
  gateway.post(path, body, { headers: { 'api-key': 'client-key' } });

for (const path of ['/v1', '/v1/', '/v2/rerank', '/v1/v2/rerank']) {
  test(`a rerank posted to ${path} is served as rerank`, async () => {
    const response = await post(path, RERANK);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.deepEqual((JSON.parse(text) as { results: object[] }).results, [
      { index: 1, relevance_score: 0.9 },
    ]);
    assert.equal(model.received.at(-1)?.path, '/v1/rerank');
  });
}

test('what else is posted to the base URL is told what a base URL is, and GET as well', async () => {
  const count = model.received.length;
  for (const response of [await post('/v1', { model: 'm', ...CHAT }), await fetch(`${gateway.url}/v1`)]) {
    const text = await response.text();
    assert.equal(response.status, 404, text);
    assert.match(errorIn(text).message, /base URL for applications ends with \/v1/);
  }
  assert.equal((await post('/v1', { model: 'm', query: 'q' })).status, 400);
  assert.equal((await gateway.post('/v1', RERANK)).status, 401);
  assert.equal(model.received.length, count);
});

for (const [deployment, name] of [
  ['m', 'm'],
  ['org%2Fm', 'org/m'],
] as const) {
  test(`the spelling of Azure serves ${name}, which a body need not name`, async () => {
    for (const [endpoint, body] of [
      ['chat/completions', CHAT],
      ['chat/completions', { ...CHAT, stream: true }],
      ['completions', { prompt: 'hello' }],
      ['embeddings', { input: ['hello'] }],
    ] as const) {
      const response = await post(
        `/openai/deployments/${deployment}/${endpoint}?api-version=2024-10-21`,
        body,
      );
      assert.equal(response.status, 200, await response.text());
      const received = model.received.at(-1);
      assert.equal(received?.path, `/v1/${endpoint}`);
      assert.equal(received?.body.model, name);
      assert.equal(received?.headers['api-key'], undefined);
    }
  });
}

test('a body that names a model keeps it, and one without any elsewhere is refused', async () => {
  await (await post('/openai/deployments/m/chat/completions', { model: 'other', ...CHAT })).text();
  assert.equal(model.received.at(-1)?.body.model, 'other');
  const response = await post('/openai/deployments/unknown/chat/completions', CHAT);
  assert.equal(response.status, 404);
  assert.match(errorIn(await response.text()).message, /"unknown"/);
  assert.equal(errorIn(await (await post('/v1/chat/completions', CHAT)).text()).code, 'missing_model');
});

test('an error names the path that the client typed', async () => {
  for (const [path, method] of [
    ['/nowhere/at/all', 'POST'],
    ['/chat/completions', 'GET'],
    ['/openai/deployments/m/embeddings', 'GET'],
    ['/files', 'POST'],
  ] as const) {
    const response = await fetch(`${gateway.url}${path}?secret=1`, {
      method,
      headers: { 'api-key': 'client-key' },
    });
    const { message } = errorIn(await response.text());
    assert.match(message, new RegExp(`(?:^|\\s)${path}[. ]`));
  }
});
