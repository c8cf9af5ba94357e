import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { fromBrokenBody, fromTransport } from '../../src/upstream/transport/transport-error.ts';

const HOST = 'llm-7.internal.example';

const failure = (code: string, cause?: unknown): Error =>
  Object.assign(new Error(`connect ${code} ${HOST}:443`, { cause }), { code });

/** A code, the kind that it means, and a word of what people are told. */
const CODES: readonly [code: string, kind: string, says: RegExp][] = [
  ['ECONNREFUSED', 'unreachable', /refuses connections/],
  ['ENOTFOUND', 'unreachable', /does not resolve\./],
  ['EAI_AGAIN', 'unreachable', /does not resolve at the moment/],
  ['EHOSTUNREACH', 'unreachable', /over the network/],
  ['ENETUNREACH', 'unreachable', /over the network/],
  ['ECONNRESET', 'unreachable', /closed the connection before it answered/],
  ['EPIPE', 'unreachable', /closed the connection before it answered/],
  ['UND_ERR_SOCKET', 'unreachable', /closed the connection before it answered/],
  ['UND_ERR_CONNECT_TIMEOUT', 'unreachable', /did not accept a connection in time/],
  ['ETIMEDOUT', 'unreachable', /did not accept a connection in time/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'unreachable', /TLS/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'unreachable', /TLS/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'unreachable', /TLS/],
  ['CERT_HAS_EXPIRED', 'unreachable', /TLS/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unreachable', /TLS/],
  ['E_SOMETHING_NEW', 'unreachable', /cannot be reached/],
  ['HPE_INVALID_CONSTANT', 'invalid_response', /not HTTP/],
  ['UND_ERR_HEADERS_OVERFLOW', 'invalid_response', /not HTTP/],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'invalid_response', /not HTTP/],
];

/** The message says what to look at, the host is for the log only. */
function check(error: FerryError, kind: string, says: RegExp): void {
  assert.equal(error.kind, kind);
  assert.match(error.message, says);
  assert.match(error.message, /^Upstream "chat" /);
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

test('of several addresses that all failed the first one’s failure is told', () => {
  const all = new AggregateError([failure('ECONNREFUSED'), failure('ETIMEDOUT')], '');
  check(fromTransport(all, 'chat'), 'unreachable', /refuses connections/);
  check(fromTransport(new AggregateError([], ''), 'chat'), 'unreachable', /cannot be reached/);
});

test('a parser’s error without a code is not HTTP', () => {
  const parser = Object.assign(new Error('Response does not match the HTTP/1.1 protocol'), {
    name: 'HTTPParserError',
  });
  check(fromTransport(parser, 'chat'), 'invalid_response', /not HTTP/);
  check(fromTransport(new Error('x', { cause: parser }), 'chat'), 'invalid_response', /not HTTP/);
});

test('a proxy that refuses the tunnel is told with its status, and 407 with a hint', () => {
  const refusal = (status: number): Error =>
    new Error('x', { cause: new Error(`Proxy response (${status}) !== 200 when HTTP Tunneling`) });
  check(
    fromTransport(refusal(403), 'chat'),
    'unreachable',
    /proxy on the way answered 403\. .*proxy setting\.$/,
  );
  check(fromTransport(refusal(407), 'chat'), 'unreachable', /answered 407.*credentials in it/);
});

test('whatever else was thrown is unreachable, and an error of ours stays itself', () => {
  for (const thrown of [undefined, null, 'text', 7, {}, { code: 7 }, new Error('')])
    check(fromTransport(thrown, 'chat'), 'unreachable', /cannot be reached/);
  const own = new FerryError('timeout', { message: 'late' });
  assert.equal(fromTransport(own, 'chat'), own);
  assert.equal(fromBrokenBody(own, 'chat'), own);
});

test('a failure within the body is a cut, whatever it was', () => {
  for (const thrown of [failure('ECONNRESET'), failure('HPE_INVALID_CHUNK_SIZE'), new Error('x'), 'text']) {
    const error = fromBrokenBody(thrown, 'chat');
    check(error, 'disconnected', /in the middle of its reply/);
    assert.equal(error.cause, thrown);
  }
  assert.match(fromBrokenBody(failure('ECONNRESET'), 'chat').detail ?? '', /^ECONNRESET: /);
});
