import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn } from '../helpers/gateway.ts';
import { CLIENT_KEY, closeFerry, type Ferry, startFerry } from './ferry.ts';

let ferry: Ferry;

before(async () => {
  ferry = await startFerry();
});

after(() => closeFerry(ferry));

const KEYED = { authorization: `Bearer ${CLIENT_KEY}` };

const CHAT = JSON.stringify({
  model: 'canonical-text',
  messages: [{ role: 'user', content: 'When does it leave?' }],
});

const EMBED = JSON.stringify({ model: 'embed-canonical', input: ['one'] });

const RERANK = JSON.stringify({ model: 'rerank-canonical', query: 'q', documents: ['a', 'b'] });

function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${ferry.gatewayUrl}${path}`, {
    method: 'POST',
    body,
    redirect: 'manual',
    headers: { 'content-type': 'application/json', ...KEYED, ...headers },
  });
}

const get = (path: string, headers: Record<string, string> = KEYED) =>
  fetch(`${ferry.gatewayUrl}${path}`, { headers, redirect: 'manual' });

test('S1 S2 S3 S4 every spelling of a path is served at once, without a redirect', async () => {
  const bodies = { 'chat/completions': CHAT, embeddings: EMBED, rerank: RERANK };
  for (const [path, body] of Object.entries(bodies)) {
    for (const start of ['/v1/', '/', '/v1/v1/', '//v1/', '/v1//']) {
      for (const end of ['', '/']) {
        const response = await post(`${start}${path}${end}`, body);
        assert.equal(response.status, 200, `${start}${path}${end}: ${await response.text()}`);
      }
    }
  }
  for (const path of ['/v1/models', '/models', '/v1/v1/models', '/models/']) {
    assert.equal((await get(path)).status, 200, path);
  }
  assert.equal((await post('/v1/chat/completions/chat/completions', CHAT)).status, 200);
});

test('S5 S6 an unknown path is a 404 that suggests /v1, a wrong method a 405 with allow', async () => {
  const unknown = await post('/chatt', CHAT);
  assert.equal(unknown.status, 404);
  const { message } = errorIn(await unknown.text());
  assert.match(message, /chatt/);
  assert.match(message, /\/v1/);
  const wrong = await get('/v1/chat/completions');
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get('allow')?.includes('POST'), true);
  errorIn(await wrong.text());
});

test('S10 a model is shown by its id, and an unknown one is model_not_found', async () => {
  const known = await get('/v1/models/canonical-text');
  assert.equal(((await known.json()) as { id: string }).id, 'canonical-text');
  const unknown = await get('/v1/models/org%2Fno:such@model');
  assert.equal(unknown.status, 404);
  assert.equal(errorIn(await unknown.text()).code, 'model_not_found');
});

test('S12 the key is read from three headers, and any valid one wins', async () => {
  for (const headers of [
    { authorization: `bearer   ${CLIENT_KEY} ` },
    { 'x-api-key': CLIENT_KEY },
    { 'api-key': CLIENT_KEY },
    { authorization: 'Bearer other', 'x-api-key': CLIENT_KEY },
  ]) {
    const response = await get('/v1/models', headers as Record<string, string>);
    assert.equal(response.status, 200, JSON.stringify(headers));
    await response.body?.cancel();
  }
});

test('S13 no key, an empty one and a placeholder for none are a 401 that is not retried', async () => {
  for (const authorization of ['', 'Bearer', 'Bearer undefined', 'Bearer null', 'Bearer EMPTY']) {
    const response = await get('/v1/models', { authorization });
    assert.equal(response.status, 401, authorization);
    assert.equal(response.headers.get('x-should-retry'), 'false');
    assert.equal(errorIn(await response.text()).code, 'invalid_api_key');
  }
});

test('S14 the key of the client never reaches the upstream', async () => {
  await (await post('/v1/chat/completions', CHAT, { 'x-api-key': CLIENT_KEY })).text();
  assert.ok(ferry.upstream.seen.length > 0);
  assert.ok(!JSON.stringify(ferry.upstream.seen).includes(CLIENT_KEY));
});

test('S15 S16 browsers may call: preflights need no key, responses and errors are readable', async () => {
  const asked = 'authorization, x-stainless-lang, http-referer, x-title, x-api-key';
  const preflight = await fetch(`${ferry.gatewayUrl}/v1/chat/completions`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://chat.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': asked,
    },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-headers'), asked);
  assert.ok(preflight.headers.get('access-control-allow-methods')?.includes('POST'));
  assert.ok(Number(preflight.headers.get('access-control-max-age')) > 0);
  for (const model of ['canonical-text', 'nobody-offers-this']) {
    const reply = await post('/v1/chat/completions', CHAT.replace('canonical-text', model), {
      origin: 'https://chat.example',
    });
    await reply.text();
    assert.equal(reply.headers.get('access-control-allow-origin'), '*');
    for (const name of ['x-request-id', 'retry-after']) {
      assert.ok(reply.headers.get('access-control-expose-headers')?.includes(name), name);
    }
  }
});

test('S17 S60 only the body decides on a stream, which is never compressed', async () => {
  const stream = CHAT.replace('{', '{"stream":true,');
  for (const accept of ['*/*', 'application/json', 'text/event-stream']) {
    const headers = { accept, 'accept-encoding': 'gzip, br' };
    const streamed = await post('/v1/chat/completions', stream, headers);
    assert.match(streamed.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.equal(streamed.headers.get('content-encoding'), null);
    assert.equal(streamed.headers.get('content-length'), null);
    assert.equal(streamed.headers.get('x-accel-buffering'), 'no');
    assert.match(streamed.headers.get('cache-control') ?? '', /no-cache/);
    assert.match(await streamed.text(), /data: \[DONE\]\n\n$/);
    const whole = await post('/v1/chat/completions', CHAT, headers);
    assert.match(whole.headers.get('content-type') ?? '', /^application\/json/);
    await whole.text();
  }
});

test('S23 every response has a request id, and a short one of the client is kept', async () => {
  const own = await post('/v1/chat/completions', CHAT, { 'x-request-id': 'trip-42' });
  await own.text();
  assert.equal(own.headers.get('x-request-id'), 'trip-42');
  const given = await get('/v1/models', {});
  assert.ok((given.headers.get('x-request-id') ?? '').length > 8);
});

test('S34 stream false, null and absent are the same', async () => {
  for (const member of ['', '"stream":false,', '"stream":null,']) {
    const reply = await post('/v1/chat/completions', CHAT.replace('{', `{${member}`));
    assert.equal(((await reply.json()) as { object: string }).object, 'chat.completion', member);
  }
});
