import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';
import { isSameDigest, sha256Hex } from '../lib/secret.ts';
import { listenOnLoopback, readText, sendJson } from './loopback-server.ts';

interface DemoIssuerOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly lifetimeMs: number;
  readonly clock: Clock;
  /** Called with the serial (from 1) of each token that is issued. */
  readonly onIssue?: (serial: number) => void;
}

/** A valid token. */
export interface LiveToken {
  /** 1 for the first token. */
  readonly serial: number;
  readonly ageMs: number;
}

/**
 * A company's identity provider: OAuth2 client credentials (RFC 6749 section 4.4, secret in the Basic header or in the
 * form), with tokens that expire.
 */
export class DemoIssuer {
  readonly tokenUrl: string;
  readonly #close: () => Promise<void>;
  readonly #tokens: Map<string, { serial: number; issuedAtMs: number }>;
  readonly #options: DemoIssuerOptions;

  private constructor(
    origin: string,
    close: () => Promise<void>,
    tokens: Map<string, { serial: number; issuedAtMs: number }>,
    options: DemoIssuerOptions,
  ) {
    this.tokenUrl = `${origin}/oauth2/token`;
    this.#close = close;
    this.#tokens = tokens;
    this.#options = options;
  }

  static async start(options: DemoIssuerOptions): Promise<DemoIssuer> {
    const tokens = new Map<string, { serial: number; issuedAtMs: number }>();
    let serial = 0;
    const issue = (): string => {
      serial += 1;
      const value = `demo-${randomBytes(24).toString('base64url')}`;
      tokens.set(value, { serial, issuedAtMs: options.clock.monoMs() });
      options.onIssue?.(serial);
      return value;
    };
    const server = await listenOnLoopback((request, response) => {
      respond(request, response, options, issue).catch(() => response.destroy());
    });
    return new DemoIssuer(server.origin, () => server.close(), tokens, options);
  }

  /** Null: the token is unknown or expired. */
  find(token: string): LiveToken | null {
    const known = this.#tokens.get(token);
    if (known === undefined) return null;
    const ageMs = this.#options.clock.monoMs() - known.issuedAtMs;
    if (ageMs < this.#options.lifetimeMs) return { serial: known.serial, ageMs };
    this.#tokens.delete(token);
    return null;
  }

  close(): Promise<void> {
    return this.#close();
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: DemoIssuerOptions,
  issue: () => string,
): Promise<void> {
  const form = new URLSearchParams(await readText(request));
  if (request.method !== 'POST' || request.url !== '/oauth2/token') {
    return sendJson(response, 404, { error: 'not_found' });
  }
  if (form.get('grant_type') !== 'client_credentials') {
    return sendJson(response, 400, { error: 'unsupported_grant_type' });
  }
  if (!hasCredentials(request, form, options)) return sendJson(response, 401, { error: 'invalid_client' });
  response.setHeader('cache-control', 'no-store');
  return sendJson(response, 200, {
    access_token: issue(),
    token_type: 'Bearer',
    expires_in: options.lifetimeMs / 1000,
  });
}

function hasCredentials(
  request: IncomingMessage,
  form: URLSearchParams,
  options: DemoIssuerOptions,
): boolean {
  const given = basicCredentials(request) ?? [form.get('client_id') ?? '', form.get('client_secret') ?? ''];
  const wanted = [options.clientId, options.clientSecret];
  return isSameDigest(sha256Hex(JSON.stringify(given)), sha256Hex(JSON.stringify(wanted)));
}

/** Identifier and secret of the Basic header, each form-decoded (RFC 6749 section 2.3.1); null without one. */
function basicCredentials(request: IncomingMessage): string[] | null {
  const encoded = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  const decoded = new URLSearchParams(`id=${id}&secret=${secret.join(':')}`);
  return [decoded.get('id') ?? '', decoded.get('secret') ?? ''];
}
