import type { IncomingHttpHeaders } from 'node:http';

/** Hop-by-hop (RFC 9110 section 7.6.1) and framing headers: they belong to one connection. */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Headers of a client, or of a proxy before us, that `keep_header` does not forward. */
const CLIENT_HEADERS: ReadonlySet<string> = new Set([
  // Its credentials.
  'api-key',
  'authorization',
  'cookie',
  'x-api-key',
  // Where it comes from: an upstream would take it for a statement of ours.
  'cf-connecting-ip',
  'fastly-client-ip',
  'forwarded',
  'true-client-ip',
  'via',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-host',
  'x-real-ip',
  // Turns it into another request than the one that was admitted.
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
  // Our responses are not compressed; an upstream that compresses costs CPU twice.
  'accept-encoding',
]);
/** Address, host, user, certificate, path: what proxies report of the client. */
const FORWARDED = 'x-forwarded-';

/** Forwarded to every upstream; a body is forwarded as it came, and with it the headers that describe it. */
const ALWAYS_FORWARDED = [
  'content-type',
  'content-encoding',
  'accept',
  'openai-beta',
  'anthropic-version',
  'anthropic-beta',
] as const;

export interface HeaderSettings {
  /** Fixed headers of the upstream's configuration; they win over the client's. */
  readonly headers: Readonly<Record<string, string>>;
  /** Names of client headers that are passed on. */
  readonly forwardHeaders: readonly string[];
  /** True: all client headers but those of the connection and those that identify the client. */
  readonly isKeepingHeaders: boolean;
}

/** Decides which headers an upstream gets; prepared once per upstream, one flat array a request. */
export class RequestHeaders {
  readonly #fixed: readonly string[];
  readonly #fixedNames: ReadonlySet<string>;
  readonly #forwarded: readonly string[];
  readonly #isKeepingHeaders: boolean;

  constructor(settings: HeaderSettings) {
    const fixed = Object.entries(settings.headers).map(
      ([name, value]) => [name.toLowerCase(), value] as const,
    );
    this.#fixed = fixed.flat();
    this.#fixedNames = new Set(fixed.map(([name]) => name));
    const wanted = [...ALWAYS_FORWARDED, ...settings.forwardHeaders.map((name) => name.toLowerCase())];
    this.#forwarded = wanted.filter((name) => !this.#fixedNames.has(name) && !CONNECTION_HEADERS.has(name));
    this.#isKeepingHeaders = settings.isKeepingHeaders;
  }

  /** Flat name, value, … in lower case, as `undici.dispatch` takes them. */
  build(client: IncomingHttpHeaders): string[] {
    const flat = [...this.#fixed];
    if (this.#isKeepingHeaders) {
      for (const name in client) {
        if (this.#isKept(name, client)) add(flat, name, client[name]);
      }
      return flat;
    }
    for (const name of this.#forwarded) add(flat, name, client[name]);
    return flat;
  }

  /** Sets these headers in `flat` in place of what the client sent under their names; fixed ones stay as configured. */
  replace(flat: string[], names: readonly string[], values: Readonly<Record<string, string>>): void {
    for (const name of names) {
      if (this.#fixedNames.has(name)) continue;
      for (let at = flat.length - 2; at >= 0; at -= 2) if (flat[at] === name) flat.splice(at, 2);
      add(flat, name, values[name]);
    }
  }

  #isKept(name: string, client: IncomingHttpHeaders): boolean {
    if (CONNECTION_HEADERS.has(name) || CLIENT_HEADERS.has(name) || this.#fixedNames.has(name)) return false;
    if (name.startsWith(FORWARDED)) return false;
    // RFC 9110 section 7.6.1: `connection` names further headers of this hop.
    const { connection } = client;
    return (
      connection === undefined ||
      !connection
        .toLowerCase()
        .split(/\s*,\s*/)
        .includes(name)
    );
  }
}

function add(flat: string[], name: string, value: string | string[] | undefined): void {
  if (value === undefined) return;
  if (typeof value === 'string') flat.push(name, value);
  else for (const one of value) flat.push(name, one);
}
