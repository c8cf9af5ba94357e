import { ANTHROPIC_PREFIX, ENDPOINTS, SPELLINGS } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';

/** The path of a refused request target, for its record: the query and the authority may hold a key. */
export function barePath(target: string): string {
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
}

/** A request target after normalisation. */
export interface RequestPath {
  /**
   * API paths have exactly one leading `/v1`; the others (`/livez`, `/metrics`, `/admin/…`) have none. No trailing
   * slash, no empty, `.` or `..` segments.
   */
  readonly path: string;
  /** Without `?`; '' when there is none. */
  readonly query: string;
  /** True: it began with `/v1`, or with a name of the API. Anything else is never sent to an upstream. */
  readonly isApi: boolean;
  /** The model that a path of Azure names; null for all others. */
  readonly model: string | null;
}

/** Paths outside the API, to which no `/v1` is added. */
const OUTSIDE_API = new RegExp(`^/(?:${firstSegments(/^\/(?!v1\/)/).join('|')})(?:/|$)`);

/** First segments of the API, by which a path without `/v1` is recognised as one of it. */
const API_NAME = new RegExp(`^/(?:${firstSegments(/^\/v1\//).join('|')})(?:/|$)`);

/** Endpoints that were configured as a client's base URL, to which the client appended a path. */
const PASTED_ENDPOINT = pastedEndpoint();

/** Before a path of the API, also behind the `/v1` of a base URL. */
const ANTHROPIC_PATH = new RegExp(`^(?:/v1)*${ANTHROPIC_PREFIX}(?=/)`);

const SPELLED = SPELLINGS.map(({ path, means, query }) => ({
  pattern: new RegExp(`^${path.replace('{model}', '([^/]+)')}$`),
  means,
  query: new Set(query),
}));

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
 * Path traversal, also percent-encoded; backslashes and control characters, which some servers normalise; path
 * parameters, which Java's servers remove before they route (`..;`, `/organization;x`).
 */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /(?:^|\/|%2f)(?:\.|%2e){1,2}(?:\/|%2f|$)|;|%3b|\\|%5c|[\u0000-\u0020\u007f]|%(?:0[0-9a-f]|1[0-9a-f]|7f)/i;

/** Double encoding, and segments that end with a dot or a blank, which servers on Windows remove. */
const AMBIGUOUS = /%25[0-9a-f]{2}|(?<=[^/.])\.+(?:\/|$)|%20(?:\/|$)/i;

/** An encoded slash outside a model's id: many servers decode it before they route. */
const ENCODED_SLASH = /^(?!\/v1\/models\/).*%2f/i;

/**
 * Normalises a request target: doubled and trailing slashes, `/v1` missing or doubled, an absolute URL, the
 * configured `base_path`. Throws `invalid_request` for a path that an upstream may read as another one.
 */
export function parseRequestPath(target: string, basePath: string): RequestPath {
  const origin = /^https?:\/\/[^/?#]*/i.exec(target);
  const local = origin === null ? target : target.slice(origin[0].length) || '/';
  const mark = local.search(/[?#]/);
  const rawPath = mark === -1 ? local : local.slice(0, mark);
  const query = mark === -1 || local[mark] === '#' ? '' : (local.slice(mark + 1).split('#', 1)[0] ?? '');
  if (!rawPath.startsWith('/') || UNSAFE.test(rawPath)) throw notAllowed();
  const plain = decodeUnreserved(rawPath);
  if (AMBIGUOUS.test(plain)) throw notAllowed();
  const below = withoutBase(plain.replace(/\/{2,}/g, '/').replace(/\/$/, '') || '/', basePath);
  const written = below.replace(ANTHROPIC_PATH, '');
  const isOutside = OUTSIDE_API.test(written);
  const spelled = isOutside ? null : spelledPath(written, query);
  if (spelled !== null) return spelled;
  const path = isOutside ? written : apiPath(written);
  if (ENCODED_SLASH.test(path)) throw notAllowed();
  return {
    path,
    query,
    isApi: !isOutside && (/^\/v1(?:\/|$)/.test(written) || API_NAME.test(written)),
    model: null,
  };
}

function spelledPath(written: string, query: string): RequestPath | null {
  const rest = withoutVersion(written);
  for (const spelling of SPELLED) {
    const match = spelling.pattern.exec(rest);
    if (match === null) continue;
    const kept = query.split('&').filter((part) => !spelling.query.has(part.split('=', 1)[0] ?? ''));
    const model = match[1] === undefined ? null : decodeURIComponent(match[1]);
    return { path: spelling.means, query: kept.join('&'), isApi: true, model };
  }
  return null;
}

function notAllowed(): FerryError {
  return new FerryError('invalid_request', {
    message: 'Invalid request path: it has segments or characters that are not allowed.',
  });
}

/**
 * Decodes letters, digits, `-`, `.`, `_` and `~` (RFC 3986, 6.2.2.2), so that encoding evades no rule. Throws for
 * encodings that are no UTF-8: lenient servers read `%c0%ae` as a dot.
 */
function decodeUnreserved(path: string): string {
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

/** A cache before `parseRequestPath`: most clients send the same few targets. */
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
