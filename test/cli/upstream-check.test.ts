import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { check as checkCommand } from '../../src/cli/check.ts';
import { callCommand } from '../helpers/run-command.ts';
import { StandInModel, type StandInOptions } from '../helpers/stand-in-model.ts';

/** A model that has its API below `base` only; every other path is a 404. */
async function startBelow(t: TestContext, base: string, options: StandInOptions = {}): Promise<StandInModel> {
  const model = await StandInModel.start({
    ...options,
    intercept: (request, response) => {
      const [path = ''] = request.path.split('?');
      if (path === `${base}/models` || path === `${base}/chat/completions`)
        return options.intercept?.(request, response) ?? false;
      response.writeHead(404);
      response.end('no such page');
      return true;
    },
  });
  t.after(() => model.close());
  return model;
}

const origin = (model: StandInModel): string => new URL(model.url).origin;

function check(endpoint: string, ...args: string[]) {
  const upstreams = [{ name: 'chat', endpoint, sk: 'key-1f3a9d' }];
  return callCommand(checkCommand, { address: '127.0.0.1:0', dbtype: 'none', upstreams }, args);
}

const withoutModels: StandInOptions = {
  intercept: (request, response) => {
    if (request.method !== 'GET') return false;
    response.writeHead(404);
    response.end('{}');
    return true;
  },
};

for (const { configured, right } of [
  { configured: '', right: '/v1' },
  { configured: '/v1', right: '' },
  { configured: '/v1/v1', right: '/v1' },
  { configured: '/v1', right: '/v1/v1' },
  { configured: '/llm/v1/chat/completions', right: '/llm/v1' },
  { configured: '/llm', right: '/llm/v1' },
  { configured: '', right: '/openai/v1' },
]) {
  test(`an endpoint "${configured}" where the API is at "${right}": FAIL with the line to paste`, async (t) => {
    const model = await startBelow(t, right);
    const { code, stdout } = await check(origin(model) + configured);
    assert.equal(code, 1, stdout);
    assert.match(
      stdout,
      /^FAIL {2}upstream chat: GET \/models returns 404, but the same below another path lists 2 models\. Set:$/m,
    );
    assert.ok(stdout.includes(`\n      endpoint: ${origin(model)}${right}\n`), stdout);
  });
}

test('a web page in place of the list of models is no list; the path that has one is found', async (t) => {
  const model = await StandInModel.start({
    intercept: (request, response) => {
      if (request.path.startsWith('/v1/')) return false;
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<!doctype html><title>Portal</title>');
      return true;
    },
  });
  t.after(() => model.close());
  const { code, stdout } = await check(origin(model));
  assert.equal(code, 1, stdout);
  assert.match(stdout, /^FAIL {2}upstream chat: GET \/models returns no list of models, but/m);
  assert.ok(stdout.includes(`endpoint: ${origin(model)}/v1\n`), stdout);
});

test('without any list of models a chat decides: it works, is below another path, or is nowhere', async (t) => {
  const model = await startBelow(t, '/v1', withoutModels);
  const right = await check(`${origin(model)}/v1`, '--chat', '--model', 'm');
  assert.equal(right.code, 0, right.stdout);
  assert.match(
    right.stdout,
    /^ok {4}upstream chat: responds \(GET \/models returns 404: it lists no models\)$/m,
  );
  assert.match(right.stdout, /^ok {4}upstream chat: a chat with m works$/m);
  const wrong = await check(origin(model), '--model', 'm');
  assert.equal(wrong.code, 1, wrong.stdout);
  assert.match(
    wrong.stdout,
    /^FAIL {2}upstream chat: no chat at its endpoint, but a chat works below another/m,
  );
  assert.ok(wrong.stdout.includes(`endpoint: ${origin(model)}/v1\n`), wrong.stdout);
  const gone = await startBelow(t, '/elsewhere');
  const nowhere = await check(`${origin(gone)}/v2`, '--model', 'm');
  assert.equal(nowhere.code, 1, nowhere.stdout);
  assert.match(nowhere.stdout, /^FAIL {2}upstream chat: a chat with m fails: Upstream path not found/m);
});

test('--chat uses the first model that is no embedding model, and prints the upstream’s error', async (t) => {
  const model = await StandInModel.start({ models: ['bge-m3', 'big-chat'] });
  t.after(() => model.close());
  const good = await check(model.url, '--chat');
  assert.equal(good.code, 0, good.stdout);
  assert.match(good.stdout, /^ok {4}upstream chat: a chat with big-chat works$/m);
  model.set({
    intercept: (request, response) => {
      if (request.method === 'GET') return false;
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"no quota left for key-1f3a9d"}}');
      return true;
    },
  });
  const bad = await check(model.url, '--chat');
  assert.equal(bad.code, 1, bad.stdout);
  assert.match(bad.stdout, /^FAIL {2}upstream chat: a chat with big-chat fails: /m);
  assert.ok(!bad.stdout.includes('key-1f3a9d'), bad.stdout);
});

test('a chat is repeated without max_tokens where that is refused', async (t) => {
  const model = await StandInModel.start({
    intercept: (request, response) => {
      if (request.body.max_tokens === undefined) return false;
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"Unsupported parameter: max_tokens"}}');
      return true;
    },
  });
  t.after(() => model.close());
  const { code, stdout } = await check(model.url, '--chat');
  assert.equal(code, 0, stdout);
});

test('without --chat only the list of models is requested', async (t) => {
  const model = await StandInModel.start();
  t.after(() => model.close());
  assert.equal((await check(model.url)).code, 0);
  assert.deepEqual(
    model.received.map(({ method, path }) => `${method} ${path}`),
    ['GET /v1/models'],
  );
});

test('a redirect is a failure that names where to: the base URL, or a login page', async (t) => {
  let location = '';
  const model = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(302, { location });
      response.end();
      return true;
    },
  });
  t.after(() => model.close());
  location = 'https://llm.corp.example/v1/models';
  const moved = await check(model.url);
  assert.equal(moved.code, 1, moved.stdout);
  assert.match(moved.stdout, /^FAIL {2}upstream chat: redirects GET \/models \(302\), .* Set:$/m);
  assert.ok(moved.stdout.includes('\n      endpoint: https://llm.corp.example/v1\n'), moved.stdout);
  location = 'https://sso.corp.example/login?next=x';
  const login = await check(model.url);
  assert.match(login.stdout, /to a page of sso\.corp\.example \(a login page\?\)/);
});

test('a 502 is a failure that names the upstream', async (t) => {
  const model = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(502);
      response.end();
      return true;
    },
  });
  t.after(() => model.close());
  const { code, stdout } = await check(model.url);
  assert.equal(code, 1);
  assert.match(stdout, /^FAIL {2}upstream chat: responds to GET \/models with 502$/m);
});
