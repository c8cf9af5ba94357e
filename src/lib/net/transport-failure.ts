/** Where on its way a request failed. */
type Stage =
  /** No connection was made; behind a proxy, none to the proxy, which looks up the host itself. */
  | 'connect'
  /** The connection ended before a response. */
  | 'reset'
  | 'timeout'
  /** What came is no HTTP. */
  | 'protocol'
  | 'tls'
  /** A proxy refused to connect. */
  | 'proxy'
  /** The request cannot be sent at all: a setting is wrong. */
  | 'settings'
  | 'unknown';

/** A failure below HTTP, in the words that people search for. Built from codes only: texts of foreign errors name hosts, and quote headers with secrets. */
export interface TransportFailure {
  readonly stage: Stage;
  /** Of undici, Node or OpenSSL; empty: none. */
  readonly code: string;
  /** Why, without a host: `connection refused (ECONNREFUSED)`. */
  readonly text: string;
}

const ROWS: Readonly<Record<string, readonly [stage: Stage, text: string]>> = {
  ECONNREFUSED: ['connect', 'connection refused'],
  ENOTFOUND: ['connect', 'host name not found in DNS'],
  EAI_AGAIN: ['connect', 'DNS lookup failed, the DNS server does not respond'],
  EHOSTUNREACH: ['connect', 'no route to host'],
  ENETUNREACH: ['connect', 'network unreachable'],
  ETIMEDOUT: ['connect', 'connect timeout, no connection was accepted in time'],
  UND_ERR_CONNECT_TIMEOUT: ['connect', 'connect timeout, no connection was accepted in time'],
  ECONNRESET: ['reset', 'connection reset before a response'],
  EPIPE: ['reset', 'connection closed before a response'],
  UND_ERR_SOCKET: ['reset', 'connection closed before a response'],
  UND_ERR_HEADERS_TIMEOUT: ['timeout', 'timed out before a response'],
  UND_ERR_BODY_TIMEOUT: ['timeout', 'timed out in the middle of the response'],
  UND_ERR_HEADERS_OVERFLOW: ['protocol', 'response headers too large'],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ['protocol', 'invalid HTTP response, its content-length is wrong'],
  HPE_INVALID_CONSTANT: ['protocol', 'invalid HTTP response (HTTPS where http:// is configured?)'],
  UND_ERR_INVALID_ARG: [
    'settings',
    'invalid request, a header, the method or the URL contains what HTTP does not allow',
  ],
  PROXY_VARIABLE: [
    'settings',
    'invalid HTTPS_PROXY or HTTP_PROXY, it must be a URL such as http://proxy:3128',
  ],
  EPROTO: ['tls', 'TLS handshake failed (http where https:// is configured?)'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['tls', 'no TLS (https:// configured where http:// is served?)'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['tls', 'no TLS (https:// configured where http:// is served?)'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['tls', 'TLS certificate for another host name (set tls.servername?)'],
  CERT_HAS_EXPIRED: ['tls', 'TLS certificate expired'],
  CERT_NOT_YET_VALID: ['tls', 'TLS certificate not valid yet (does this machine have the right time?)'],
  CERT_SIGNATURE_FAILURE: ['tls', 'TLS certificate of another authority than that of tls.ca'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['tls', 'self-signed TLS certificate (set tls.ca?)'],
  SELF_SIGNED_CERT_IN_CHAIN: ['tls', 'TLS certificate of an unknown authority (set tls.ca?)'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['tls', 'TLS certificate of an unknown authority (set tls.ca?)'],
  UNABLE_TO_GET_ISSUER_CERT: ['tls', 'TLS certificate of an unknown authority (set tls.ca?)'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['tls', 'TLS certificate of an unknown authority (set tls.ca?)'],
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: [
    'tls',
    'TLS client certificate required (set tls.cert and tls.key)',
  ],
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: ['settings', 'tls.key does not belong to tls.cert'],
  ERR_OSSL_BAD_DECRYPT: ['settings', 'tls.passphrase does not decrypt tls.key'],
};

/** The same for families of codes: OpenSSL names an alert after the version of TLS in which it came. */
const FAMILIES: readonly (readonly [codes: RegExp, stage: Stage, text: string])[] = [
  [/^HPE_/, 'protocol', 'invalid HTTP response'],
  [
    /ALERT_PROTOCOL_VERSION$|UNSUPPORTED_PROTOCOL$/,
    'tls',
    'no TLS version in common, only older ones are offered (tls.min?)',
  ],
  [
    /ALERT_HANDSHAKE_FAILURE$/,
    'tls',
    'TLS handshake refused (is a client certificate required, tls.cert and tls.key?)',
  ],
  [/ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA)$/, 'tls', 'TLS client certificate rejected (tls.cert)'],
  [/^ERR_(?:TLS|SSL)|CERT|SIGNATURE/, 'tls', 'TLS connection failed (see tls.ca, tls.servername)'],
];

/** `isProxied`: a proxy is on the way, so that what failed before a connection is the proxy's. */
export function transportFailure(error: unknown, isProxied: boolean): TransportFailure {
  const code = codeOf(error);
  const message = messagesOf(error);
  // undici has only a message for these: a 101 without a request for it, a syntax error, a proxy's status.
  if (/\bbad upgrade\b/.test(message)) return failure('protocol', '', 'invalid HTTP response (101)', false);
  const row = ROWS[code];
  if (row !== undefined) return failure(row[0], code, row[1], isProxied);
  const proxyStatus = /\bProxy (?:response \((\d{3})\)|Authentication Required)/.exec(message);
  if (proxyStatus !== null) {
    const status = proxyStatus[1] ?? '407';
    const hint = status === '407' ? ' (credentials in the proxy URL?)' : '';
    return { stage: 'proxy', code, text: `the proxy responded to CONNECT with ${status}${hint}` };
  }
  if (/\bHTTPParserError\b/.test(message) && code === '')
    return failure('protocol', '', 'invalid HTTP response', false);
  const family = FAMILIES.find(([codes]) => codes.test(code));
  if (family !== undefined) return failure(family[1], code, family[2], isProxied);
  return { stage: 'unknown', code, text: `not reachable (${code === '' ? 'unknown error' : code})` };
}

function failure(stage: Stage, code: string, text: string, isProxied: boolean): TransportFailure {
  const whose = isProxied && stage === 'connect' ? 'the proxy is not reachable: ' : '';
  return { stage, code, text: `${whose}${text}${code === '' ? '' : ` (${code})`}` };
}

/** Causes and parts of an error from the outside in. Bounded: causes may be circular. */
function* chainOf(error: unknown): Generator<object> {
  let current = error;
  for (let depth = 0; depth < 5 && typeof current === 'object' && current !== null; depth++) {
    yield current;
    const { cause, errors } = current as { cause?: unknown; errors?: unknown };
    // An AggregateError has one part for each address.
    current = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
}

/** The innermost code: an outer UND_ERR_ one only names the layer that noticed. */
function codeOf(error: unknown): string {
  let found = '';
  for (const { code } of chainOf(error) as Iterable<{ code?: unknown }>) {
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_/]{2,60}$/.test(code)) found = code;
  }
  return found;
}

function messagesOf(error: unknown): string {
  return Array.from(chainOf(error), (one) => (one instanceof Error ? `${one.name} ${one.message}` : '')).join(
    '\n',
  );
}
