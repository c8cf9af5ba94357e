import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Clock } from '../../lib/clock.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isSameDigest, type Secret, sha256Hex } from '../../lib/secret.ts';
import type { AdminLogin, AdminSession } from '../api-types.ts';
import { AdminSessions, type OpenSession } from './admin-sessions.ts';

interface AccessSettings {
  /** Null: only this machine is served, without a key. */
  readonly key: Secret | null;
  readonly clock: Clock;
  clientIp(request: IncomingMessage): string;
}

/** How a caller was let in. */
export interface AdminCaller {
  readonly access: AdminSession['access'];
  readonly session: OpenSession | null;
}

/** Wrong keys of one address within `FAILURE_WINDOW_SECONDS`; more are refused without a look. */
const MAX_FAILURES = 10;
const FAILURE_WINDOW_SECONDS = 60;
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);
/** Which a proxy adds: what comes through one does not come from this machine. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

/**
 * Who may use the admin API and the page: who has the admin key or a session, or, while no key is configured, who is on
 * this machine. Pages of other origins never are.
 */
export class AdminAccess {
  readonly #settings: AccessSettings;
  readonly #sessions: AdminSessions;
  #failures: Promise<RateLimiterMemory> | null = null;

  constructor(settings: AccessSettings) {
    this.#settings = settings;
    this.#sessions = new AdminSessions(settings.key, settings.clock);
  }

  /**
   * Refuses what comes from another machine while no key is configured, from a page of another origin, or to a name that is
   * not this machine's while no key is configured. Throws `unknown_path` or `not_permitted`.
   */
  refuseForeign(request: IncomingMessage): void {
    if (this.#settings.key === null && !isFromThisMachine(request)) {
      throw new FerryError('unknown_path', {
        message: 'Unknown path: without admin.key the admin API and the page answer to this machine only.',
      });
    }
    const { headers } = request;
    const site = headers['sec-fetch-site'];
    const isForeign =
      (headers.origin !== undefined && !isSameOrigin(headers.origin, headers.host)) ||
      // A link from another site may open the page, and nothing else.
      (site !== undefined &&
        !['same-origin', 'none'].includes(site) &&
        headers['sec-fetch-mode'] !== 'navigate');
    if (isForeign)
      throw new FerryError('not_permitted', {
        message:
          'Permission denied: the request was made by a page of another origin. A proxy before the gateway must pass the Host header on.',
      });
  }

  /** Lets a caller in. Throws `invalid_api_key`, `not_permitted` (no CSRF token) or `client_rate_limited`. */
  async identify(request: IncomingMessage, response: ServerResponse): Promise<AdminCaller> {
    const presented = bearerOf(request);
    if (presented !== null) {
      await this.#checkKey(presented, request);
      return { access: 'key', session: null };
    }
    const session = this.#sessionOf(request);
    if (session !== null) {
      if (!SAFE_METHODS.has(request.method ?? '')) this.#checkCsrf(request, session);
      if (session.renewed !== null) setCookie(request, response, session.renewed, session.expiresAtMs);
      return { access: 'session', session };
    }
    if (this.#settings.key === null) return { access: 'loopback', session: null };
    throw new FerryError('invalid_api_key', {
      message: 'Not logged in: send the admin key as "Authorization: Bearer <key>", or log in at /ui/.',
    });
  }

  /** Opens a session for the admin key. A session of the same browser ends. */
  async logIn(
    request: IncomingMessage,
    response: ServerResponse,
    login: { readonly [Name in keyof AdminLogin]?: unknown },
  ): Promise<AdminCaller> {
    if (typeof login.key !== 'string')
      throw new FerryError('invalid_request', { message: 'The body must have "key", the admin key.' });
    await this.#checkKey(login.key, request);
    const previous = this.#sessionOf(request);
    if (previous !== null) this.#sessions.end(previous);
    const { value, session } = this.#sessions.open();
    setCookie(request, response, value, session.expiresAtMs);
    return { access: 'session', session };
  }

  logOut(request: IncomingMessage, response: ServerResponse, { session }: AdminCaller): void {
    if (session !== null) this.#sessions.end(session);
    setCookie(request, response, '', 0);
  }

  describe({ access, session }: AdminCaller): AdminSession {
    return {
      access,
      csrf_token: session === null ? null : this.#sessions.csrfToken(session),
      expires_at_ms: session?.expiresAtMs ?? null,
    };
  }

  #sessionOf(request: IncomingMessage): OpenSession | null {
    const value = cookieOf(request);
    return value === null ? null : this.#sessions.find(value);
  }

  #checkCsrf({ headers }: IncomingMessage, session: OpenSession): void {
    const sent = headers['x-csrf-token'];
    if (typeof sent === 'string' && this.#sessions.isCsrfToken(session, sent)) return;
    throw new FerryError('not_permitted', {
      message:
        'Permission denied: the header x-csrf-token is missing or invalid. GET /admin/session has its value.',
    });
  }

  /** In constant time. Throws `invalid_api_key`, and `client_rate_limited` after too many failures of the address. */
  async #checkKey(presented: string, request: IncomingMessage): Promise<void> {
    const { key } = this.#settings;
    const ip = this.#settings.clientIp(request);
    this.#failures ??= newFailureCounter();
    const failures = await this.#failures;
    const known = await failures.get(ip);
    if (known !== null && known.consumedPoints >= MAX_FAILURES) {
      throw new FerryError('client_rate_limited', {
        message: 'Too many wrong admin keys from this address.',
        retryAfterMs: known.msBeforeNext,
      });
    }
    if (key !== null && isSameDigest(sha256Hex(presented), sha256Hex(key.reveal()))) return;
    await failures.penalty(ip, 1);
    throw new FerryError('invalid_api_key', {
      message:
        key === null
          ? 'There is no admin key: without one this machine needs none. Set admin.key to use one.'
          : 'Invalid admin key: use the one of admin.key.',
    });
  }
}

/** Loads the package when a key is first compared: it takes 27 ms and 11 MB. */
async function newFailureCounter(): Promise<RateLimiterMemory> {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  return new RateLimiterMemory({ points: MAX_FAILURES, duration: FAILURE_WINDOW_SECONDS });
}

function bearerOf({ headers }: IncomingMessage): string | null {
  return /^\s*bearer\s+(.+?)\s*$/is.exec(headers.authorization ?? '')?.[1] ?? null;
}

/** Browsers share the cookies of one host between its ports: each gateway of a machine has a name of its own. */
function cookieName({ socket }: IncomingMessage): string {
  return `tokenferry_admin_${socket.localPort ?? 0}`;
}

function cookieOf(request: IncomingMessage): string | null {
  const name = `${cookieName(request)}=`;
  const found = (request.headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(name));
  return found === undefined ? null : found.slice(name.length);
}

function setCookie(
  request: IncomingMessage,
  response: ServerResponse,
  value: string,
  expiresAtMs: number,
): void {
  const age = value === '' ? 0 : Math.max(0, Math.round((expiresAtMs - Date.now()) / 1_000));
  const secure = isHttps(request) ? '; Secure' : '';
  response.setHeader(
    'set-cookie',
    `${cookieName(request)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${age}${secure}`,
  );
}

/** Of this connection, or of the one to a proxy before us. */
function isHttps({ socket, headers }: IncomingMessage): boolean {
  return (socket as TLSSocket).encrypted === true || headers['x-forwarded-proto'] === 'https';
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.parse(origin)?.host === URL.parse(`http://${host}`)?.host;
}

function isFromThisMachine({ socket, headers, httpVersion }: IncomingMessage): boolean {
  if (!isLoopbackAddress(socket.remoteAddress) || !isLoopbackAddress(socket.localAddress)) return false;
  // A proxy on this machine that forwards without saying so, as nginx does by default, speaks HTTP/1.0.
  if (httpVersion === '1.0' || PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return isLoopbackName(URL.parse(`http://${headers.host ?? ''}`)?.hostname ?? '');
}

function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && /^(?:::ffff:)?127\.|^::1$/.test(address);
}

function isLoopbackName(name: string): boolean {
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(name)
  );
}
