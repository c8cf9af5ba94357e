import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { answering, httpAnswer, RawUpstream, refusingUrl, silent } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const KEY = 'client-key-of-statuses';

interface Row {
  /** What the upstream does, or what is wrong with the request. */
  readonly what: string;
  /** The upstream's answer. */
  readonly upstream?: readonly [status: number, body: object | string, headers?: Record<string, string>];
  /** Another upstream than the one that answers as `upstream` says. */
  readonly model?: string;
  readonly ask?: (model: string) => Promise<Response>;
  readonly status: number;
  readonly code: string | null;
  /** `x-should-retry`: null when the client is to decide by the status. */
  readonly retry: 'true' | 'false' | null;
}

const error = (message: string, code: string | null = null, type = 'invalid_request_error'): object => ({
  error: { message, type, param: null, code },
});

/** S83 and S87: what it was, the status and the code that the client gets, and whether it should try again. */
const ROWS: readonly Row[] = [
  // The client's own mistakes, in the upstream's words.
  { what: '400', upstream: [400, error('bad')], status: 400, code: null, retry: 'false' },
  { what: '409', upstream: [409, error('conflict', 'busy')], status: 409, code: 'busy', retry: 'false' },
  { what: '413', upstream: [413, error('too large')], status: 413, code: null, retry: 'false' },
  { what: '415', upstream: [415, error('no such type')], status: 415, code: null, retry: 'false' },
  { what: '422', upstream: [422, error('no number')], status: 422, code: null, retry: 'false' },
  {
    what: 'a prompt that is too long',
    upstream: [400, error('This model’s maximum context length is 10 tokens.', 'context_length_exceeded')],
    status: 400,
    code: 'context_length_exceeded',
    retry: 'false',
  },
  {
    what: 'a filtered prompt',
    upstream: [400, error('The content was filtered', 'content_filter')],
    status: 400,
    code: 'content_filter',
    retry: 'false',
  },
  {
    what: 'a model that it does not have',
    upstream: [404, error('The model does not exist', 'model_not_found')],
    status: 404,
    code: 'model_not_found',
    retry: 'false',
  },
  // The gateway's own credentials: never the client's 401.
  { what: '401', upstream: [401, error('no')], status: 502, code: 'upstream_auth_error', retry: 'false' },
  { what: '403', upstream: [403, error('no')], status: 502, code: 'upstream_auth_error', retry: 'false' },
  // What ends by waiting, and what does not.
  { what: '429', upstream: [429, error('slow down')], status: 429, code: 'rate_limit_exceeded', retry: null },
  {
    what: 'a quota that is used up',
    upstream: [429, error('You exceeded your quota', 'insufficient_quota')],
    status: 429,
    code: 'insufficient_quota',
    retry: 'false',
  },
  // Upstreams that are broken, overloaded or late.
  { what: '408', upstream: [408, ''], status: 504, code: 'upstream_error', retry: null },
  { what: '500', upstream: [500, ''], status: 502, code: 'upstream_error', retry: null },
  { what: '502', upstream: [502, '<html>'], status: 502, code: 'upstream_error', retry: null },
  { what: '503', upstream: [503, ''], status: 503, code: 'upstream_error', retry: null },
  { what: '504', upstream: [504, ''], status: 504, code: 'upstream_error', retry: null },
  { what: '524', upstream: [524, ''], status: 504, code: 'upstream_error', retry: null },
  { what: '529', upstream: [529, ''], status: 503, code: 'upstream_error', retry: null },
  { what: '499', upstream: [499, ''], status: 502, code: 'upstream_invalid_response', retry: null },
  { what: '404 of a path', upstream: [404, ''], status: 502, code: 'upstream_not_found', retry: 'false' },
  {
    what: 'a redirect',
    upstream: [302, '', { location: 'http://elsewhere.invalid/' }],
    status: 502,
    code: 'upstream_redirect',
    retry: 'false',
  },
  { what: 'HTML', upstream: [200, '<html>'], status: 502, code: 'upstream_invalid_response', retry: null },
  {
    what: 'an error in a 200',
    upstream: [200, error('busy', 'server_overloaded', 'overloaded_error')],
    status: 503,
    code: 'upstream_error',
    retry: null,
  },
  { what: 'nobody there', model: 'nobody', status: 502, code: 'upstream_unreachable', retry: null },
  { what: 'silence', model: 'silent', status: 504, code: 'upstream_timeout', retry: null },
  // Refused here.
  { what: 'no JSON', ask: () => post('{'), status: 400, code: 'invalid_json', retry: 'false' },
  { what: 'no model', ask: () => post('{}'), status: 400, code: 'missing_model', retry: 'false' },
  {
    what: 'a foreign key',
    ask: () => post('{}', { authorization: 'Bearer nope' }),
    status: 401,
    code: 'invalid_api_key',
    retry: 'false',
  },
  {
    what: 'an unknown model',
    ask: () => post('{"model":"unknown"}'),
    status: 404,
    code: 'model_not_found',
    retry: 'false',
  },
  {
    what: 'an unknown path',
    ask: () => fetch(`${gateway.url}/nowhere`),
    status: 404,
    code: 'unknown_path',
    retry: 'false',
  },
  {
    what: 'a wrong method',
    ask: () => fetch(`${gateway.url}/v1/chat/completions`),
    status: 405,
    code: 'method_not_allowed',
    retry: 'false',
  },
  {
    what: 'a denied path',
    ask: () => fetch(`${gateway.url}/v1/organization/users`, { headers: { 'api-key': KEY } }),
    status: 403,
    code: 'not_permitted',
    retry: 'false',
  },
  {
    what: 'a body that is too large',
    ask: () => post(' '.repeat(70_000)),
    status: 413,
    code: 'body_too_large',
    retry: 'false',
  },
];

let model: StandInModel;
let quiet: RawUpstream;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start({
    intercept: ({ body }, response) => answerAs(ROWS[Number(body.model)], response),
  });
  quiet = await RawUpstream.start(silent);
  gateway = await Gateway.start({
    dbtype: 'none',
    authorization: KEY,
    timeout: '200ms',
    limits: { body: '64KiB' },
    retry: { same_upstream: 0 },
    cool_down: { failures: 1_000 },
    upstreams: [
      {
        name: 'answering',
        endpoint: model.url,
        sk: 'upstream-key',
        pace: 'off',
        allow: ROWS.map((_, position) => `${position}`),
        timeout: '10s',
      },
      { name: 'silent', endpoint: quiet.url, sk: 'upstream-key', allow: ['silent'] },
      { name: 'nobody', endpoint: await refusingUrl(), sk: 'upstream-key', allow: ['nobody'] },
    ],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
  await quiet.close();
});

function answerAs(row: Row | undefined, response: ServerResponse): boolean {
  const [status = 500, body = '', headers = {}] = row?.upstream ?? [];
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
  return true;
}

function post(body: string, headers: Record<string, string> = { authorization: `Bearer ${KEY}` }) {
  return gateway.post('/v1/chat/completions', body, { headers });
}

for (const [position, row] of ROWS.entries()) {
  const retry = row.retry === null ? 'by its status' : row.retry;
  test(`S83 S87 status, code and retry: ${row.what} is ${row.status} ${row.code ?? ''}, retry ${retry}`, async () => {
    const named = row.model ?? String(position);
    for (const stream of row.ask === undefined ? [false, true] : [false]) {
      const body = { model: named, stream, messages: [{ role: 'user', content: 'hello' }] };
      const response = await (row.ask?.(named) ?? post(JSON.stringify(body)));
      const text = await response.text();
      assert.equal(response.status, row.status, text);
      assert.equal(errorIn(text).code, row.code);
      assert.equal(response.headers.get('x-should-retry'), row.retry);
      const waits = response.headers.get('retry-after');
      if (row.status === 429 || row.status === 503) assert.match(waits ?? '', /^[1-9]\d?$/);
      else assert.equal(waits, null);
    }
  });
}

test('S24 limits of the upstream are passed on, and none is made up', async () => {
  const limits = {
    'x-ratelimit-limit-requests': '60',
    'x-ratelimit-remaining-requests': '59',
    'openai-processing-ms': '12',
  };
  const body = '{"model":"m","messages":[]}';
  for (const [given, path] of [
    [{}, '/v1/chat/completions'],
    [limits, '/v1/chat/completions'],
    [{}, '/v1/moderations'],
    [limits, '/v1/moderations'],
  ] as const) {
    await using raw = await RawUpstream.start(
      answering(
        httpAnswer(
          '{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}',
          { headers: given },
        ),
      ),
    );
    await using own = await Gateway.start({
      dbtype: 'none',
      upstreams: [{ name: 'raw', endpoint: raw.url, sk: 'upstream-key' }],
    });
    const response = await own.post(path, body);
    assert.equal(response.status, 200, await response.text());
    const told = [...response.headers].filter(([name]) => /^(?:x-ratelimit-|openai-)/.test(name));
    assert.deepEqual(Object.fromEntries(told), given);
  }
});

test('S24 limits of the upstream are sent with a stream and with embeddings, its other headers and invalid values are not', async () => {
  const given = {
    'x-ratelimit-remaining-tokens': '900',
    'openai-version': 'caf\u00e9',
    'set-cookie': 'a=b',
    'x-internal-host': 'db1',
  };
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      for (const [name, value] of Object.entries(given)) response.setHeader(name, value);
      return false;
    },
  });
  await using own = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'model', endpoint: model.url, sk: 'upstream-key' }],
  });
  for (const [path, body] of [
    ['/v1/chat/completions', { model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }] }],
    ['/v1/embeddings', { model: 'm', input: 'hi' }],
    ['/v1/completions', { model: 'm', prompt: 'hi' }],
  ] as const) {
    const response = await own.post(path, body);
    assert.equal(response.status, 200, await response.text());
    assert.equal(response.headers.get('x-ratelimit-remaining-tokens'), '900', path);
    for (const name of ['openai-version', 'set-cookie', 'x-internal-host'])
      assert.equal(response.headers.get(name), null, name);
  }
});
