import { resolve } from 'node:path';
import { isJsonObject, parseJson } from '../lib/json/json-object.ts';
import { type CurlRequest, encodePairs, type Pair } from './curl-line.ts';
import { isSecretName, isUuid, looksSecret } from './secret-names.ts';
import { CurlError } from './shell-words.ts';
import type { FoundToken } from './token-finder.ts';

/** A token source for the configuration file; its secrets are variables. */
export interface SourceDraft {
  readonly source: Readonly<Record<string, unknown>>;
  readonly variables: ReadonlyMap<string, string>;
  /** A note for the user. */
  readonly notes: readonly string[];
}

interface DraftSettings {
  /** Its name in the configuration, with which the variables begin. */
  readonly name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values of the line that came from variables, and their names. */
  readonly variables: ReadonlyMap<string, string>;
  readonly nowMs: number;
  /** Of the success: members such as `code: 0`, which errors under status 200 have otherwise. */
  readonly success: Readonly<Record<string, string | number | boolean>>;
}

/** Commands of the line that were replaced by templates. */
const TEMPLATE = /^\{\{(?:uuid|now_s|now_ms)\}\}$/;
const NONCE_NAME = /nonce|rquid|request-?_?id|correlation|trace/i;
const TIME_NAME = /^(?:x-)?(?:ts|t|time|timestamp|req_?time|request_?time)$/i;
const SIGNATURE_NAME = /^(?:x-)?(?:sign|signature|sig|hmac|digest)$/i;
const DAY_MS = 86_400_000;
/** Headers that curl or the source sends by itself. */
const OWN_HEADERS = new Set(['accept', 'accept-encoding', 'content-length', 'host', 'user-agent']);
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** The token source that sends what a curl line sends; `oauth2` for a client_credentials grant, `http` for all else. */
export function draftSource(request: CurlRequest, found: FoundToken, settings: DraftSettings): SourceDraft {
  const draft = new Drafting(request, settings);
  const source = draft.oauth2(found) ?? draft.http(found);
  return { source, variables: draft.variables, notes: draft.notes };
}

class Drafting {
  readonly variables = new Map<string, string>();
  readonly notes: string[] = [];
  readonly #request: CurlRequest;
  readonly #settings: DraftSettings;

  constructor(request: CurlRequest, settings: DraftSettings) {
    this.#request = request;
    this.#settings = settings;
  }

  /** Null: the request is no client_credentials grant as RFC 6749 has it, or the token is not in its place. */
  oauth2(found: FoundToken): Record<string, unknown> | null {
    const { method, url, query, body, tls } = this.#request;
    const member = /^\/([^/~]+)$/.exec(found.tokenAt)?.[1];
    if (method !== 'POST' || query.length > 0 || body === null || member === undefined) return null;
    if (found.expiresAt !== null || Object.keys(this.#settings.success).length > 0) return null;
    const { parameters, encoding } = this.#parameters(body) ?? {};
    if (parameters?.get('grant_type') !== 'client_credentials') return null;
    const basic = this.#basic();
    const id = basic?.username ?? parameters.get('client_id');
    const secret = basic?.password ?? parameters.get('client_secret');
    const auth = basic !== null ? 'basic' : secret !== undefined ? 'post' : tls.cert === null ? null : 'mtls';
    if (id === undefined || auth === null) return null;
    const scope = parameters.get('scope');
    for (const name of ['grant_type', 'client_id', 'client_secret', 'scope']) parameters.delete(name);
    const headers = this.#headers([
      ...OWN_HEADERS,
      'content-type',
      ...(basic === null ? [] : ['authorization']),
    ]);
    const params = this.#texts([...parameters]);
    // RFC 6749 2.3.1 has both percent-encoded first, which curl does not do.
    const isLoose = basic !== null && (needsEncoding(id) || needsEncoding(secret ?? ''));
    return {
      type: 'oauth2',
      token_url: url,
      client_id: this.#literal('client_id', id),
      ...(secret === undefined ? {} : { client_secret: this.#variable('client_secret', secret) }),
      auth,
      ...(isLoose ? { auth_encoding: 'loose' } : {}),
      ...(scope === undefined ? {} : { scope }),
      ...nonEmpty({ params, headers }),
      ...(encoding === 'json' ? { encoding } : {}),
      ...(member === 'access_token' ? {} : { token_field: member }),
      ...this.#connection(),
    };
  }

  http(found: FoundToken): Record<string, unknown> {
    const { method, url, query } = this.#request;
    // `-d ''` is a POST without a body.
    const body = this.#request.body === '' ? null : this.#request.body;
    if (!['GET', 'POST', 'PUT', 'PATCH'].includes(method))
      throw new CurlError(`a token source cannot send ${method}: only GET, POST, PUT and PATCH`);
    const isRepeating = new Set(query.map(([name]) => name)).size < query.length;
    const basic = this.#basic();
    const content = body === null ? {} : this.#body(body);
    const isTyped = 'body_text' in content;
    const leftOut = [
      ...OWN_HEADERS,
      ...(isTyped ? [] : ['content-type']),
      ...(basic === null ? [] : ['authorization']),
    ];
    const { success } = this.#settings;
    return {
      type: 'http',
      url: isRepeating ? `${url}?${encodePairs(query)}` : url,
      ...(method === (body === null ? 'GET' : 'POST') ? {} : { method }),
      ...nonEmpty({ headers: this.#headers(leftOut), query: isRepeating ? {} : this.#texts(query) }),
      ...content,
      ...(basic === null
        ? {}
        : { basic: { username: basic.username, password: this.#variable('password', basic.password) } }),
      ...(Object.keys(success).length === 0 ? {} : { success: { json: success } }),
      token_at: found.tokenAt,
      ...(found.expiresAt === null ? {} : { expires_at: { pointer: found.expiresAt } }),
      ...(found.refreshInAt === null ? {} : { refresh_in_at: found.refreshInAt }),
      ...this.#connection(),
    };
  }

  /** `-u`, or the same as a header. */
  #basic(): CurlRequest['basic'] {
    const { basic, headers } = this.#request;
    if (basic !== null) return basic;
    const header = headers.find(([name]) => name.toLowerCase() === 'authorization')?.[1] ?? '';
    const encoded = /^Basic\s+([\w+/=-]+)$/i.exec(header)?.[1];
    const decoded = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
    const at = decoded.indexOf(':');
    // Anything but "user:password" in UTF-8 is sent unchanged.
    if (at < 0 || !/^[\x20-\x7e]+$/.test(decoded)) return null;
    return { username: decoded.slice(0, at), password: decoded.slice(at + 1) };
  }

  /** The parameters of a form, or of a flat JSON object of texts, each once; null for anything else. */
  #parameters(body: string): { parameters: Map<string, string>; encoding: 'form' | 'json' } | null {
    const json = this.#json(body);
    if (json === undefined) {
      const pairs = [...new URLSearchParams(body)];
      const parameters = new Map(pairs);
      return parameters.size === pairs.length ? { parameters, encoding: 'form' } : null;
    }
    if (!isJsonObject(json) || !Object.values(json).every((value) => typeof value === 'string')) return null;
    return { parameters: new Map(Object.entries(json as Record<string, string>)), encoding: 'json' };
  }

  /** Undefined: the body is no JSON. People forget the header, and then curl declares a form. */
  #json(body: string): unknown {
    const type = this.#contentType();
    return /json/i.test(type) || (type.startsWith(FORM_TYPE) && /^\s*[[{]/.test(body))
      ? parseJson(body)
      : undefined;
  }

  #contentType(): string {
    return this.#request.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  }

  #body(body: string): Record<string, unknown> {
    const json = this.#json(body);
    if (json !== undefined) return { body_json: this.#jsonValue('', json) };
    const pairs = [...new URLSearchParams(body)];
    const isForm = this.#contentType().startsWith(FORM_TYPE) && new Map(pairs).size === pairs.length;
    if (isForm && pairs.some(([, value]) => value !== '')) return { body_form: this.#texts(pairs) };
    // A text of any other form may hold secrets anywhere.
    return { body_text: this.#variable('body', body) };
  }

  #jsonValue(name: string, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#jsonValue('', item));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([key, child]) => [key, this.#jsonValue(key, child)]),
      );
    }
    if (typeof value === 'string') return this.#literal(name, value, 'json');
    const time = typeof value === 'number' ? this.#timeTemplate(name, String(value)) : null;
    return time === null ? value : `{{${time}}}`;
  }

  #headers(leftOut: readonly string[]): Record<string, string> {
    const names = new Set(leftOut);
    return this.#texts(this.#request.headers.filter(([name]) => !names.has(name.toLowerCase())));
  }

  #texts(pairs: readonly Pair[]): Record<string, string> {
    return Object.fromEntries(pairs.map(([name, value]) => [name, this.#literal(name, value)]));
  }

  /** A value as it is written into the file: itself, a template, or a variable when it may be a secret. */
  #literal(name: string, value: string, place: 'json' | 'text' = 'text'): string {
    if (TEMPLATE.test(value)) return place === 'json' ? textTemplate(value) : value;
    if (SIGNATURE_NAME.test(name)) {
      this.notes.push(
        `${name} looks computed from the other values: a copy of it is good for minutes at most. Write how it is computed as a template, see docs/tokens.md#templates.`,
      );
    }
    const time = this.#timeTemplate(name, value);
    if (time !== null) return place === 'json' ? `{{text(${time})}}` : `{{${time}}}`;
    if (NONCE_NAME.test(name) && isUuid(value)) {
      this.notes.push(`${name} is a new UUID in each request now.`);
      return '{{uuid}}';
    }
    const isId = /^(?:client|app)_?id$/i.test(name);
    const isSecret = isSecretName(name) || (looksSecret(value) && !isId) || /\{\{|\$\{/.test(value);
    return isSecret && value !== '' ? this.#variable(name, value) : value;
  }

  #timeTemplate(name: string, value: string): 'now_s' | 'now_ms' | null {
    if (!TIME_NAME.test(name) || !/^\d{10}(?:\d{3})?$/.test(value)) return null;
    const isMs = value.length === 13;
    if (Math.abs(Number(value) * (isMs ? 1 : 1000) - this.#settings.nowMs) > 365 * DAY_MS) return null;
    this.notes.push(`${name} is the time of each request now.`);
    return isMs ? 'now_ms' : 'now_s';
  }

  /** `${NAME}`, with the value kept for the `.env`. */
  #variable(name: string, value: string): string {
    const own = this.#settings.variables.get(value);
    const base = `${this.#settings.name}_${name}`
      .replace(/([a-z\d])([A-Z])/g, '$1_$2')
      .replace(/\W+/g, '_')
      .toUpperCase();
    let chosen = own ?? base;
    for (let number = 2; !this.#isFree(chosen, value); number += 1) chosen = `${base}_${number}`;
    this.variables.set(chosen, value);
    return `\${${chosen}}`;
  }

  /** The environment wins over the file: a variable that has another value there cannot be used. */
  #isFree(name: string, value: string): boolean {
    return (this.variables.get(name) ?? value) === value && (this.#settings.env[name] ?? value) === value;
  }

  #connection(): Record<string, unknown> {
    const { tls, proxy } = this.#request;
    const file = (path: string | null) => (path === null ? {} : { path: resolve(path) });
    const files = { ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key ?? tls.cert) };
    const given = Object.entries(tls.cert === null ? { ca: files.ca } : files).flatMap(([name, one]) =>
      'path' in one ? [[name, one.path]] : [],
    );
    const passphrase =
      tls.passphrase === null ? [] : [['passphrase', this.#variable('key_passphrase', tls.passphrase)]];
    const all = Object.fromEntries([...given, ...passphrase]) as Record<string, string>;
    const hasPassword = proxy !== null && new URL(proxy).password !== '';
    return {
      ...nonEmpty({ tls: all }),
      ...(proxy === null ? {} : { proxy: hasPassword ? this.#variable('proxy', proxy) : proxy }),
    };
  }
}

/** In JSON a text that is one expression keeps its type, which would be a number. */
function textTemplate(template: string): string {
  return template === '{{uuid}}' ? template : template.replace(/\{\{(\w+)\}\}/, '{{text($1)}}');
}

function needsEncoding(text: string): boolean {
  return new URLSearchParams({ x: text }).toString() !== `x=${text}`;
}

function nonEmpty(sections: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(Object.entries(sections).filter(([, value]) => Object.keys(value).length > 0));
}
