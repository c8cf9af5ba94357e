import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { exchangeRaw, rawPost } from '../helpers/raw-client.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const KEY = 'client-key-of-bad-input';
const GOOD = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start({
    authorization: KEY,
    limits: { body: '64KiB' },
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m'] }],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly type?: string;
  readonly param?: string | null;
  readonly says?: RegExp;
}

/** Every refusal is OpenAI-shaped JSON, carries an id, may not be retried, and no upstream hears of it. */
async function refuses(response: Response, expected: Refusal): Promise<void> {
  const text = await response.text();
  assert.equal(response.status, expected.status, text);
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  const error = errorIn(text);
  assert.equal(error.code, expected.code);
  assert.equal(error.type, expected.type ?? 'invalid_request_error');
  if (expected.param !== undefined) assert.equal(error.param, expected.param);
  if (expected.says !== undefined) assert.match(error.message, expected.says);
  assert.equal(response.headers.get('x-should-retry'), 'false');
  assert.ok(response.headers.get('x-request-id'));
  assert.equal(response.headers.get('access-control-allow-origin'), '*');
  assert.equal(model.received.length, 0, 'no upstream was asked');
}

const authorized = { headers: { authorization: `Bearer ${KEY}` } };
const post = (body: unknown, path = '/v1/chat/completions') => gateway.post(path, body, authorized);

for (const path of ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/rerank']) {
  test(`malformed JSON on ${path} is a 400 with the position of the error`, async () => {
    await refuses(await post('{"model": "m", "messages": [}', path), {
      status: 400,
      code: 'invalid_json',
      says: /line 1, column 29/,
    });
  });

  test(`a JSON array, a string and null on ${path} are a 400`, async () => {
    for (const body of ['[]', '"text"', 'null', '7']) {
      await refuses(await post(body, path), { status: 400, code: 'invalid_request', says: /JSON object/ });
    }
  });

  test(`an empty body on ${path} is a 400`, async () => {
    await refuses(await post('', path), { status: 400, code: 'invalid_json', says: /empty/ });
  });

  test(`a missing model on ${path} is a 400 that names the parameter`, async () => {
    for (const body of [{ messages: [] }, { model: '' }, { model: null }, { model: 7 }]) {
      await refuses(await post(body, path), { status: 400, code: 'missing_model', param: 'model' });
    }
  });

  test(`an unknown model on ${path} is a 404 with the code that clients map`, async () => {
    await refuses(
      await post({ ...GOOD, input: 'a', query: 'a', documents: ['b'], model: 'nobody-has-it' }, path),
      {
        status: 404,
        code: 'model_not_found',
        type: 'not_found_error',
        param: 'model',
        says: /nobody-has-it/,
      },
    );
  });
}

test('a wrong key is a 401 Invalid API key', async () => {
  const response = await gateway.post('/v1/chat/completions', GOOD, {
    headers: { authorization: 'Bearer nope' },
  });
  await refuses(response, { status: 401, code: 'invalid_api_key', type: 'authentication_error' });
});

test('no key at all is a 401, and so is every way in which clients write "no key"', async () => {
  for (const value of ['', 'Bearer', 'Bearer ', 'Bearer undefined', 'Bearer null', 'Bearer EMPTY']) {
    const response = await gateway.post('/v1/chat/completions', GOOD, { headers: { authorization: value } });
    await refuses(response, { status: 401, code: 'invalid_api_key', type: 'authentication_error' });
  }
});

test('a body whose content-length is over the limit is refused before it is read', async () => {
  const head = rawPost('/v1/chat/completions', '', [`Authorization: Bearer ${KEY}`]).replace(
    'Content-Length: 0',
    'Content-Length: 70000',
  );
  const answer = await exchangeRaw(gateway.port, head);
  assert.equal(answer.status, 413);
  assert.equal(errorIn(answer.body).code, 'body_too_large');
  assert.equal(answer.headers.connection, 'close');
});

test('S21 a client that is still sending a body over the limit receives the 413 instead of a reset', async () => {
  const long = JSON.stringify({ ...GOOD, padding: 'x'.repeat(8 * 1024 * 1024) });
  await refuses(await post(long), { status: 413, code: 'body_too_large', says: /65536 bytes/ });
});

test('S21 a body over the limit without a content-length is a 413', async () => {
  const chunks = ReadableStream.from(
    (async function* () {
      for (let sent = 0; sent < 64; sent++) yield Buffer.alloc(16 * 1024, 0x20);
    })(),
  );
  const response = await fetch(`${gateway.url}/v1/embeddings`, {
    method: 'POST',
    body: chunks,
    duplex: 'half',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
  } as RequestInit);
  await refuses(response, { status: 413, code: 'body_too_large' });
});

test('a wrong method is a 405 with the method that works', async () => {
  for (const path of ['/v1/chat/completions', '/v1/embeddings', '/embeddings', '/v1/rerank']) {
    const response = await fetch(`${gateway.url}${path}`, authorized);
    assert.match(response.headers.get('allow') ?? '', /POST/);
    await refuses(response, { status: 405, code: 'method_not_allowed', says: /^Method not allowed: GET/ });
  }
  const response = await post({}, '/v1/models');
  assert.match(response.headers.get('allow') ?? '', /GET/);
  await refuses(response, { status: 405, code: 'method_not_allowed' });
});

test('a path outside the API is a 404 in JSON that suggests /v1, with and without a key', async () => {
  for (const path of [
    '/nowhere',
    '/',
    '/index.html',
    '/v1',
    '/v2/chat/completions',
    '/v1x/models',
    '/favicon.ico',
  ]) {
    for (const init of [{}, authorized, { headers: { authorization: 'Bearer nope' } }]) {
      await refuses(await fetch(`${gateway.url}${path}`, init), {
        status: 404,
        code: 'unknown_path',
        type: 'not_found_error',
        says: /\/v1/,
      });
    }
  }
});

test('a path of the API that no upstream serves needs a key and is then a 404', async () => {
  const response = await fetch(`${gateway.url}/v1/images/generations`);
  await refuses(response, { status: 401, code: 'invalid_api_key', type: 'authentication_error' });
  await refuses(await post({ model: 'dall-e' }, '/v1/images/generations'), {
    status: 404,
    code: 'model_not_found',
    type: 'not_found_error',
  });
});

test('messages of 400 and 404 avoid the words that RAGFlow classifies as outages', async () => {
  const misleading = /server|timeout|unavailable|capacity|quota|rate limit|\bkey\b|auth/i;
  for (const body of ['{', '[]', '{}', '{"model":"zzz"}']) {
    assert.doesNotMatch(errorIn(await (await post(body)).text()).message, misleading);
  }
  assert.doesNotMatch(errorIn(await (await fetch(`${gateway.url}/nowhere`)).text()).message, misleading);
});

test('each refusal has its row in the record', async () => {
  const wrongKey = await gateway.post('/v1/embeddings', GOOD, { headers: { 'x-api-key': 'nope' } });
  await wrongKey.text();
  const row = await gateway.rowOf(wrongKey.headers.get('x-request-id'));
  assert.deepEqual(
    {
      status: row.status,
      outcome: row.outcome,
      client: row.client,
      code: row.error_code,
      attempts: row.attempts,
    },
    { status: 401, outcome: 'client_error', client: null, code: 'invalid_api_key', attempts: [] },
  );
});
