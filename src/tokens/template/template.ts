import { createHash, createHmac } from 'node:crypto';
import { Secret } from '../../lib/secret.ts';

/** What a template gives: numbers stay numbers, so that JSON gets `1767225600` and not `"1767225600"`. */
export type TemplateValue = string | number;

/** Where names get their values. Throws `TemplateError` for an unknown name. */
export interface TemplateScope {
  valueOf(name: string): TemplateValue;
}

/** A template that cannot be compiled or rendered. The message quotes expressions only, never a value. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

type Evaluate = (scope: TemplateScope) => TemplateValue;

/**
 * Text with `{{expressions}}`: names, numbers, 'text', `+` and the functions below. Text that is exactly one expression
 * keeps that expression's type, everything else gives text. Compiled once, rendered for each request.
 */
export class Template {
  /** Every name that is used, so that a typing error is found at load. */
  readonly names: ReadonlySet<string>;
  readonly #parts: readonly (string | number | Evaluate)[];

  private constructor(
    parts: readonly (string | number | Evaluate)[],
    names: ReadonlySet<string> = new Set(),
  ) {
    this.#parts = parts;
    this.names = names;
  }

  /** A secret is taken literally: what looks like a template in it is part of the secret. Throws `TemplateError`. */
  static compile(text: string | number | Secret): Template {
    if (typeof text !== 'string') return new Template([text instanceof Secret ? text.reveal() : text]);
    const parts: (string | Evaluate)[] = [];
    const names = new Set<string>();
    let at = 0;
    for (let open = text.indexOf('{{'); open !== -1; open = text.indexOf('{{', at)) {
      if (open > at) parts.push(text.slice(at, open));
      const { tokens, end } = tokensOf(text, open + 2);
      parts.push(new ExpressionParser(tokens, text.slice(open + 2, end - 2).trim(), names).parse());
      at = end;
    }
    if (at < text.length) parts.push(text.slice(at));
    return new Template(parts, names);
  }

  render(scope: TemplateScope): TemplateValue {
    const values = this.#parts.map((part) => (typeof part === 'function' ? part(scope) : part));
    return values.length === 1 ? (values[0] as TemplateValue) : values.join('');
  }

  renderText(scope: TemplateScope): string {
    return String(this.render(scope));
  }
}

/** JSON whose texts may be templates and whose leaves may be secrets. Keys are used literally. */
export type TemplateJson =
  | string
  | number
  | boolean
  | null
  | Secret
  | readonly TemplateJson[]
  | { readonly [key: string]: TemplateJson };

export type RenderedJson = TemplateValue | boolean | null | RenderedJson[] | { [key: string]: RenderedJson };

/** JSON with its templates compiled; `names` are all names used anywhere in it. */
export class TemplateTree {
  readonly names: ReadonlySet<string>;
  readonly #render: (scope: TemplateScope) => RenderedJson;

  private constructor(names: Iterable<string>, render: (scope: TemplateScope) => RenderedJson) {
    this.names = new Set(names);
    this.#render = render;
  }

  static compile(json: TemplateJson): TemplateTree {
    if (json === null || typeof json === 'boolean') return new TemplateTree([], () => json);
    if (typeof json === 'string' || typeof json === 'number' || json instanceof Secret) {
      const template = Template.compile(json);
      return new TemplateTree(template.names, (scope) => template.render(scope));
    }
    const trees = Object.entries(json).map(([key, value]) => [key, TemplateTree.compile(value)] as const);
    const names = trees.flatMap(([, tree]) => [...tree.names]);
    if (Array.isArray(json)) {
      return new TemplateTree(names, (scope) => trees.map(([, tree]) => tree.render(scope)));
    }
    return new TemplateTree(names, (scope) =>
      // fromEntries defines own properties, so that a field named __proto__ stays a field.
      Object.fromEntries(trees.map(([key, tree]) => [key, tree.render(scope)])),
    );
  }

  render(scope: TemplateScope): RenderedJson {
    return this.#render(scope);
  }
}

interface Token {
  readonly kind: 'number' | 'text' | 'name' | 'sign';
  readonly text: string;
}

const TOKEN =
  /\s*(?:(-?\d+(?:\.\d+)?)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([A-Za-z_]\w*)|(\}\}|[^\s}]))/y;

/** The tokens from `start` up to the closing braces, and the index behind those. */
function tokensOf(text: string, start: number): { tokens: Token[]; end: number } {
  const tokens: Token[] = [];
  TOKEN.lastIndex = start;
  for (;;) {
    const match = TOKEN.exec(text);
    if (match === null) throw new TemplateError('"{{" without its "}}"');
    const [, number, double, single, name, sign = ''] = match;
    const quoted = double ?? single;
    if (sign === '}}') return { tokens, end: TOKEN.lastIndex };
    if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: unescaped(quoted) });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else tokens.push({ kind: 'sign', text: sign });
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unescaped(quoted: string): string {
  return quoted.replace(/\\(.)/gs, (_, sign: string) => ESCAPES[sign] ?? sign);
}

/** Bounds the recursion over what a hostile file can nest. */
const MAX_DEPTH = 32;

/** Compiles the tokens of one expression: terms joined by `+`; a term is a number, a text, a name or a function call. */
class ExpressionParser {
  readonly #tokens: readonly Token[];
  readonly #source: string;
  readonly #names: Set<string>;
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], source: string, names: Set<string>) {
    this.#tokens = tokens;
    this.#source = source;
    this.#names = names;
  }

  parse(): Evaluate {
    const expression = this.#sum();
    const rest = this.#tokens[this.#next];
    if (rest !== undefined) throw this.#unexpected(rest);
    return expression;
  }

  #sum(): Evaluate {
    if (++this.#depth > MAX_DEPTH) throw this.#error('nested too deep');
    let sum = this.#term();
    while (this.#takes('+')) {
      const left = sum;
      const right = this.#term();
      sum = (scope) => added(left(scope), right(scope));
    }
    this.#depth--;
    return sum;
  }

  #term(): Evaluate {
    const token = this.#tokens[this.#next++];
    if (token === undefined) throw this.#error('ends too early');
    const { kind, text } = token;
    if (kind === 'sign') throw this.#unexpected(token);
    if (kind === 'name') {
      if (this.#takes('(')) return this.#call(text);
      this.#names.add(text);
      return (scope) => scope.valueOf(text);
    }
    const value = kind === 'number' ? Number(text) : text;
    return () => value;
  }

  #call(name: string): Evaluate {
    const args: Evaluate[] = [];
    if (!this.#takes(')')) {
      do args.push(this.#sum());
      while (this.#takes(','));
      if (!this.#takes(')')) throw this.#error('")" is missing');
    }
    const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (known === undefined) {
      throw new TemplateError(`unknown function ${name}(); known are ${Object.keys(FUNCTIONS).join(', ')}`);
    }
    const { min, max, run } = known;
    if (args.length < min || args.length > max) {
      const wanted = min === max ? `${min}` : `${min} or ${max}`;
      throw new TemplateError(`${name}() takes ${wanted} arguments, not ${args.length}`);
    }
    return (scope) => run(...args.map((arg) => String(arg(scope))));
  }

  #takes(sign: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.kind !== 'sign' || token.text !== sign) return false;
    this.#next++;
    return true;
  }

  #unexpected({ text }: Token): TemplateError {
    return this.#error(
      `unexpected "${text}"; a template consists of names, numbers, 'text', + and functions`,
    );
  }

  #error(what: string): TemplateError {
    return new TemplateError(`"${this.#source}": ${what}`);
  }
}

function added(left: TemplateValue, right: TemplateValue): TemplateValue {
  return typeof left === 'number' && typeof right === 'number' ? left + right : `${left}${right}`;
}

interface TemplateFunction {
  readonly min: number;
  readonly max: number;
  readonly run: (...args: string[]) => TemplateValue;
}

/**
 * Digests are lower-case hex; a last argument `'base64'` or `'base64url'` asks for another form, as in
 * `hmac_sha256(secret, text, 'base64')`.
 */
const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  base64: ofText((text) => Buffer.from(text).toString('base64')),
  base64url: ofText((text) => Buffer.from(text).toString('base64url')),
  hex: ofText((text) => Buffer.from(text).toString('hex')),
  upper: ofText((text) => text.toUpperCase()),
  lower: ofText((text) => text.toLowerCase()),
  urlencode: ofText((text) => encodeURIComponent(text)),
  json: ofText((text) => JSON.stringify(text)),
  text: ofText((text) => text),
  number: ofText(toNumber),
  floor: ofText((text) => Math.floor(toNumber(text))),
  md5: digest('md5'),
  sha1: digest('sha1'),
  sha256: digest('sha256'),
  sha512: digest('sha512'),
  hmac_md5: hmac('md5'),
  hmac_sha1: hmac('sha1'),
  hmac_sha256: hmac('sha256'),
  hmac_sha512: hmac('sha512'),
};

function ofText(run: (text: string) => TemplateValue): TemplateFunction {
  return { min: 1, max: 1, run: (text = '') => run(text) };
}

function digest(algorithm: string): TemplateFunction {
  return {
    min: 1,
    max: 2,
    run: (text = '', form = 'hex') => createHash(algorithm).update(text).digest(encoding(form)),
  };
}

function hmac(algorithm: string): TemplateFunction {
  return {
    min: 2,
    max: 3,
    run: (key = '', text = '', form = 'hex') =>
      createHmac(algorithm, key).update(text).digest(encoding(form)),
  };
}

function encoding(form: string): 'hex' | 'base64' | 'base64url' {
  if (form === 'hex' || form === 'base64' || form === 'base64url') return form;
  throw new TemplateError("invalid form of a digest: it must be 'hex', 'base64' or 'base64url'");
}

function toNumber(text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(number)) throw new TemplateError('number() and floor() need a number');
  return number;
}
