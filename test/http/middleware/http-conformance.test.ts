import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway, until } from '../../helpers/gateway.ts';
import { exchangeRaw, RawClient } from '../../helpers/raw-client.ts';

let gateway: Gateway;

before(async () => {
  gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: 'http://127.0.0.1:1/v1', sk: 'upstream-key' }],
  });
});

after(() => gateway.close());

test('S81 HTTP/1.1 without a Host is refused in JSON', async () => {
  for (const path of ['/v1/models', '/livez', '/nowhere']) {
    const answer = await exchangeRaw(gateway.port, `GET ${path} HTTP/1.1\r\nAccept: */*\r\n\r\n`);
    assert.equal(answer.status, 400, answer.text);
    assert.equal(errorIn(answer.body).code, 'invalid_request');
    assert.ok(answer.headers['x-request-id']);
  }
});

test('HTTP/1.0 needs no Host', async () => {
  const answer = await exchangeRaw(gateway.port, 'GET /livez HTTP/1.0\r\n\r\n');
  assert.equal(answer.status, 200, answer.text);
});

test('a request line without a version, and that of HTTP/2, are refused', async () => {
  for (const version of ['', ' HTTP/2.0', ' HTTP/0.9', ' HTTP/1.2', ' HTTP/3.0']) {
    const bytes = `POST /v1/chat/completions${version}\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}`;
    const answer = await exchangeRaw(gateway.port, bytes);
    assert.equal(answer.status, 400, `${version}: ${answer.text}`);
    assert.doesNotMatch(errorIn(answer.body).message, /model/, version);
  }
});

test('a transfer coding before chunked is refused', async () => {
  for (const coding of ['gzip, chunked', 'xchunked\r\nTransfer-Encoding: chunked', 'chunked, chunked']) {
    const bytes = `POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: ${coding}\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
    const answer = await exchangeRaw(gateway.port, bytes);
    assert.equal(answer.status, 400, `${coding}: ${answer.text}`);
    assert.equal(errorIn(answer.body).code, 'invalid_request');
  }
});

test('CONNECT is refused in JSON, and its connection closed', async () => {
  const client = await RawClient.connect(gateway.port);
  client.send(
    'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\nGET /livez HTTP/1.1\r\n\r\n',
  );
  const answer = await client.answer();
  assert.equal(answer.status, 405);
  assert.equal(errorIn(answer.body).code, 'method_not_allowed');
  assert.match(answer.headers.allow ?? '', /GET, POST/);
  assert.ok(answer.headers['x-request-id']);
  await until(() => client.isClosed, 'the end of the connection');
  assert.equal(client.received, '');
});

test('the record of a refused target has only its path: the rest may contain a key', async () => {
  await using own = await Gateway.start({
    upstreams: [{ name: 'one', endpoint: 'http://127.0.0.1:1/v1', sk: 'upstream-key' }],
  });
  for (const target of ['/v1/../files?api_key=secret-a', 'http://user:secret-b@x/v1/../files#secret-c']) {
    const answer = await exchangeRaw(own.port, `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    assert.equal(answer.status, 400);
  }
  await until(() => own.rows().length === 2, 'both records');
  for (const { path } of own.rows()) assert.equal(path, '/v1/../files');
  await own.end();
  assert.doesNotMatch(own.log, /secret-/);
});
