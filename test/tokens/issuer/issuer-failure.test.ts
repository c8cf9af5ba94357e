import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailure, type WayToIssuer } from '../../../src/tokens/issuer/issuer-failure.ts';

const HTTPS: WayToIssuer = { isTls: true, hasClientCertificate: false, isProxied: false };
const FAILURES: readonly [string, Partial<WayToIssuer>, RegExp][] = [
  ['UND_ERR_SOCKET', {}, /^closed .* \(does it want a client certificate, tls\.cert and tls\.key\?\) \(UND_/],
  ['UND_ERR_SOCKET', { hasClientCertificate: true }, /\(does it accept tls\.cert\?\)/],
  ['UND_ERR_SOCKET', { isTls: false }, /\(HTTPS where http:\/\/ is configured\?\)/],
  ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', {}, /^refused the TLS handshake \(does it want a client/],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', {}, /^refused the TLS handshake/],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', {}, /^accepts no version of TLS that we accept/],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', {}, /^refused our client certificate/],
  ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', {}, /^refused our client certificate/],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', {}, /^wants a client certificate/],
  ['CERT_SIGNATURE_FAILURE', {}, /^shows a certificate of another authority than that of tls\.ca/],
  ['ENOTFOUND', {}, /^has a host name that DNS does not know/],
  ['ENOTFOUND', { isProxied: true }, /^could not be reached: the proxy has a host name that DNS/],
  ['ECONNRESET', { isProxied: true }, /^reset the connection before it answered/],
  ['EWHATEVER', {}, /^could not be reached \(EWHATEVER\)$/],
];

for (const [code, way, expected] of FAILURES) {
  test(`${code} ${JSON.stringify(way)} is told in the words of an operator`, () => {
    const error = new Error('outer', { cause: Object.assign(new Error('hosts and secrets'), { code }) });
    assert.match(describeFailure(error, { ...HTTPS, ...way }), expected);
  });
}
