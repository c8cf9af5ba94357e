import { Secret } from '../../../lib/secret.ts';
import type { IssuerRequest } from '../../issuer/issuer-client.ts';
import { BUILT_IN_NAMES, type Definition, RequestScope } from '../../template/request-scope.ts';
import { Template, TemplateError, type TemplateJson, TemplateTree } from '../../template/template.ts';
import type { HttpSettings } from './http-settings.ts';

type Texts = Readonly<Record<string, string | number | Secret>>;

/** What one rendering needs from outside. */
interface RenderContext {
  readonly nowWallMs: number;
  /** The chained source's token, when there is one. */
  readonly token?: string | undefined;
  readonly force: boolean;
}

/**
 * The request of an `http` source, compiled once. A field that only a signature needs is found by its name;
 * an unknown name is found here, before the first request.
 */
export class HttpRequestRecipe {
  readonly #settings: HttpSettings;
  readonly #url: Template;
  readonly #vars: ReadonlyMap<string, Template>;
  readonly #query: ReadonlyMap<string, Template>;
  readonly #headers: ReadonlyMap<string, Template>;
  readonly #form: ReadonlyMap<string, Template> | undefined;
  readonly #json: ReadonlyMap<string, TemplateTree> | TemplateTree | undefined;
  readonly #text: Template | undefined;
  readonly #fields: ReadonlyMap<string, Definition>;

  /** Throws `TemplateError`. */
  constructor(settings: HttpSettings) {
    this.#settings = settings;
    this.#url = compileUrl(settings.url);
    this.#vars = compileAll(settings.vars);
    this.#query = compileAll(settings.query);
    this.#headers = new Map(
      [...compileAll(settings.headers)].map(([name, text]) => [name.toLowerCase(), text]),
    );
    this.#form = settings.bodyForm === undefined ? undefined : compileAll(settings.bodyForm);
    this.#text = settings.bodyText === undefined ? undefined : Template.compile(settings.bodyText);
    this.#json = settings.bodyJson === undefined ? undefined : compileJson(settings.bodyJson);
    const bodyFields = this.#form ?? (this.#json instanceof Map ? this.#json : []);
    this.#fields = new Map<string, Definition>([...this.#query, ...bodyFields]);
    this.#checkNames();
  }

  render({ nowWallMs, token, force }: RenderContext): IssuerRequest {
    const given = token === undefined ? {} : { token };
    const scope = new RequestScope({ nowWallMs, vars: this.#vars, fields: this.#fields, given });
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
    const known = new Set<string>([
      ...BUILT_IN_NAMES,
      ...(this.#settings.token === undefined ? [] : ['token']),
      ...this.#vars.keys(),
      ...this.#fields.keys(),
    ]);
    const bodyTree = this.#json instanceof TemplateTree ? [this.#json] : [];
    const text = this.#text === undefined ? [] : [this.#text];
    const all: readonly { names: ReadonlySet<string> }[] = [
      this.#url,
      ...this.#vars.values(),
      ...this.#headers.values(),
      ...this.#fields.values(),
      ...bodyTree,
      ...text,
    ];
    for (const name of all.flatMap((part) => [...part.names])) {
      if (!known.has(name))
        throw new TemplateError(`unknown name ${name}; known are ${[...known].join(', ')}`);
    }
  }
}

/** The origin is fixed: a template must not be able to send secrets to another server. */
function compileUrl(url: string): Template {
  const origin = /^https?:\/\/[^/?#]+/i.exec(url)?.[0];
  if (origin === undefined || !URL.canParse(origin)) throw new TemplateError('is no http:// or https:// URL');
  if (origin.includes('{{')) throw new TemplateError('may have templates behind the host only');
  return Template.compile(url);
}

function compileAll(texts: Texts | undefined): Map<string, Template> {
  return new Map(Object.entries(texts ?? {}).map(([name, text]) => [name, Template.compile(text)]));
}

/** An object's members one by one, so that they can name each other; any other JSON as a whole. */
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
