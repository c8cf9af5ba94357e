import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { exchangeRaw, RawClient, rawPost } from '../helpers/raw-client.ts';
import { httpAnswer, RawUpstream } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const CHAT = '{"model":"m","messages":[{"role":"user","content":"hello"}]}';
const REPLY =
  '{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}';

/** Every byte that reached the upstream since the test began. */
let arrived = '';
let upstream: RawUpstream;
let gateway: Gateway;

before(async () => {
  upstream = await RawUpstream.start((connection) => {
    let unanswered = '';
    connection.socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      arrived += text;
      unanswered += text;
      if (!isWhole(unanswered)) return;
      unanswered = '';
      void connection.write(httpAnswer(REPLY)).catch(() => undefined);
    });
  });
  gateway = await Gateway.start({
    dbtype: 'none',
    limits: { replay: 10 },
    upstreams: [
      { name: 'one', endpoint: upstream.url, sk: 'upstream-key', allow: ['m', '/v1/files', '/v1/echo'] },
    ],
  });
});

beforeEach(() => {
  arrived = '';
});

after(async () => {
  await gateway.close();
  await upstream.close();
});

/** A request by its content-length, or by the last chunk of a chunked one. */
function isWhole(text: string): boolean {
  const headEnd = text.indexOf('\r\n\r\n') + 4;
  if (headEnd < 4) return false;
  if (/^transfer-encoding: chunked\r$/im.test(text.slice(0, headEnd))) return text.endsWith('\r\n0\r\n\r\n');
  const length = Number(/^content-length: (\d+)\r$/im.exec(text.slice(0, headEnd))?.[1] ?? 0);
  return text.length >= headEnd + length;
}

/** The bodies of the requests that arrived, un-chunked: a parser that trusts nobody but RFC 9112. */
function requestsIn(text: string): { head: string; body: string }[] {
  const requests: { head: string; body: string }[] = [];
  for (let rest = text; rest !== ''; ) {
    const headEnd = rest.indexOf('\r\n\r\n') + 4;
    assert.ok(headEnd > 3, `not a head: ${JSON.stringify(rest)}`);
    const head = rest.slice(0, headEnd);
    const lengths = head.match(/^content-length: \d+\r$/gim) ?? [];
    const codings = head.match(/^transfer-encoding: .*\r$/gim) ?? [];
    assert.ok(lengths.length + codings.length <= 1, head);
    if (codings.length === 0) {
      const length = Number(/\d+/.exec(lengths[0] ?? '0')?.[0]);
      requests.push({ head, body: rest.slice(headEnd, headEnd + length) });
      rest = rest.slice(headEnd + length);
      continue;
    }
    let body = '';
    let at = headEnd;
    for (;;) {
      const lineEnd = rest.indexOf('\r\n', at);
      const size = Number.parseInt(rest.slice(at, lineEnd), 16);
      body += rest.slice(lineEnd + 2, lineEnd + 2 + size);
      at = lineEnd + 2 + size + 2;
      if (size === 0) break;
    }
    requests.push({ head, body });
    rest = rest.slice(at);
  }
  return requests;
}

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
const CHUNKED = `${CHAT.length.toString(16)}\r\n${CHAT}\r\n0\r\n\r\n`;

/** Whatever is not one plain way of saying where the body ends. */
const AMBIGUOUS: readonly [what: string, fields: readonly string[], body: string][] = [
  ['length before chunked', ['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${SMUGGLED}`],
  ['chunked before length', ['Transfer-Encoding: chunked', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['an unknown coding', ['Transfer-Encoding: xchunked'], CHUNKED],
  ['a coding behind chunked', ['Transfer-Encoding: chunked, identity'], CHUNKED],
  ['a coding on a second line', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], CHUNKED],
  ['a coding in quotes', ['Transfer-Encoding: "chunked"'], CHUNKED],
  ['white space before the colon', ['Transfer-Encoding : chunked'], CHUNKED],
  ['a coding on a folded line', ['Transfer-Encoding:\r\n chunked'], CHUNKED],
  ['two lengths', ['Content-Length: 5', `Content-Length: ${CHAT.length}`], CHAT],
  ['one length twice', [`Content-Length: ${CHAT.length}`, `Content-Length: ${CHAT.length}`], CHAT],
  ['a list of lengths', [`Content-Length: ${CHAT.length}, ${CHAT.length}`], CHAT],
  ['a length with a sign', [`Content-Length: +${CHAT.length}`], CHAT],
  ['a negative length', ['Content-Length: -1'], CHAT],
  ['a length with a space', ['Content-Length: 6 1'], CHAT],
  ['a hexadecimal length', ['Content-Length: 0x3d'], CHAT],
  ['a length beyond all numbers', ['Content-Length: 99999999999999999999999'], CHAT],
  ['a chunk size with a prefix', ['Transfer-Encoding: chunked'], `0x${CHUNKED}`],
  ['a chunk size with a sign', ['Transfer-Encoding: chunked'], `+${CHUNKED}`],
  ['a chunk size beyond all numbers', ['Transfer-Encoding: chunked'], `FFFFFFFFFFFFFFFFF${CHUNKED}`],
  ['bare line feeds around chunks', ['Transfer-Encoding: chunked'], CHUNKED.replaceAll('\r\n', '\n')],
  ['bytes behind a chunk', ['Transfer-Encoding: chunked'], CHUNKED.replace('\r\n0', 'x\r\n0')],
];

for (const path of ['/v1/chat/completions', '/v1/files']) {
  for (const [what, fields, body] of AMBIGUOUS) {
    test(`${what} on ${path} is refused, and nothing of it is parsed as another request`, async () => {
      const head = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Content-Type: application/json', ...fields];
      const client = await RawClient.connect(gateway.port);
      client.send(`${head.join('\r\n')}\r\n\r\n${body}`);
      const answer = await client.answer();
      assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
      errorIn(answer.body);
      client.send(SMUGGLED);
      await until(() => client.isClosed, 'the end of the connection', 10_000);
      assert.equal(client.received, '', 'no second answer');
      assert.equal(arrived, '');
    });
  }
}

test('line feeds alone do not end a head', async () => {
  const answer = await exchangeRaw(
    gateway.port,
    rawPost('/v1/chat/completions', CHAT).replaceAll('\r\n', '\n'),
  );
  assert.equal(answer.status, 400, answer.text);
  assert.equal(arrived, '');
});

for (const [type, body] of [
  ['application/json', `["\\r\\n0",\r\n0\r\n\r\n,${JSON.stringify(SMUGGLED)}]`],
  ['application/octet-stream', `{"a":"\\r\\n0"}\r\n0\r\n\r\n${SMUGGLED}`],
] as const) {
  test(`a chunked body of ${type} that looks like requests stays one body`, async () => {
    const pieces = [body.slice(0, 20), body.slice(20)];
    const chunks = pieces.map((piece) => `${piece.length.toString(16)};name="v"\r\n${piece}\r\n`).join('');
    const answer = await exchangeRaw(
      gateway.port,
      `POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
    );
    assert.equal(answer.status, 200, answer.text);
    const requests = requestsIn(arrived);
    assert.deepEqual(
      requests.map((one) => one.body),
      [body],
    );
    assert.match(requests[0]?.head ?? '', /^POST \/v1\/files HTTP\/1\.1\r\n/);
    assert.doesNotMatch(requests[0]?.head ?? '', /name=/);
  });
}

for (const [path, type] of [
  ['/v1/chat/completions', 'application/json'],
  ['/v1/files', 'application/octet-stream'],
] as const) {
  const withTrailers = (trailers: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nTrailer: X-Trailer\r\nTransfer-Encoding: chunked\r\n\r\n${CHAT.length.toString(16)}\r\n${CHAT}\r\n0\r\n${trailers}\r\n`;

  test(`trailers on ${path} are ignored: none becomes a header or a credential`, async () => {
    const trailers = 'Authorization: Bearer stolen\r\nX-Trailer: yes\r\nHost: evil\r\nX-Api-Key: stolen\r\n';
    const answer = await exchangeRaw(gateway.port, withTrailers(trailers));
    assert.equal(answer.status, 200, answer.text);
    const requests = requestsIn(arrived);
    assert.equal(requests.length, 1);
    assert.equal(requests[0]?.body, CHAT);
    assert.doesNotMatch(requests[0]?.head ?? '', /stolen|trailer|evil/i);
  });

  test(`a content-length in the trailers on ${path} is refused, and completes no request`, async () => {
    const answer = await exchangeRaw(gateway.port, withTrailers('Content-Length: 5\r\n'));
    assert.equal(answer.status, 400, answer.text);
    assert.equal(isWhole(arrived), false);
  });
}

test('an offer of HTTP/2 is ignored and not forwarded', async () => {
  arrived = '';
  const client = await RawClient.connect(gateway.port);
  const offer = [
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
  ];
  for (const more of [offer, []]) {
    client.send(rawPost('/v1/chat/completions', CHAT, more));
    assert.equal((await client.answer()).status, 200);
  }
  assert.equal(requestsIn(arrived).length, 2);
  assert.doesNotMatch(arrived, /upgrade|http2/i);
  client.close();
});

for (const [what, fields] of [
  [
    'a WebSocket',
    ['Connection: keep-alive, Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='],
  ],
  ['a WebSocket whose upgrade a proxy removed', ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']],
  ['another protocol', ['Connection: upgrade', 'Upgrade: h2c, spdy/3']],
] as const) {
  test(`a request for ${what} is a 426 in JSON on every path, and reaches no upstream`, async () => {
    arrived = '';
    for (const target of [
      '/v1/realtime?model=m',
      '/v1/responses',
      '/v1/chat/completions',
      '/v1/files',
      '/nowhere',
    ]) {
      for (const method of ['GET', 'POST']) {
        const client = await RawClient.connect(gateway.port);
        const head = [
          `${method} ${target} HTTP/1.1`,
          'Host: 127.0.0.1',
          'Authorization: Bearer secret',
          ...fields,
        ];
        const next = rawPost('/v1/chat/completions', CHAT);
        client.send(`${head.join('\r\n')}\r\n\r\n\x81\x05hello${next}`);
        const answer = await client.answer();
        assert.equal(answer.status, 426, answer.text);
        assert.deepEqual(
          [errorIn(answer.body).code, errorIn(answer.body).type],
          ['upgrade_not_supported', 'invalid_request_error'],
        );
        assert.match(answer.headers.upgrade ?? '', /HTTP\/1\.1/);
        assert.ok(answer.headers['x-request-id']);
        await until(() => client.isClosed, 'the end of the connection');
        assert.doesNotMatch(client.received, /HTTP\/1\.1 2/);
      }
    }
    assert.equal(arrived, '');
  });
}

test('targets of other forms reach no upstream: authority, asterisk, other schemes', async () => {
  for (const line of [
    'GET evil.example:443 HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'GET * HTTP/1.1',
    'GET ftp://evil.example/v1/files HTTP/1.1',
    'GET //evil.example HTTP/1.1',
    'GET http://evil.example HTTP/1.1',
    'GET @evil.example/v1/echo HTTP/1.1',
    'CONNECT evil.example:443 HTTP/1.1',
    'CONNECT /v1/echo HTTP/1.1',
  ]) {
    const client = await RawClient.connect(gateway.port);
    client.send(`${line}\r\nHost: 127.0.0.1\r\n\r\n`);
    await until(() => client.isClosed || client.received.includes('\r\n\r\n'), line, 10_000);
    assert.doesNotMatch(client.received, /^HTTP\/1\.1 [123]/, line);
    client.send(SMUGGLED);
    await sleep(10);
    client.close();
  }
  assert.equal(arrived, '');
});

test('an absolute target is only its path, with any host', async () => {
  for (const target of [
    'http://evil.example/v1/echo?a=1',
    'https://user:pass@evil.example:8/v1/echo?a=1',
    'HTTP://[::1]/v1/echo?a=1',
    '//v1/echo?a=1',
  ]) {
    arrived = '';
    const answer = await exchangeRaw(gateway.port, `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    assert.equal(answer.status, 200, `${target}: ${answer.text}`);
    assert.match(arrived, /^GET \/v1\/echo\?a=1 HTTP\/1\.1\r\n/);
    assert.doesNotMatch(arrived, /evil|pass/);
  }
});

test('keys of a query that could pollute prototypes are forwarded unchanged', async () => {
  const query = '__proto__[polluted]=1&constructor[prototype][polluted]=1&__proto__.polluted=1';
  const answer = await exchangeRaw(gateway.port, `GET /v1/echo?${query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  assert.equal(answer.status, 200);
  assert.ok(arrived.startsWith(`GET /v1/echo?${query} HTTP/1.1\r\n`), arrived);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('two hundred pipelined requests are two hundred requests', async () => {
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', CHAT).repeat(200));
  for (let count = 0; count < 200; count++) assert.equal((await client.answer()).status, 200);
  assert.equal(requestsIn(arrived).length, 200);
  client.close();
});

test('a flood of header fields is refused or read to its last field, never cut short', async () => {
  const filler = Array.from({ length: 900 }, (_, number) => `a${number}: b`);
  const many = await exchangeRaw(
    gateway.port,
    `POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\n${filler.join('\r\n')}\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello`,
  );
  assert.equal(many.status, 200, many.text);
  assert.deepEqual(
    requestsIn(arrived).map(({ body }) => body),
    ['hello'],
  );
  assert.match(arrived, /^content-type: text\/plain\r$/m);
  arrived = '';
  for (const count of [3_000, 9_000]) {
    const flood = Array.from({ length: count }, (_, number) => `a${number}: b`);
    const refused = await exchangeRaw(gateway.port, rawPost('/v1/chat/completions', CHAT, flood));
    assert.equal(refused.status, 431);
    assert.equal(errorIn(refused.body).code, 'headers_too_large');
  }
  const long = await exchangeRaw(
    gateway.port,
    `GET /v1/${'x'.repeat(100_000)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
  );
  assert.equal(long.status, 431);
  assert.equal(arrived, '');
});

test('a request without a Host, with two or with one that names no host is refused', async () => {
  for (const fields of [
    '',
    'Host: 127.0.0.1\r\nHost: evil.example\r\n',
    'Host: 127.0.0.1\r\nhOST: 127.0.0.1\r\n',
    'Host: a b\r\n',
    'Host: a/b\r\n',
    'Host: user@a\r\n',
    'Host: http://a\r\n',
    'Host: a\\b\r\n',
    'Host: a?b\r\n',
    'Host: a:port\r\n',
    'Host: [::1\r\n',
    'Host: a\xe4\r\n',
  ]) {
    const answer = await exchangeRaw(gateway.port, `GET /v1/echo HTTP/1.1\r\n${fields}\r\n`);
    assert.equal(answer.status, 400, fields);
    assert.equal(errorIn(answer.body).code, 'invalid_request');
  }
  assert.equal(arrived, '');
  for (const host of [
    '',
    'localhost',
    'my_service:8888',
    'A.example.',
    '[::1]:80',
    '[fe80::1%25eth0]',
    '10.0.0.1',
  ]) {
    const answer = await exchangeRaw(gateway.port, `GET /v1/echo HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    assert.notEqual(answer.status, 400, `${host}: ${answer.text}`);
  }
});

test('data after a malformed request reaches no upstream, also behind a running response', async () => {
  const ordinary = 'GET /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  const hidden = 'GET /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  for (const refused of [
    'POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'GET /v1/../files HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    'GET /v1/echo HTTP/1.1\r\n\r\n',
  ]) {
    for (const before of ['', ordinary]) {
      arrived = '';
      const client = await RawClient.connect(gateway.port);
      client.send(before + refused + hidden);
      if (before !== '') assert.equal((await client.answer()).status, 200);
      assert.equal((await client.answer()).status, 400);
      await until(() => client.isClosed, 'the end of the connection');
      assert.equal(client.received, '');
      // Whatever was sent upstream before is there when another request has been answered.
      assert.equal((await exchangeRaw(gateway.port, ordinary)).status, 200);
      assert.doesNotMatch(arrived, /files/, refused);
    }
  }
});

test('data that is not HTTP/1 is refused and its connection closed: HTTP/2, HTTP/9, TLS, noise', async () => {
  for (const bytes of [
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u0000\u0000\u0000\u0004\u0000',
    'GET /v1/echo HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n',
    'GET /v1/echo\r\n\r\n',
    'GET /v1/echo HTTPS/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    'get /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    'G\u0000T /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
    'SSH-2.0-OpenSSH_9.6\r\n',
    '\u0000'.repeat(100),
  ]) {
    const client = await RawClient.connect(gateway.port);
    client.send(bytes);
    const answer = await client.answer();
    assert.equal(answer.status, 400, JSON.stringify(bytes));
    assert.equal(answer.headers['x-should-retry'], 'false');
    errorIn(answer.body);
    await until(() => client.isClosed, 'the end of the connection', 10_000);
  }
  assert.equal(arrived, '');
});

test('HTTP/1.0 with a coding that it does not know ends its connection', async () => {
  const client = await RawClient.connect(gateway.port);
  client.send(
    `POST /v1/chat/completions HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}${SMUGGLED}`,
  );
  const answer = await client.answer();
  assert.equal(answer.status, 400, answer.text);
  assert.equal(answer.headers.connection, 'close');
  await until(() => client.isClosed, 'the end of the connection', 10_000);
  assert.equal(client.received, '', 'no second answer');
  assert.equal(arrived, '');
});

test('noise after a request does not change its response: it is complete, and then the connection ends', async () => {
  await using model = await StandInModel.start({
    reply: 'one two three four',
    wordDelayMs: 30,
    firstDelayMs: 30,
  });
  await using own = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m'] }],
  });
  for (const [body, begun, end] of [
    [CHAT.replace('{', '{"stream":true,'), 'HTTP/1.1 200', 'data: [DONE]\n\n\r\n0\r\n\r\n'],
    [CHAT.replace('{', '{"stream":true,'), '', 'data: [DONE]\n\n\r\n0\r\n\r\n'],
    [CHAT, '', '"completion_tokens":4,"total_tokens":5}}'],
  ] as const) {
    const client = await RawClient.connect(own.port);
    client.send(rawPost('/v1/chat/completions', body));
    await until(() => client.received.includes(begun), 'the answer has begun', 10_000);
    client.send('this is no HTTP\r\n\r\n');
    client.send(SMUGGLED);
    await until(() => client.isClosed, 'the end of the connection', 10_000);
    assert.equal(client.received.split('HTTP/1.1 ').length - 1, 1, client.received);
    assert.ok(client.received.endsWith(end), client.received.slice(-300));
  }
});
