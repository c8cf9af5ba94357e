import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { fromBrokenBody, fromTransport } from '../../src/upstream/transport/transport-error.ts';

const HOST = 'llm-7.internal.example';

const failure = (code: string, cause?: unknown): Error =>
  Object.assign(new Error(`connect ${code} ${HOST}:443`, { cause }), { code });

/** A code, the kind that it means, and a word of the message. */
const CODES: readonly [code: string, kind: string, says: RegExp][] = [
  ['ECONNREFUSED', 'unreachable', /: connection refused \(ECONNREFUSED\)\. Check/],
  ['ENOTFOUND', 'unreachable', /: host name not found in DNS/],
  ['EAI_AGAIN', 'unreachable', /: DNS lookup failed/],
  ['EHOSTUNREACH', 'unreachable', /: no route to host/],
  ['ENETUNREACH', 'unreachable', /: network unreachable/],
  ['ECONNRESET', 'unreachable', /: connection reset before a response/],
  ['EPIPE', 'unreachable', /: connection closed before a response/],
  ['UND_ERR_SOCKET', 'unreachable', /: connection closed before a response/],
  ['UND_ERR_CONNECT_TIMEOUT', 'unreachable', /: connect timeout/],
  ['ETIMEDOUT', 'unreachable', /: connect timeout/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'unreachable', /TLS/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'unreachable', /: no TLS/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'unreachable', /TLS/],
  ['CERT_HAS_EXPIRED', 'unreachable', /: TLS certificate expired/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unreachable', /TLS/],
  ['E_SOMETHING_NEW', 'unreachable', /: not reachable/],
  ['HPE_INVALID_CONSTANT', 'invalid_response', /: invalid HTTP response/],
  ['UND_ERR_HEADERS_OVERFLOW', 'invalid_response', /: response headers too large/],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'invalid_response', /: invalid HTTP response/],
];

/** The message says what to look at, the host is for the log only. */
function check(error: FerryError, kind: string, says: RegExp): void {
  assert.equal(error.kind, kind);
  assert.match(error.message, says);
  assert.match(error.message, /^Upstream "chat"/);
  assert.doesNotMatch(error.message, new RegExp(HOST));
}

for (const [code, kind, says] of CODES) {
  test(`${code} before the headers is ${kind}, also as the cause of another error`, () => {
    const direct = failure(code);
    check(fromTransport(direct, 'chat'), kind, says);
    assert.equal(fromTransport(direct, 'chat').cause, direct);
    assert.equal(fromTransport(direct, 'chat').detail, `${code}: ${direct.message}`);
    check(
      fromTransport(new Error('fetch failed', { cause: new Error('x', { cause: direct }) }), 'chat'),
      kind,
      says,
    );
  });
}

test('of several addresses that all failed the first one’s failure is reported', () => {
  const all = new AggregateError([failure('ECONNREFUSED'), failure('ETIMEDOUT')], '');
  check(fromTransport(all, 'chat'), 'unreachable', /: connection refused \(ECONNREFUSED\)\. Check/);
  check(fromTransport(new AggregateError([], ''), 'chat'), 'unreachable', /: not reachable/);
});

test('a parser’s error without a code is invalid HTTP', () => {
  const parser = Object.assign(new Error('Response does not match the HTTP/1.1 protocol'), {
    name: 'HTTPParserError',
  });
  check(fromTransport(parser, 'chat'), 'invalid_response', /: invalid HTTP response/);
  check(
    fromTransport(new Error('x', { cause: parser }), 'chat'),
    'invalid_response',
    /: invalid HTTP response/,
  );
});

test('a proxy that refuses the tunnel is reported with its status, and 407 with a hint', () => {
  const refusal = (status: number): Error =>
    new Error('x', { cause: new Error(`Proxy response (${status}) !== 200 when HTTP Tunneling`) });
  check(
    fromTransport(refusal(403), 'chat'),
    'unreachable',
    /the proxy responded to CONNECT with 403\. .*proxy setting\.$/,
  );
  check(fromTransport(refusal(407), 'chat'), 'unreachable', /with 407 \(credentials in the proxy URL\?\)/);
});

test('any other error is unreachable, and a FerryError stays unchanged', () => {
  for (const thrown of [undefined, null, 'text', 7, {}, { code: 7 }, new Error('')])
    check(fromTransport(thrown, 'chat'), 'unreachable', /: not reachable/);
  const own = new FerryError('timeout', { message: 'late' });
  assert.equal(fromTransport(own, 'chat'), own);
  assert.equal(fromBrokenBody(own, 'chat'), own);
});

test('any failure within the body is a cut', () => {
  for (const thrown of [failure('ECONNRESET'), failure('HPE_INVALID_CHUNK_SIZE'), new Error('x'), 'text']) {
    const error = fromBrokenBody(thrown, 'chat');
    check(error, 'disconnected', /in the middle of its response/);
    assert.equal(error.cause, thrown);
  }
  assert.match(fromBrokenBody(failure('ECONNRESET'), 'chat').detail ?? '', /^ECONNRESET: /);
});
