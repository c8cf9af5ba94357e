import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { exchangeRaw, RawClient, rawPost } from '../helpers/raw-client.ts';
import { answering, RawUpstream } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const CHAT = '{"model":"m","messages":[{"role":"user","content":"hello"}]}';
const TOKEN = 'upstream-key-adversarial';

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [
      {
        name: 'one',
        endpoint: model.url,
        sk: TOKEN,
        allow: ['m', '/v1/files/**', '/v1/echo'],
        query: { 'api-version': '7' },
      },
      { name: 'kept', endpoint: model.url, sk: TOKEN, allow: ['kept'], keep_header: true },
    ],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

/** Refused with a 4xx before any upstream hears of it. */
async function isRefused(bytes: string | Uint8Array, what = String(bytes)): Promise<void> {
  const before = model.received.length;
  const answer = await exchangeRaw(gateway.port, bytes);
  assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status}`);
  errorIn(answer.body);
  assert.equal(model.received.length, before, `${what}: the upstream was asked`);
}

test('ambiguous request lengths are refused: Content-Length with Transfer-Encoding, two lengths, invalid codings', async () => {
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
  await isRefused(
    `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`,
  );
  await isRefused(`${head}Content-Length: 5\r\nContent-Length: 60\r\n\r\n${CHAT}`);
  await isRefused(`${head}Transfer-Encoding: xchunked\r\n\r\n${CHAT}`);
  await isRefused(`${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`);
  await isRefused(`${head}Content-Length: +60\r\n\r\n${CHAT}`);
  await isRefused(`${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`);
});

test('line breaks and NUL in header values and bare LF are refused', async () => {
  for (const field of ['X-A: b\rX-B: c', 'X-A: b\u0000c', 'X-A\u0000: b', ' X-Folded: a']) {
    await isRefused(rawPost('/v1/chat/completions', CHAT, [field]), JSON.stringify(field));
  }
});

test('control characters in a forwarded header cannot make an upstream look dead', async () => {
  for (const value of ['application/json\u0001', 'application/json\u007f', 'application/json; a="\u00e9"']) {
    const answer = await exchangeRaw(
      gateway.port,
      rawPost('/v1/chat/completions', CHAT).replace(
        'Content-Type: application/json',
        `Content-Type: ${value}`,
      ),
    );
    assert.ok(answer.status === 200 || answer.status === 400, `${JSON.stringify(value)}: ${answer.text}`);
  }
  assert.deepEqual((await gateway.readiness()).degraded, []);
});

test('paths with dot segments, in every encoding, reach no upstream', async () => {
  for (const path of [
    '/v1/files/../../admin',
    '/v1/files/..%2f..%2fadmin',
    '/v1/files/%2e%2e/%2e%2e/admin',
    '/v1/files/.%2e/secret',
    '/v1/files/..%2f..%2forganization',
    '/v1/files/..;/..;/organization',
    '/v1/files/..%3b/organization',
    '/v1/files/%2e%2e;x=1/organization',
    '/v1/../admin',
    '/v1/%2e%2e/admin',
    '/v1/%2E%2E%2Fadmin',
    '/v1/..%5cadmin',
    '/..',
    '/v1/files/.',
    '/v1/files/..\\..\\admin',
    '/v1/files/%5c..%5cadmin',
    '/v1/files/a%00b',
    '/v1/files/a%0d%0aX-Injected:%20yes',
    '/v1/../../etc/passwd',
    '/v1/./files',
  ]) {
    await isRefused(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  }
});

test('an absolute-form target is only its path: the request goes to the configured upstream', async () => {
  const answer = await exchangeRaw(gateway.port, rawPost('http://evil.example/v1/chat/completions', CHAT));
  assert.equal(answer.status, 200);
  const received = model.received.at(-1);
  assert.equal(received?.path, '/v1/chat/completions?api-version=7');
  assert.equal(received?.headers.host, `127.0.0.1:${model.port}`);
});

test('TRACE and CONNECT never reach an upstream', async () => {
  const before = model.received.length;
  const trace = await exchangeRaw(gateway.port, 'TRACE /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  assert.equal(trace.status, 405, trace.text);
  const client = await RawClient.connect(gateway.port);
  client.send('CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.doesNotMatch(client.received, /^HTTP\/1\.1 2/);
  client.close();
  assert.equal(model.received.length, before);
});

test('a query of the client cannot override the configured one', async () => {
  await exchangeRaw(gateway.port, rawPost('/v1/chat/completions?api-version=1&x=2', CHAT));
  const query = new URLSearchParams(model.received.at(-1)?.path.split('?')[1]);
  assert.deepEqual(query.getAll('api-version'), ['7']);
  assert.equal(query.get('x'), '2');
});

test('the upstream gets content-type, accept, openai-beta and its own credentials, and nothing else of the client', async () => {
  await exchangeRaw(
    gateway.port,
    rawPost('/v1/chat/completions', CHAT, [
      'Accept: application/json',
      'OpenAI-Beta: assistants=v2',
      'Authorization: Bearer client-secret',
      'Cookie: session=1',
      'X-Forwarded-For: 10.0.0.1',
      'X-Stainless-Os: Linux',
      'User-Agent: me',
      'Connection: keep-alive, X-Hop',
      'X-Hop: 1',
      'TE: trailers',
      'Upgrade: h2c',
    ]),
  );
  const { headers } = model.received.at(-1) ?? {};
  assert.deepEqual(Object.keys(headers ?? {}).sort(), [
    'accept',
    'authorization',
    'connection',
    'content-length',
    'content-type',
    'host',
    'openai-beta',
  ]);
  assert.equal(headers?.authorization, `Bearer ${TOKEN}`);
});

test('keep_header passes on all headers except those of the connection, the client and proxies', async () => {
  await exchangeRaw(
    gateway.port,
    rawPost('/v1/chat/completions', CHAT.replace('"m"', '"kept"'), [
      'X-Custom: yes',
      'Cookie: session=1',
      'X-Api-Key: client-secret',
      'X-Forwarded-For: 10.0.0.1',
      'Via: 1.1 proxy',
      'Connection: keep-alive, X-Hop',
      'X-Hop: 1',
      'Proxy-Authorization: Basic x',
    ]),
  );
  const { headers = {} } = model.received.at(-1) ?? {};
  assert.equal(headers['x-custom'], 'yes');
  for (const name of ['cookie', 'x-api-key', 'x-forwarded-for', 'via', 'x-hop', 'proxy-authorization']) {
    assert.equal(headers[name], undefined, name);
  }
});

test('the client gets content-type, content-disposition, x-ratelimit-* and openai-*, never cookies or challenges', async () => {
  const head =
    'HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-disposition: attachment\r\nx-ratelimit-remaining-requests: 3\r\nopenai-version: 2020\r\nset-cookie: a=b\r\nwww-authenticate: Basic\r\nserver: internal-7\r\nx-internal-host: db1\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok';
  await using raw = await RawUpstream.start(answering(head));
  await using own = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'raw', endpoint: raw.url, sk: TOKEN }],
  });
  const response = await fetch(`${own.url}/v1/files/f/content`);
  assert.equal(await response.text(), 'ok');
  assert.equal(response.headers.get('content-type'), 'text/csv');
  assert.equal(response.headers.get('content-disposition'), 'attachment');
  assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '3');
  assert.equal(response.headers.get('openai-version'), '2020');
  for (const name of ['set-cookie', 'www-authenticate', 'server', 'x-internal-host']) {
    assert.equal(response.headers.get(name), null, name);
  }
});

test('keys that could pollute prototypes are data: they reach the upstream unchanged, and nothing else changes', async () => {
  for (const body of [
    '{"__proto__":{"stream":true,"model":"x"},"model":"m","messages":[]}',
    '{"constructor":{"prototype":{"polluted":1}},"model":"m","messages":[]}',
  ]) {
    const answer = await exchangeRaw(gateway.port, rawPost('/v1/chat/completions', body));
    assert.equal(answer.status, 200, answer.body);
    assert.equal(model.received.at(-1)?.text, body);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  }
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const answer = await exchangeRaw(
      gateway.port,
      rawPost('/v1/chat/completions', `{"model":"${name}","messages":[]}`),
    );
    assert.equal(answer.status, 404, name);
  }
});

test('deep JSON, a model given twice and invalid UTF-8 are refused', async () => {
  const deep = `{"model":"m","messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  await isRefused(rawPost('/v1/chat/completions', deep), 'deep');
  await isRefused(rawPost('/v1/chat/completions', '{"model":"m","model":"forbidden","messages":[]}'));
  await isRefused(rawPost('/v1/chat/completions', '{"model":"m","\\u006dodel":"forbidden","messages":[]}'));
  await isRefused(
    rawPost('/v1/chat/completions', '{"model":"m","user":"\u00ff\u00fe","messages":[]}'),
    'latin1',
  );
  await isRefused(rawPost('/v1/embeddings', '{"model":"m","input":"\u00c0\u00af"}'), 'overlong UTF-8');
});

test('a key that an upstream could parse as model is refused: Go treats Model and MODEL as the same', async () => {
  for (const key of ['Model', 'MODEL', 'mOdel', '\\u004dodel']) {
    await isRefused(rawPost('/v1/chat/completions', `{"model":"m","${key}":"forbidden","messages":[]}`));
    await isRefused(rawPost('/v1/embeddings', `{"${key}":"forbidden","model":"m","input":"a"}`));
    await isRefused(rawPost('/v1/echo', `{"${key}":"forbidden","model":"m"}`));
    await isRefused(rawPost('/v1/echo', `{"model":"m","${key}":"forbidden"}`));
  }
});

test('lone surrogates in a body are data: the upstream gets them unchanged', async () => {
  for (const [path, body] of [
    ['/v1/chat/completions', '{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}'],
    ['/v1/embeddings', '{"model":"m","input":["\\ude00","a"],"encoding_format":"float"}'],
    ['/v1/completions', '{"model":"m","prompt":"\\ud800\\ud800"}'],
  ] as const) {
    const answer = await exchangeRaw(gateway.port, rawPost(path, body));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(model.received.at(-1)?.text, body);
  }
  await isRefused(rawPost('/v1/chat/completions', '{"model":"m","user":"\u00ed\u00a0\u0080"}'), 'CESU-8');
});

test('a byte order mark is taken off, other encodings are refused', async () => {
  const marked = rawPost('/v1/chat/completions', `\u00ef\u00bb\u00bf${CHAT}`);
  assert.equal((await exchangeRaw(gateway.port, marked)).status, 200);
  assert.equal(model.received.at(-1)?.text, CHAT);
  for (const encoding of ['utf16le', 'latin1'] as const) {
    const body = Buffer.from(CHAT.replace('hello', 'h\u00e9llo'), encoding);
    const head = rawPost('/v1/chat/completions', ' '.repeat(body.length)).slice(0, -body.length);
    await isRefused(Buffer.concat([Buffer.from(head), body]), encoding);
  }
});

test('deep JSON, wide JSON and endless numbers are refused quickly, on every path that parses them', async () => {
  const startedMs = performance.now();
  for (const path of [
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/embeddings',
    '/v1/rerank',
    '/v1/files',
  ]) {
    for (const body of [
      `{"model":"m","input":${'['.repeat(100_000)}`,
      `{"model":"m","input":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
      `{"model":"none","seed":${'9'.repeat(100_000)}}`,
      `{"model":"${'m'.repeat(100_000)}","messages":[]}`,
      `{${'"a":1,'.repeat(20_000)}"model":"none"}`,
    ]) {
      const answer = await exchangeRaw(gateway.port, rawPost(path, body));
      assert.ok(answer.status < 500, `${path} ${body.slice(0, 40)}: ${answer.text.slice(0, 400)}`);
      assert.ok(answer.body.length < 2_000, 'and are not repeated');
    }
  }
  assert.ok(performance.now() - startedMs < 10_000);
});

test('the name of a model is one segment of a path template, or the request is refused', async () => {
  await using own = await Gateway.start({
    dbtype: 'none',
    upstreams: [
      {
        name: 'azure',
        endpoint: model.url,
        sk: TOKEN,
        paths: { chat: '/deployments/{model}/chat/completions' },
      },
    ],
  });
  const ask = (name: string) =>
    exchangeRaw(own.port, rawPost('/v1/chat/completions', `{"model":"${name}","messages":[]}`));
  for (const name of ['.', '..', '\\ud800', 'a\\udc00b']) {
    const before = model.received.length;
    const answer = await ask(name);
    assert.equal(answer.status, 400, `${name}: ${answer.text}`);
    assert.equal(errorIn(answer.body).param, 'model');
    assert.equal(model.received.length, before);
  }
  for (const [name, segment] of [
    ['a/b', 'a%2Fb'],
    ['../x', '..%2Fx'],
    ['a?b=c#d', 'a%3Fb%3Dc%23d'],
    ['a\\r\\nX: y', 'a%0D%0AX%3A%20y'],
    ['..a', '..a'],
  ] as const) {
    assert.equal((await ask(name)).status, 200, name);
    assert.equal(model.received.at(-1)?.path, `/deployments/${segment}/chat/completions`);
  }
  assert.deepEqual((await own.readiness()).degraded, []);
});

test('compressed JSON is decoded on passed-through paths, and does not hide its model', async () => {
  const packed = gzipSync(CHAT).toString('latin1');
  const fields = ['Content-Encoding: gzip'];
  const answer = await exchangeRaw(gateway.port, rawPost('/v1/echo', packed, fields));
  assert.equal(answer.status, 404, 'the model knows no such path');
  assert.equal(model.received.at(-1)?.headers['content-encoding'], undefined);
  assert.equal(model.received.at(-1)?.text, CHAT);
});

test('pipelined requests are answered in order, each its own', async () => {
  const client = await RawClient.connect(gateway.port);
  client.send(
    rawPost('/v1/chat/completions', CHAT) +
      rawPost('/nowhere', '{}') +
      rawPost('/v1/embeddings', '{"model":"m","input":"a"}'),
  );
  assert.equal((await client.answer()).status, 200);
  assert.equal((await client.answer()).status, 404);
  assert.match((await client.answer()).body, /embedding/);
  client.close();
});

test('headers beyond limits.header_bytes are a 431 in JSON', async () => {
  const answer = await exchangeRaw(
    gateway.port,
    rawPost('/v1/chat/completions', CHAT, [`X-Big: ${'x'.repeat(70_000)}`]),
  );
  assert.equal(answer.status, 431);
  assert.equal(errorIn(answer.body).code, 'headers_too_large');
});

test('no other spelling of a path evades pass_through.deny', async () => {
  await using own = await Gateway.start({
    dbtype: 'none',
    pass_through: { deny: ['/v1/organization/**'] },
    upstreams: [{ name: 'one', endpoint: model.url, sk: TOKEN }],
  });
  const before = model.received.length;
  for (const path of [
    '/v1/organization/users',
    '/v1/%6frganization/users',
    '/v1/organi%7Aation/users',
    '/%76%31/organization/users',
    '/v1/ORGANIZATION/users',
    '/v1//organization//users/',
    '/v1/organization/users?x=/v1/models',
    '/v1/organization/',
    '/v1/organization',
  ]) {
    const answer = await exchangeRaw(own.port, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    assert.equal(answer.status, 403, `${path}: ${answer.status}`);
  }
  for (const path of [
    '/v1/organization%2Fusers',
    '/v1%2Forganization/users',
    '/v1/organization;x=1/users',
    '/v1/organization%3bx/users',
  ]) {
    const answer = await exchangeRaw(own.port, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    assert.ok(answer.status === 400 || answer.status === 404, `${path}: ${answer.text}`);
  }
  assert.equal(model.received.length, before);
});
