import { hash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { Matcher } from '../../routing/glob.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { ClientTokens } from './client-tokens.ts';
import type { RequestContext } from './request-context.ts';

export interface ClientAuthSettings {
  /** By SHA-256 of the key in hex. */
  readonly identities: ReadonlyMap<string, ClientIdentity>;
  /** The client of a request without a valid key; null: it is refused. */
  readonly anonymous: ClientIdentity | null;
  /** The company's own tokens in place of keys; null: none are accepted. */
  readonly tokens: ClientTokens | null;
  /** Clients by the names of their certificates, in order; null: the server asks for none. */
  readonly certificates: readonly NamedCertificate[] | null;
}

/** A client whose certificate has a name that matches. */
export interface NamedCertificate {
  readonly matches: Matcher;
  readonly client: ClientIdentity;
}

/** What clients send when no key is configured: treated as an absent header (S13). */
const EMPTY_KEYS: ReadonlySet<string> = new Set(['', 'undefined', 'null', 'none', 'EMPTY', 'empty']);

/**
 * Identifies the client by `Authorization: Bearer`, `x-api-key` or `api-key`; any valid one suffices. Keys are looked up
 * by their digest, so that the time of a look-up does not depend on how much of a guess is right.
 */
export class ClientAuth {
  /** True: `identify` says it all; else `authenticate` also looks at certificates and tokens. */
  readonly hasKeysOnly: boolean;
  readonly #settings: ClientAuthSettings;
  /**
   * Keys that were valid before, to save their SHA-256 (3 µs a request). A `Map` compares strings only when their hashes
   * are equal, so the time of a look-up does not depend on how much of a guess is right either.
   */
  readonly #known = new Map<string, ClientIdentity>();

  constructor(settings: ClientAuthSettings) {
    this.#settings = settings;
    this.hasKeysOnly = settings.tokens === null && settings.certificates === null;
  }

  /**
   * As `identify`, with certificates and tokens of clients. A header that had a token is removed, so that nothing of the
   * token gets to an upstream or into a record. Throws as `identify` and `ClientTokens.identify` do.
   */
  async authenticate(request: IncomingMessage): Promise<ClientIdentity> {
    const { headers } = request;
    const { identities, tokens, certificates } = this.#settings;
    for (const key of presentedKeys(headers)) {
      const identity = identities.get(hash('sha256', key, 'hex'));
      if (identity !== undefined) return identity;
      const named = tokens === null ? null : await tokens.identify(key);
      if (named !== null) {
        for (const name of KEY_HEADERS) if (String(headers[name]).includes(key)) delete headers[name];
        return named;
      }
    }
    return certificateClient(request.socket, certificates) ?? this.identify(headers);
  }

  #find(key: string): ClientIdentity | undefined {
    const identity = this.#settings.identities.get(hash('sha256', key, 'hex'));
    if (identity !== undefined) this.#known.set(key, identity);
    return identity;
  }

  close(): void {
    this.#settings.tokens?.close();
  }

  /** Throws `invalid_api_key` when a key is required and none that was sent is valid. */
  identify(headers: IncomingHttpHeaders): ClientIdentity {
    const { identities, anonymous } = this.#settings;
    let isKeySent = false;
    if (identities.size > 0) {
      for (const key of presentedKeys(headers)) {
        isKeySent = true;
        const identity = this.#known.get(key) ?? this.#find(key);
        if (identity !== undefined) return identity;
      }
    }
    if (anonymous !== null) return anonymous;
    throw new FerryError('invalid_api_key', {
      message: isKeySent
        ? 'Invalid API key. Use one that is configured in tokenferry (authorization or clients).'
        : 'Missing API key. Send one that is configured in tokenferry as "Authorization: Bearer <key>".',
    });
  }
}

/** The client that a verified certificate of the connection names; null: there is none, or nobody has that name. */
function certificateClient(
  socket: Socket,
  certificates: readonly NamedCertificate[] | null,
): ClientIdentity | null {
  if (certificates === null || !(socket instanceof TLSSocket) || !socket.authorized) return null;
  const { subject, subjectaltname } = socket.getPeerCertificate();
  const names = [
    subject.CN,
    ...(subjectaltname ?? '').split(', ').map((one) => one.replace(/^[^:]*:/, '')),
  ].flat();
  for (const { matches, client } of certificates) {
    const user = names.find((name) => name !== undefined && matches(name));
    if (user !== undefined) return { ...client, user };
  }
  return null;
}

/** Throws `not_permitted` for a path that `clients[].paths` does not name, the list of models included. */
export function refuseForbiddenPath({ path, method }: RequestContext, client: ClientIdentity): void {
  if (client.mayUsePath === null) return;
  const asked = `${method} ${path}`;
  if (client.mayUsePath(asked)) return;
  throw new FerryError('not_permitted', {
    message: `Permission denied: this API key may not use ${asked.slice(0, 200)}.`,
  });
}

const KEY_HEADERS = ['authorization', 'x-api-key', 'api-key'] as const;

/** The scheme of `Authorization` may be in any case, with surplus spaces; several headers may be sent. */
export function presentedKeys(headers: IncomingHttpHeaders): string[] {
  const keys: string[] = [];
  const { authorization } = headers;
  if (authorization !== undefined) {
    const bearer = /^\s*bearer(?:\s+(.*))?$/is.exec(authorization);
    addKey(keys, bearer === null ? authorization : (bearer[1] ?? ''));
  }
  addKey(keys, headers['x-api-key']);
  addKey(keys, headers['api-key']);
  return keys;
}

function addKey(keys: string[], value: string | string[] | undefined): void {
  const key = (Array.isArray(value) ? value[0] : value)?.trim();
  if (key !== undefined && !EMPTY_KEYS.has(key)) keys.push(key);
}
