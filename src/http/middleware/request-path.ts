import { ENDPOINTS } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';

/** The path of a target that may be refused, for the record: the query and what stands before the path may hold a key. */
export function barePath(target: string): string {
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
}

/** A request target after normalisation. */
export interface RequestPath {
  /**
   * API paths have exactly one leading `/v1`; the others (`/livez`, `/metrics`, `/admin/…`) are as they were. No
   * trailing slash, no empty, `.` or `..` segments.
   */
  readonly path: string;
  /** Without `?`; '' when there is none. */
  readonly query: string;
  /** True: the client wrote `/v1`, or a name that only the OpenAI API has. Anything else is no request for an upstream. */
  readonly isApi: boolean;
}

/** Outside the API's name space, so that `/v1` is not put before them. */
const OUTSIDE_API = new RegExp(`^/(?:${firstSegments(/^\/(?!v1\/)/).join('|')})(?:/|$)`);

/** First segments of the API, by which a path without `/v1` is known to mean it. */
const API_NAME = new RegExp(`^/(?:${firstSegments(/^\/v1\//).join('|')})(?:/|$)`);

/** Endpoints that people paste whole into a field meant for a base URL, so that clients append a path to a path. */
const PASTED_ENDPOINT = pastedEndpoint();

function firstSegments(root: RegExp): string[] {
  const names = ENDPOINTS.filter(({ path }) => root.test(path)).map(
    ({ path }) => path.replace(root, '').split('/')[0] ?? '',
  );
  return [...new Set(names)];
}

function pastedEndpoint(): RegExp {
  const paths = ENDPOINTS.filter(({ pathKey }) => pathKey !== null).map(({ path }) =>
    path.slice('/v1/'.length),
  );
  const one = `(?:${paths.join('|')})`;
  return new RegExp(`^/${one}(?=/(?:v1/)?${one}(?:/|$))`);
}

/**
 * Segments that climb, also when they are percent-encoded; backslashes and control characters that others read as such;
 * parameters of segments, which Java's servers take off before they choose a route (`..;`, `/organization;x`).
 */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /(?:^|\/|%2f)(?:\.|%2e){1,2}(?:\/|%2f|$)|;|%3b|\\|%5c|[\u0000-\u0020\u007f]|%(?:0[0-9a-f]|1[0-9a-f]|7f)/i;

/**
 * What a server that decodes twice would read as another path, and segments that end with a dot or a blank, which
 * Windows' servers read without it.
 */
const OTHERWISE_READ = /%25[0-9a-f]{2}|(?<=[^/.])\.+(?:\/|$)|%20(?:\/|$)/i;

/** Only the id of a model has slashes of its own; anywhere else many servers would decode them before they choose a route. */
const HIDDEN_SLASH = /^(?!\/v1\/models\/).*%2f/i;

/**
 * Normalises a request target: doubled and trailing slashes, `/v1` missing or doubled, an absolute URL, the
 * configured `base_path`. Throws `invalid_request` for a path that could mean another one to an upstream.
 */
export function parseRequestPath(target: string, basePath: string): RequestPath {
  const origin = /^https?:\/\/[^/?#]*/i.exec(target);
  const local = origin === null ? target : target.slice(origin[0].length) || '/';
  const mark = local.search(/[?#]/);
  const rawPath = mark === -1 ? local : local.slice(0, mark);
  const query = mark === -1 || local[mark] === '#' ? '' : (local.slice(mark + 1).split('#', 1)[0] ?? '');
  if (!rawPath.startsWith('/') || UNSAFE.test(rawPath)) throw notAllowed();
  const plain = plainly(rawPath);
  if (OTHERWISE_READ.test(plain)) throw notAllowed();
  const written = withoutBase(plain.replace(/\/{2,}/g, '/').replace(/\/$/, '') || '/', basePath);
  const isOutside = OUTSIDE_API.test(written);
  const path = isOutside ? written : apiPath(written);
  if (HIDDEN_SLASH.test(path)) throw notAllowed();
  return {
    path,
    query,
    isApi: !isOutside && (/^\/v1(?:\/|$)/.test(written) || API_NAME.test(written)),
  };
}

function notAllowed(): FerryError {
  return new FerryError('invalid_request', {
    message: 'Invalid request path: it has segments or characters that are not allowed.',
  });
}

/**
 * Percent-encoded letters, digits, `-`, `.`, `_` and `~` as themselves (RFC 3986, 6.2.2.2), so that no rule is evaded by
 * them. Throws for encodings that are no UTF-8: lenient servers read `%c0%ae` as a dot.
 */
function plainly(path: string): string {
  if (!path.includes('%')) return path;
  try {
    decodeURIComponent(path);
  } catch {
    throw new FerryError('invalid_request', {
      message: 'Invalid percent-encoding in the request path.',
    });
  }
  return path.replace(/%(?:2[de]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/gi, (encoded) =>
    decodeURIComponent(encoded),
  );
}

function withoutBase(path: string, basePath: string): string {
  if (basePath === '' || !(path === basePath || path.startsWith(`${basePath}/`))) return path;
  return path.slice(basePath.length) || '/';
}

function apiPath(path: string): string {
  let rest = withoutVersion(path);
  for (let pasted = PASTED_ENDPOINT.exec(rest); pasted !== null; pasted = PASTED_ENDPOINT.exec(rest)) {
    rest = withoutVersion(rest.slice(pasted[0].length));
  }
  return rest === '/' || rest === '' ? '/v1' : `/v1${rest}`;
}

function withoutVersion(path: string): string {
  return path.replace(/^(?:\/v1(?=\/|$))+/, '');
}

/** Most clients send the same few targets: remembering them costs one map look-up instead of four expressions. */
export class RequestPaths {
  readonly #basePath: string;
  readonly #known = new Map<string, RequestPath>();

  constructor(basePath: string) {
    this.#basePath = basePath.replace(/\/+$/, '');
  }

  parse(target: string): RequestPath {
    const known = this.#known.get(target);
    if (known !== undefined) return known;
    const path = parseRequestPath(target, this.#basePath);
    if (this.#known.size < 256 && target.length < 256) this.#known.set(target, path);
    return path;
  }
}
