import { createHash, randomBytes, randomUUID } from 'node:crypto';
import {
  type RenderedJson,
  type Template,
  TemplateError,
  type TemplateScope,
  type TemplateTree,
  type TemplateValue,
} from './template.ts';

const SORTED = ['sorted_params', 'sorted_query'];

/** Names that every template of a request has beside its variables and fields. */
export const BUILT_IN_NAMES: readonly string[] = [
  ...['now_s', 'now_ms', 'now_iso', 'now_iso_s', 'now_http', 'uuid', 'nonce'],
  ...SORTED,
  ...['body_sha256', 'body_sha256_base64', 'body_md5', 'body_md5_base64'],
];

/** Digests of the final body. */
const BODY_DIGEST = /^body_(sha256|md5)(_base64)?$/;

/** The meaning of a name: one template, or one field of a body. */
export type Definition = Template | TemplateTree;

interface ScopeParts {
  readonly nowWallMs: number;
  /** The configured variables. They hide everything else of the same name. */
  readonly vars: ReadonlyMap<string, Template>;
  /** Fields of query and body: usable by name in each other, and what `sorted_params` joins. */
  readonly fields: ReadonlyMap<string, Definition>;
  /** Values that need no template: the token of a chained source. */
  readonly given?: Readonly<Record<string, TemplateValue>>;
}

/**
 * The values of one request. Each name is computed at most once, so that `nonce` and `now_ms` are the same in
 * the body and in its signature. Fields may use each other; a circular reference is an error that names the field.
 */
export class RequestScope implements TemplateScope {
  readonly #parts: ScopeParts;
  readonly #values = new Map<string, TemplateValue>();
  readonly #computed = new Map<Definition, RenderedJson>();
  /** What is being computed right now, outermost first: a second visit is a circular reference. */
  readonly #open = new Set<Definition>();
  #body: string | Buffer | undefined;

  constructor(parts: ScopeParts) {
    this.#parts = parts;
    const { nowWallMs } = parts;
    this.#values.set('now_ms', Math.floor(nowWallMs));
    this.#values.set('now_s', Math.floor(nowWallMs / 1000));
    this.#values.set('now_iso', new Date(nowWallMs).toISOString());
    this.#values.set('now_iso_s', `${new Date(nowWallMs).toISOString().slice(0, 19)}Z`);
    this.#values.set('now_http', new Date(nowWallMs).toUTCString());
    this.#values.set('uuid', randomUUID());
    this.#values.set('nonce', randomBytes(16).toString('hex'));
    for (const [name, value] of Object.entries(parts.given ?? {})) this.#values.set(name, value);
    for (const name of parts.vars.keys()) this.#values.delete(name);
  }

  /** Set once the body is final; before that its digests are errors. */
  set body(body: string | Buffer) {
    this.#body = body;
  }

  valueOf(name: string): TemplateValue {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const definition = this.#parts.vars.get(name) ?? this.#parts.fields.get(name);
    if (definition === undefined) return this.#special(name);
    return plain(this.compute(name, definition));
  }

  /** The value of a variable or field with its JSON type; `name` is for the error message only. */
  compute(name: string, definition: Definition): RenderedJson {
    const computed = this.#computed.get(definition);
    if (computed !== undefined) return computed;
    if (this.#open.has(definition))
      throw new TemplateError(`circular reference: ${name} needs its own value`);
    this.#open.add(definition);
    try {
      const value = definition.render(this);
      // sorted_params leaves out the fields being computed, so a value made of it depends on where it is used.
      if (!SORTED.some((sorted) => definition.names.has(sorted))) this.#computed.set(definition, value);
      return value;
    } finally {
      this.#open.delete(definition);
    }
  }

  #special(name: string): TemplateValue {
    if (name === 'sorted_params') return this.#sortedParams((text) => text);
    if (name === 'sorted_query') return this.#sortedParams(percentEncode);
    const [, algorithm, isBase64] = BODY_DIGEST.exec(name) ?? [];
    if (algorithm !== undefined) {
      if (this.#body === undefined) throw new TemplateError(`${name} is available in headers and query only`);
      return createHash(algorithm)
        .update(this.#body)
        .digest(isBase64 === undefined ? 'hex' : 'base64');
    }
    throw new TemplateError(`unknown name ${name}`);
  }

  /**
   * `name=value` of every query and body field that is not empty, sorted by name, joined by `&`, not encoded: what
   * "sign of the sorted parameters" means with most gateways. `sorted_query` is the same, percent-encoded, as
   * Alibaba signs it. Fields being computed (the signature) are left out.
   */
  #sortedParams(encode: (text: string) => string): string {
    return [...this.#parts.fields]
      .filter(([, definition]) => !this.#open.has(definition))
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, definition]) => [name, String(plain(this.compute(name, definition)))] as const)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .join('&');
  }
}

function plain(value: RenderedJson): TemplateValue {
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value);
}

/** RFC 3986: everything but letters, digits and `-._~`. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
