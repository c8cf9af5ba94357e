import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { exchangeRaw } from '../helpers/raw-client.ts';

let gateway: Gateway;

before(async () => {
  gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: 'http://127.0.0.1:1/v1', sk: 'upstream-key' }],
  });
});

after(() => gateway.close());

test('S81 HTTP/1.1 without a Host is refused in JSON like every other mistake', async () => {
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

test('a request line without a version, and that of HTTP/2, are no requests', async () => {
  for (const version of ['', ' HTTP/2.0', ' HTTP/0.9', ' HTTP/1.2', ' HTTP/3.0']) {
    const bytes = `POST /v1/chat/completions${version}\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}`;
    const answer = await exchangeRaw(gateway.port, bytes);
    assert.equal(answer.status, 400, `${version}: ${answer.text}`);
    assert.doesNotMatch(errorIn(answer.body).message, /model/, version);
  }
});

test('a transfer coding before chunked, which nobody would decode, is refused', async () => {
  for (const coding of ['gzip, chunked', 'xchunked\r\nTransfer-Encoding: chunked', 'chunked, chunked']) {
    const bytes = `POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: ${coding}\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
    const answer = await exchangeRaw(gateway.port, bytes);
    assert.equal(answer.status, 400, `${coding}: ${answer.text}`);
    assert.equal(errorIn(answer.body).code, 'invalid_request');
  }
});
