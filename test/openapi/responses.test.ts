import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AgreeableUpstream } from '../fuzz/agreeable-upstream.ts';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { Gateway } from '../helpers/gateway.ts';
import { checkMessagesStream } from '../helpers/messages-checker.ts';
import { exchangeRaw } from '../helpers/raw-client.ts';
import { checkResponsesStream } from '../helpers/responses-checker.ts';
import { ApiDescription, type Operation, type Reply, readReply } from './api-description.ts';

const KEY = 'client-key-of-the-description';
const LIMITED = 'client-key-with-limits';
const BODY_LIMIT_BYTES = 4096;
const HEADER_LIMIT_BYTES = 8192;

const description = new ApiDescription();
let upstream: AgreeableUpstream;
let gateway: Gateway;

before(async () => {
  upstream = await AgreeableUpstream.start();
  gateway = await Gateway.start({
    authorization: KEY,
    clients: [{ name: 'limited', key: LIMITED, models: ['any'], rpm: 1 }],
    limits: { body: BODY_LIMIT_BYTES, header_bytes: HEADER_LIMIT_BYTES },
    dbtype: 'none',
    upstreams: [
      {
        name: 'agreeable',
        endpoint: upstream.url,
        sk: 'upstream-key',
        profile: { responses: 'via_chat', messages: 'via_chat' },
      },
    ],
  });
});

after(async () => {
  await gateway.close();
  await upstream.close();
});

/** Paths whose other methods are passed through. */
const OTHERS_PASS = ['/v1/models/{model}', '/v1/responses', '/v1/messages', '/v1/messages/count_tokens'];

const targetOf = ({ path }: Operation): string => path.replace('{model}', 'any');

function ask(operation: Operation, body?: unknown, key: string | null = KEY): Promise<Reply> {
  return readReply(
    fetch(`${gateway.url}${targetOf(operation)}`, {
      method: operation.method.toUpperCase(),
      headers: key === null ? {} : { authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }),
  );
}

/** Requests of the description itself; operations without a body have one request. */
function examplesOf({ requestBody }: Operation): unknown[] {
  if (requestBody === undefined) return [undefined];
  const examples = Object.values(requestBody.content['application/json']?.examples ?? {});
  assert.ok(examples.length > 0);
  return examples.map(({ value }) => value);
}

/** The admin API has its own tests (`test/admin`), which check it against the description as well. */
const OPERATIONS = description.operations.filter(({ path }) => !path.startsWith('/admin/'));

for (const operation of OPERATIONS) {
  const name = `${operation.method.toUpperCase()} ${operation.path}`;
  const isPost = operation.method === 'post';

  test(`S134 ${name} responds to its examples as openapi.yaml describes`, async () => {
    for (const body of examplesOf(operation)) {
      const reply = await ask(operation, body);
      assert.equal(reply.status, 200, reply.text);
      description.checkReply(operation, reply);
      const isStream = (body as { stream?: boolean } | undefined)?.stream === true;
      const type = isStream
        ? /^text\/event-stream/
        : operation.path.endsWith('metrics')
          ? /^text\/plain/
          : /json/;
      assert.match(reply.headers.get('content-type') ?? '', type);
      if (isStream) checkEvents(operation, reply.text, body);
    }
  });

  test(`${name} refuses another method as openapi.yaml describes`, async () => {
    if (OTHERS_PASS.includes(operation.path)) return;
    const method = isPost ? 'GET' : 'POST';
    const reply = await readReply(
      fetch(`${gateway.url}${operation.path}`, { method, headers: { authorization: `Bearer ${KEY}` } }),
    );
    assert.equal(reply.status, 405);
    description.checkReply(operation, reply);
  });

  test(`${name} responds to invalid HTTP, and to headers without end, as openapi.yaml describes`, async () => {
    const start = `${operation.method.toUpperCase()} ${targetOf(operation)} HTTP/1.1\r\nHost: 127.0.0.1\r\n`;
    for (const [field, status] of [
      ['X-A: b\u0000c', 400],
      [`X-A: ${'a'.repeat(HEADER_LIMIT_BYTES)}`, 431],
    ] as const) {
      const raw = await exchangeRaw(gateway.port, `${start}${field}\r\n\r\n`);
      assert.equal(raw.status, status);
      description.checkReply(operation, { status, headers: new Headers(raw.headers), text: raw.body });
    }
  });

  if (operation.security === undefined) {
    test(`${name} refuses a missing and a wrong key as openapi.yaml describes`, async () => {
      for (const key of [null, 'nobody']) {
        const reply = await ask(operation, examplesOf(operation)[0], key);
        assert.equal(reply.status, 401);
        description.checkReply(operation, reply);
      }
    });
  }

  if (isPost) {
    test(`${name} refuses wrong requests, models that a key may not use, and too many requests, as openapi.yaml describes`, async () => {
      const [example] = examplesOf(operation) as [object];
      for (const [body, status, key] of [
        ['{"model"', 400, KEY],
        ['[]', 400, KEY],
        [{ ...example, model: ' ' }, 400, KEY],
        [{ ...example, padding: 'x'.repeat(BODY_LIMIT_BYTES) }, 413, KEY],
        [{ ...example, model: 'other' }, 403, LIMITED],
        [{ ...example, model: 'any' }, 429, LIMITED],
      ] as const) {
        const reply = await ask(operation, body, key);
        // The first request of the limited client is used up by whichever operation comes first.
        if (status === 403) assert.ok([403, 429].includes(reply.status), reply.text);
        else assert.equal(reply.status, status, reply.text);
        description.checkReply(operation, reply);
      }
    });
  }
}

test('a model that is not listed is a 404 as openapi.yaml describes', async () => {
  const operation = description.operation('get', '/v1/models/{model}');
  const headers = { authorization: `Bearer ${KEY}` };
  const reply = await readReply(fetch(`${gateway.url}/v1/models/unknown`, { headers }));
  assert.equal(reply.status, 404);
  description.checkReply(operation, reply);
});

test('S6 the one method that is never passed through is a 405 with those that are', async () => {
  const raw = await exchangeRaw(
    gateway.port,
    `TRACE /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${KEY}\r\n\r\n`,
  );
  assert.equal(raw.status, 405);
  assert.equal(raw.headers.allow, 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS');
});

test('S15 S23 a preflight has an id as well', async () => {
  const reply = await readReply(fetch(`${gateway.url}/v1/models`, { method: 'OPTIONS' }));
  assert.equal(reply.status, 204);
  assert.match(reply.headers.get('x-request-id') ?? '', /^req_/);
});

test('an upstream that is down is a 502 as openapi.yaml describes', async () => {
  await using away = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'away', endpoint: 'http://127.0.0.1:1/v1', sk: 'upstream-key' }],
  });
  for (const operation of OPERATIONS.filter(({ method }) => method === 'post')) {
    const reply = await readReply(away.post(operation.path, examplesOf(operation)[0]));
    assert.equal(reply.status, 502, reply.text);
    description.checkReply(operation, reply);
  }
});

function checkEvents(operation: Operation, text: string, body: unknown): void {
  const { stream_options: options } = body as { stream_options?: { include_usage?: boolean } };
  const form = operation.path.includes('chat') ? 'chat' : 'completions';
  if (operation.path === '/v1/responses') checkResponsesStream(text);
  else if (operation.path === '/v1/messages') checkMessagesStream(text);
  else checkCanonicalStream(text, { form, includeUsage: options?.include_usage === true });
  description.checkEvents(operation, text);
}
