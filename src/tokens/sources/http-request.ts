import { Secret } from '../../lib/secret.ts';
import type { ExpiresAtSettings } from '../expiry/expiry.ts';
import type { ConnectionSettings, IssuerRequest } from '../issuer/issuer-client.ts';
import { BUILT_IN_NAMES, type Definition, RequestScope } from '../template/request-scope.ts';
import { Template, TemplateError, type TemplateJson, TemplateTree } from '../template/template.ts';
import type { TokenUse } from './chained-tokens.ts';
import type { ResponseMatch } from './http-response.ts';

/** A token request of any shape, declared. Every text may be a template but the origin of `url`. */
export interface HttpSettings extends ConnectionSettings {
  readonly type: 'http';
  readonly url: string;
  /** POST with a body and GET without one by default. */
  readonly method?: string;
  readonly query?: Readonly<Record<string, string | number | Secret>>;
  readonly headers?: Readonly<Record<string, string | number | Secret>>;
  /** At most one of the three. */
  readonly bodyJson?: TemplateJson;
  readonly bodyForm?: Readonly<Record<string, string | number | Secret>>;
  readonly bodyText?: string | Secret;
  /** Names for templates. A `Secret` is taken literally, a text may be a template itself. */
  readonly vars?: Readonly<Record<string, string | number | Secret>>;
  /** HTTP Basic: `user:password`. */
  readonly basic?: { readonly username: string; readonly password: Secret };
  /** Another source whose token is `token` in templates, and its further values by their names. */
  readonly token?: string;
  /** The names of those further values. */
  readonly chainedNames?: readonly string[];
  readonly tokenUse?: TokenUse;
  readonly success?: ResponseMatch;
  /** Which responses mean that the credentials are wrong: retried slowly, as issuers lock accounts. */
  readonly denied?: ResponseMatch;
  /**
   * JSON pointer | `header:NAME` | `cookie:NAME` | `regex:PATTERN` (first group) | `form:NAME` | `body`; any but
   * `regex:` with ` regex:PATTERN` behind it takes a part of what is there.
   */
  readonly tokenAt: string;
  readonly expiresAt?: ExpiresAtSettings;
  /** JSON pointer to the seconds after which the token should be renewed. */
  readonly refreshIn?: string;
  /** Added to query (`in: query`) or body (`in: body`) only when a fresh token is a must. */
  readonly force?: {
    readonly in: 'query' | 'body';
    readonly name: string;
    readonly value: string | number | boolean;
  };
  /** Further values of the response that placements and the next source of a chain can name: name to place, as `tokenAt`. */
  readonly extra?: Readonly<Record<string, string>>;
}

type Texts = Readonly<Record<string, string | number | Secret>>;

interface RenderContext {
  readonly nowWallMs: number;
  /** The chained source's values by name; empty without one. */
  readonly chained: Readonly<Record<string, string>>;
  readonly force: boolean;
}

/** Builds the requests of an `http` source. The templates are compiled once; an unknown name is found then. */
export class HttpRequestBuilder {
  readonly #settings: HttpSettings;
  readonly #url: Template;
  readonly #vars: ReadonlyMap<string, Template>;
  readonly #query: ReadonlyMap<string, Template>;
  readonly #headers: ReadonlyMap<string, Template>;
  readonly #form: ReadonlyMap<string, Template> | undefined;
  readonly #json: ReadonlyMap<string, TemplateTree> | TemplateTree | undefined;
  readonly #text: Template | undefined;
  /** Query and body fields, which may use each other by name. */
  readonly #fields: ReadonlyMap<string, Definition>;

  /** Throws `TemplateError`. */
  constructor(settings: HttpSettings) {
    const { url, vars, query, headers, bodyForm, bodyText, bodyJson } = settings;
    this.#settings = settings;
    this.#url = Template.compile(url);
    this.#vars = compileAll(vars);
    this.#query = compileAll(query);
    this.#headers = new Map([...compileAll(headers)].map(([name, text]) => [name.toLowerCase(), text]));
    this.#form = bodyForm === undefined ? undefined : compileAll(bodyForm);
    this.#text = bodyText === undefined ? undefined : Template.compile(bodyText);
    this.#json = bodyJson === undefined ? undefined : compileJson(bodyJson);
    const bodyFields = this.#form ?? (this.#json instanceof Map ? this.#json : []);
    this.#fields = new Map<string, Definition>([...this.#query, ...bodyFields]);
    this.#checkNames();
  }

  /** Throws `TemplateError`. */
  render({ nowWallMs, chained, force }: RenderContext): IssuerRequest {
    const scope = new RequestScope({ nowWallMs, vars: this.#vars, fields: this.#fields, given: chained });
    const forced = force ? this.#settings.force : undefined;
    const body = this.#renderBody(scope, forced?.in === 'body' ? forced : undefined);
    scope.body = body?.text ?? '';
    const url = new URL(this.#url.renderText(scope));
    for (const [name, template] of this.#query)
      url.searchParams.append(name, fieldText(scope, name, template));
    if (forced?.in === 'query') url.searchParams.set(forced.name, String(forced.value));
    const headers: Record<string, string> = body === undefined ? {} : { 'content-type': body.contentType };
    for (const [name, template] of this.#headers) headers[name] = template.renderText(scope);
    const { basic, method } = this.#settings;
    if (basic !== undefined) {
      const pair = Buffer.from(`${basic.username}:${basic.password.reveal()}`).toString('base64');
      headers.authorization = `Basic ${pair}`;
    }
    return {
      method: method?.toUpperCase() ?? (body === undefined ? 'GET' : 'POST'),
      url: url.href,
      headers,
      body: body?.text ?? null,
    };
  }

  #renderBody(
    scope: RequestScope,
    forced: HttpSettings['force'],
  ): { text: string; contentType: string } | undefined {
    if (this.#form !== undefined) {
      const form = new URLSearchParams();
      for (const [name, template] of this.#form) form.append(name, fieldText(scope, name, template));
      if (forced !== undefined) form.set(forced.name, String(forced.value));
      return { text: form.toString(), contentType: 'application/x-www-form-urlencoded' };
    }
    if (this.#json !== undefined) {
      const json =
        this.#json instanceof TemplateTree
          ? this.#json.render(scope)
          : Object.fromEntries([...this.#json].map(([name, tree]) => [name, scope.compute(name, tree)]));
      const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
      const whole = forced !== undefined && isObject ? { ...json, [forced.name]: forced.value } : json;
      return { text: JSON.stringify(whole), contentType: 'application/json' };
    }
    if (this.#text === undefined) return undefined;
    return { text: this.#text.renderText(scope), contentType: 'text/plain' };
  }

  #checkNames(): void {
    const { token, chainedNames = [] } = this.#settings;
    const chained = token === undefined ? [] : ['token', ...chainedNames];
    const known = new Set([...BUILT_IN_NAMES, ...chained, ...this.#vars.keys(), ...this.#fields.keys()]);
    const all = [
      this.#url,
      ...this.#vars.values(),
      ...this.#headers.values(),
      ...this.#fields.values(),
      ...(this.#json instanceof TemplateTree ? [this.#json] : []),
      ...(this.#text === undefined ? [] : [this.#text]),
    ];
    const unknown = all.flatMap((part) => [...part.names]).find((name) => !known.has(name));
    if (unknown === undefined) return;
    throw new TemplateError(`unknown name ${unknown}; known are ${[...known].join(', ')}`);
  }
}

function compileAll(texts: Texts = {}): Map<string, Template> {
  return new Map(Object.entries(texts).map(([name, text]) => [name, Template.compile(text)]));
}

/** An object's members one by one, so that they can use each other; any other JSON as a whole. */
function compileJson(json: TemplateJson): Map<string, TemplateTree> | TemplateTree {
  if (typeof json !== 'object' || json === null || Array.isArray(json) || json instanceof Secret) {
    return TemplateTree.compile(json);
  }
  return new Map(Object.entries(json).map(([name, value]) => [name, TemplateTree.compile(value)]));
}

function fieldText(scope: RequestScope, name: string, template: Template): string {
  const value = scope.compute(name, template);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
