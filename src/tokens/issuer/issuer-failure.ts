/** Codes of a connection that broke before any answer: worth one more try on a fresh one. */
const RESETS: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** What common codes mean, in the words of an operator. */
const MEANINGS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'reset the connection before it answered',
  UND_ERR_SOCKET: 'closed the connection before it answered',
  EPIPE: 'closed the connection before it answered',
  ENOTFOUND: 'has a host name that DNS does not know',
  EAI_AGAIN: 'could not be looked up, DNS does not answer',
  EHOSTUNREACH: 'is on a host that cannot be reached',
  ENETUNREACH: 'is on a network that cannot be reached',
  ETIMEDOUT: 'does not accept connections',
  UND_ERR_CONNECT_TIMEOUT: 'does not accept connections within 3 s',
  UND_ERR_HEADERS_TIMEOUT: 'did not answer',
  UND_ERR_BODY_TIMEOUT: 'stopped in the middle of its answer',
  UND_ERR_HEADERS_OVERFLOW: 'answered with headers that are too long',
  HPE_INVALID_CONSTANT: 'does not speak HTTP (HTTPS where http:// is configured?)',
  UND_ERR_INVALID_ARG: 'cannot be asked: a header, the method or the URL holds what HTTP cannot carry',
  PROXY_VARIABLE: 'cannot be asked: HTTPS_PROXY or HTTP_PROXY is no URL such as http://proxy:3128',
  EPROTO: 'does not speak TLS as configured (http where https:// is configured?)',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS (https:// configured where http:// is served?)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'shows a certificate for another name (set tls.servername?)',
  CERT_HAS_EXPIRED: 'shows a certificate that has ended',
  CERT_NOT_YET_VALID: 'shows a certificate that is not valid yet (does this machine have the right time?)',
  CERT_SIGNATURE_FAILURE: 'shows a certificate of another authority than that of tls.ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'shows a self-signed certificate (set tls.ca?)',
  SELF_SIGNED_CERT_IN_CHAIN: 'shows a certificate of an unknown authority (set tls.ca?)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'shows a certificate of an unknown authority (set tls.ca?)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'shows a certificate of an unknown authority (set tls.ca?)',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'wants a client certificate (set tls.cert and tls.key)',
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'cannot be asked: tls.key does not belong to tls.cert',
  ERR_OSSL_BAD_DECRYPT: 'cannot be asked: tls.passphrase does not open tls.key',
};

/** The same for families of codes: OpenSSL names an alert after the version of TLS in which it came. */
const FAMILIES: readonly (readonly [RegExp, string])[] = [
  [/ALERT_PROTOCOL_VERSION$|UNSUPPORTED_PROTOCOL$/, 'accepts no version of TLS that we accept (tls.min?)'],
  [
    /ALERT_HANDSHAKE_FAILURE$/,
    'refused the TLS handshake (does it want a client certificate, tls.cert and tls.key?)',
  ],
  [/ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA)$/, 'refused our client certificate (tls.cert)'],
];

/** Codes of a connection that was never made: behind a proxy they speak of the proxy, which looks up the issuer itself. */
const NEVER_MADE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** How a request went, as far as its failure can be explained by it. */
export interface WayToIssuer {
  readonly isTls: boolean;
  readonly hasClientCertificate: boolean;
  /** A proxy is configured for it, and no variable decides. */
  readonly isProxied: boolean;
}

/** Whether a connection broke before the answer, so that an immediate retry is worth it. */
export function isReset(error: unknown): boolean {
  return RESETS.has(codeOf(error));
}

/**
 * What went wrong below HTTP, as the end of a sentence that begins with the issuer's field. Built from codes
 * only: texts of foreign errors quote hosts, and headers with secrets in them.
 */
export function describeFailure(error: unknown, way: WayToIssuer): string {
  const code = codeOf(error);
  const meaning = MEANINGS[code] ?? FAMILIES.find(([family]) => family.test(code))?.[1];
  if (meaning !== undefined) {
    const whose = way.isProxied && NEVER_MADE.has(code) ? 'could not be reached: the proxy ' : '';
    return `${whose}${meaning}${code === 'UND_ERR_SOCKET' ? closedQuestion(way) : ''} (${code})`;
  }
  const proxyStatus = /Proxy response \((\d+)\)/.exec(messageOf(error))?.[1];
  if (proxyStatus !== undefined) {
    return `could not be reached: the proxy answered CONNECT with ${proxyStatus}${proxyStatus === '407' ? ' (credentials in the proxy URL?)' : ''}`;
  }
  if (/Proxy Authentication Required/.test(messageOf(error))) {
    return 'could not be reached: the proxy answered with 407 (credentials in the proxy URL?)';
  }
  return `could not be reached (${code === '' ? 'unknown error' : code})`;
}

/** A server that closes without a word has often met something else than it expects. */
function closedQuestion({ isTls, hasClientCertificate }: WayToIssuer): string {
  if (!isTls) return ' (HTTPS where http:// is configured?)';
  return hasClientCertificate
    ? ' (does it accept tls.cert?)'
    : ' (does it want a client certificate, tls.cert and tls.key?)';
}

/** The most telling code of an error, its causes and its parts. Bounded: causes may point in circles. */
function codeOf(error: unknown): string {
  let current = error;
  let found = '';
  for (let depth = 0; depth < 5 && typeof current === 'object' && current !== null; depth++) {
    const { code, cause, errors } = current as { code?: unknown; cause?: unknown; errors?: unknown };
    // The inner code is the reason, an outer UND_ERR_ one only tells which layer noticed.
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_/]{2,60}$/.test(code)) found = code;
    current = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return found;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}
