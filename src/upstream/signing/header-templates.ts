import { isUtf8 } from 'node:buffer';
import { Secret } from '../../lib/secret.ts';
import { BUILT_IN_NAMES, type Definition, RequestScope } from '../../tokens/template/request-scope.ts';
import { Template, TemplateError, type TemplateValue } from '../../tokens/template/template.ts';
import {
  type RequestSigner,
  type SignableRequest,
  SigningError,
  type SigningFacts,
  setHeader,
  splitPath,
} from './request-signer.ts';

type Texts = Readonly<Record<string, string | Secret>>;

interface HeaderTemplateSettings {
  /** Names and templates of what is added to each request. */
  readonly headers: Texts;
  readonly query: Texts;
  /** Names for the templates; a secret is taken literally. */
  readonly vars: Texts;
  /** `token` and the names of the further values of the upstream's token source; empty without one. */
  readonly chainedNames: readonly string[];
}

/** The names that describe the request. */
const REQUEST_NAMES = ['method', 'host', 'path', 'query', 'body'];
/** Names whose values need the whole body. */
const BODY_NAMES = ['body', 'body_sha256', 'body_sha256_base64', 'body_md5', 'body_md5_base64'];

/** Schemes of the kind "app id, timestamp, nonce and a hash or an HMAC over them and the body", in the template language. */
export class HeaderTemplates implements RequestSigner {
  readonly kind = 'headers';
  readonly usesTokenAsCredential = false;
  readonly coversBody: boolean;
  readonly rejectsCredentials = null;
  readonly #headers: ReadonlyMap<string, Template>;
  readonly #query: ReadonlyMap<string, Template>;
  readonly #vars: ReadonlyMap<string, Template>;
  readonly #usesBodyText: boolean;

  /** Throws `TemplateError`. */
  constructor({ headers, query, vars, chainedNames }: HeaderTemplateSettings) {
    this.#headers = compileAll(headers);
    this.#query = compileAll(query);
    this.#vars = compileAll(vars);
    const known = new Set([
      ...BUILT_IN_NAMES,
      ...REQUEST_NAMES,
      ...chainedNames,
      ...this.#vars.keys(),
      ...this.#query.keys(),
    ]);
    const templates = [...this.#headers.values(), ...this.#query.values(), ...this.#vars.values()];
    const used = new Set(templates.flatMap(({ names }) => [...names]));
    const unknown = [...used].find((name) => !known.has(name));
    if (unknown !== undefined)
      throw new TemplateError(`unknown name ${unknown}; known are ${[...known].join(', ')}`);
    this.coversBody = BODY_NAMES.some((name) => used.has(name));
    this.#usesBodyText = used.has('body');
  }

  sign(request: SignableRequest, { nowWallMs, values }: SigningFacts): void {
    const [path, wholeQuery] = splitPath(request.path);
    const query = this.#withoutOurs(wholeQuery);
    const given: Record<string, TemplateValue> = {
      ...values,
      method: request.method,
      host: request.host,
      path,
      query,
    };
    if (this.#usesBodyText) given.body = textOf(request.body);
    const fields = new Map<string, Definition>([...literalsOf(query), ...this.#query]);
    const scope = new RequestScope({ nowWallMs, vars: this.#vars, fields, given });
    scope.body = request.body ?? '';
    try {
      const added = [...this.#query].map(
        ([name, template]) =>
          `${encodeURIComponent(name)}=${encodeURIComponent(String(scope.compute(name, template)))}`,
      );
      if (added.length > 0)
        request.path = `${path}?${[...(query === '' ? [] : [query]), ...added].join('&')}`;
      for (const [name, template] of this.#headers)
        setHeader(request.headers, name.toLowerCase(), headerValue(name, template.renderText(scope)));
    } catch (error) {
      throw error instanceof TemplateError ? new SigningError(error.message) : error;
    }
  }

  /** A client cannot set what is added here. */
  #withoutOurs(query: string): string {
    if (this.#query.size === 0) return query;
    const kept = query.split('&').filter((part) => {
      const [name = ''] = new URLSearchParams(part).keys();
      return !this.#query.has(name);
    });
    return kept.join('&');
  }
}

function compileAll(texts: Texts): Map<string, Template> {
  return new Map(Object.entries(texts).map(([name, text]) => [name, Template.compile(text)]));
}

/** The parameters that the request has already, for `sorted_query`: never templates, whatever a client sends. */
function literalsOf(query: string): [string, Template][] {
  return [...new URLSearchParams(query)].map(([name, value]) => [name, Template.compile(new Secret(value))]);
}

function textOf(body: SignableRequest['body']): string {
  if (body === null) return '';
  if (typeof body === 'string') return body;
  if (!isUtf8(body))
    throw new SigningError('the body is no text: use body_sha256 or body_md5 in the templates of sign');
  return body.toString('utf8');
}

/** What no header can carry would be quoted by an error of the HTTP library. */
function headerValue(name: string, value: string): string {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return value;
  throw new SigningError(`header ${name}: the value has a character that is not allowed in a header`);
}
