import assert from 'node:assert/strict';
import { test } from 'node:test';
import { transportFailure } from '../../../src/lib/net/transport-failure.ts';

const DIRECT = false;
const PROXIED = true;

const FAILURES: readonly [code: string, isProxied: boolean, stage: string, text: RegExp][] = [
  ['ECONNREFUSED', DIRECT, 'connect', /^connection refused \(ECONNREFUSED\)$/],
  ['ECONNREFUSED', PROXIED, 'connect', /^the proxy is not reachable: connection refused \(ECONNREFUSED\)$/],
  ['ENOTFOUND', DIRECT, 'connect', /^host name not found in DNS/],
  ['ENOTFOUND', PROXIED, 'connect', /^the proxy is not reachable: host name not found in DNS/],
  ['ECONNRESET', PROXIED, 'reset', /^connection reset before a response/],
  ['UND_ERR_SOCKET', DIRECT, 'reset', /^connection closed before a response/],
  ['HPE_INVALID_CONSTANT', DIRECT, 'protocol', /^invalid HTTP response \(HTTPS where/],
  ['HPE_INVALID_CHUNK_SIZE', DIRECT, 'protocol', /^invalid HTTP response \(HPE_INVALID_CHUNK_SIZE\)$/],
  ['CERT_HAS_EXPIRED', DIRECT, 'tls', /^TLS certificate expired \(CERT_HAS_EXPIRED\)$/],
  ['CERT_SIGNATURE_FAILURE', DIRECT, 'tls', /^TLS certificate of another authority than that of tls\.ca/],
  ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', DIRECT, 'tls', /^TLS handshake refused \(is a client cert/],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', DIRECT, 'tls', /^TLS handshake refused/],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', DIRECT, 'tls', /^no TLS version in common/],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', DIRECT, 'tls', /^TLS client certificate rejected/],
  ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', DIRECT, 'tls', /^TLS client certificate rejected/],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', DIRECT, 'tls', /^TLS client certificate required/],
  ['ERR_TLS_SOMETHING_NEW', DIRECT, 'tls', /^TLS connection failed/],
  ['EWHATEVER', DIRECT, 'unknown', /^not reachable \(EWHATEVER\)$/],
];

for (const [code, isProxied, stage, text] of FAILURES) {
  test(`${code}${isProxied ? ' behind a proxy' : ''} is ${stage}, in the usual terms`, () => {
    const error = new Error('outer', { cause: Object.assign(new Error('hosts and secrets'), { code }) });
    const failure = transportFailure(error, isProxied);
    assert.equal(failure.stage, stage);
    assert.equal(failure.code, code);
    assert.match(failure.text, text);
  });
}

test('a cycle of causes ends', () => {
  const error = new Error('a');
  error.cause = error;
  assert.equal(transportFailure(error, DIRECT).stage, 'unknown');
});
