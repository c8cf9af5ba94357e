import { FerryError } from '../../lib/errors/ferry-error.ts';

/** Errors of undici and Node that mean: nothing was ever heard from the other side. */
const CONNECT_CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections',
  ENOTFOUND: 'has a name that does not resolve',
  EAI_AGAIN: 'has a name that does not resolve at the moment',
  EHOSTUNREACH: 'cannot be reached over the network',
  ENETUNREACH: 'cannot be reached over the network',
  ECONNRESET: 'closed the connection before it answered',
  EPIPE: 'closed the connection before it answered',
  UND_ERR_SOCKET: 'closed the connection before it answered',
  UND_ERR_CONNECT_TIMEOUT: 'did not accept a connection in time',
  ETIMEDOUT: 'did not accept a connection in time',
};

/** HTTP that no parser accepts is the upstream lying, not the network failing. */
const isProtocolError = (code: string): boolean =>
  code.startsWith('HPE_') ||
  code === 'UND_ERR_HEADERS_OVERFLOW' ||
  code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';

/** undici gives its parser's error a code only when the parser had one. */
function isParserError(error: unknown): boolean {
  return error instanceof Error && (error.name === 'HTTPParserError' || isParserError(error.cause));
}

/** A 101 that nobody asked for; undici tells it from a closed connection by its words alone. */
function isUnaskedUpgrade(error: unknown): boolean {
  return error instanceof Error && (error.message === 'bad upgrade' || isUnaskedUpgrade(error.cause));
}

/**
 * Converts what undici or Node threw before any response header into the error of `errors.ts`. `upstream` is the
 * configured name: the host stays in `detail`, which only log and record see.
 */
export function fromTransport(error: unknown, upstream: string): FerryError {
  if (error instanceof FerryError) return error;
  const code = codeOf(error);
  const detail = error instanceof Error ? `${code || error.name}: ${error.message}` : String(error);
  if (isProtocolError(code) || isParserError(error) || isUnaskedUpgrade(error)) {
    return new FerryError('invalid_response', {
      message: `Upstream "${upstream}" answered with something that is not HTTP.`,
      detail,
      cause: error,
    });
  }
  const proxyStatus = proxyRefusal(error);
  if (proxyStatus !== null) {
    return new FerryError('unreachable', {
      message: `Upstream "${upstream}" cannot be reached: the proxy on the way answered ${proxyStatus}. Check the upstream's proxy setting${proxyStatus === '407' ? ' and the credentials in it' : ''}.`,
      detail,
      cause: error,
    });
  }
  return new FerryError('unreachable', {
    message: `Upstream "${upstream}" ${whatHappened(code)}. Check that it is running and that its endpoint is right.`,
    detail,
    cause: error,
  });
}

/** Converts a failure after the response's headers: the reply was cut off. */
export function fromBrokenBody(error: unknown, upstream: string): FerryError {
  if (error instanceof FerryError) return error;
  return new FerryError('disconnected', {
    message: `Upstream "${upstream}" closed the connection in the middle of its reply.`,
    detail: error instanceof Error ? `${codeOf(error)}: ${error.message}` : String(error),
    cause: error,
  });
}

/** The status with which a proxy refused the tunnel; undici has it in the text of the error only. */
function proxyRefusal(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  return /^Proxy response \((\d{3})\)/.exec(error.message)?.[1] ?? proxyRefusal(error.cause);
}

function whatHappened(code: string): string {
  const known = CONNECT_CODES[code];
  if (known !== undefined) return known;
  if (
    code.startsWith('ERR_TLS') ||
    code.startsWith('ERR_SSL') ||
    code.includes('CERT') ||
    code.includes('SIGNATURE')
  ) {
    return 'offers a TLS connection that cannot be trusted or established (see tls.ca, tls.servername)';
  }
  return 'cannot be reached';
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown };
  if (typeof code === 'string') return code;
  // An AggregateError of several addresses, or undici's wrapper around the real one.
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  return cause === undefined ? '' : codeOf(cause);
}
