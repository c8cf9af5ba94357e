/** What an expression gives: numbers stay numbers, so that JSON gets `1767225600` and not `"1767225600"`. */
export type TemplateValue = string | number;

export type Expression =
  | { readonly kind: 'literal'; readonly value: TemplateValue }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | {
      readonly kind: 'operation';
      readonly operator: Operator;
      readonly left: Expression;
      readonly right: Expression;
    };

type Operator = '+' | '-' | '*' | '/' | '%';

/** A template that cannot be read or computed. The message quotes expressions only, never a value. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

interface Token {
  readonly kind: 'number' | 'text' | 'name' | 'sign';
  readonly text: string;
  readonly at: number;
}

const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([A-Za-z_]\w*)|([-+*/%(),])|(\}\}))/y;
const DEEPEST = 32;

/**
 * Parses the expression that begins at `start` of `text`, up to its `}}`. Gives the expression and the index
 * behind the braces. Grammar: numbers, 'text', names, f(a, b), + - * / % and parentheses.
 */
export function parseExpression(text: string, start: number): { expression: Expression; end: number } {
  const { tokens, end } = tokensOf(text, start);
  const reader = new ExpressionReader(tokens, text.slice(start, end - 2).trim());
  return { expression: reader.read(), end };
}

function tokensOf(text: string, start: number): { tokens: Token[]; end: number } {
  const tokens: Token[] = [];
  TOKEN.lastIndex = start;
  for (;;) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) {
      const close = text.indexOf('}}', at);
      if (close === -1) throw new TemplateError('"{{" without its "}}"');
      throw new TemplateError(`"${text.slice(start, close).trim()}": unexpected sign at ${at - start + 1}`);
    }
    const [, number, double, single, name, sign, close] = match;
    if (close !== undefined) return { tokens, end: TOKEN.lastIndex };
    const quoted = double ?? single;
    if (number !== undefined) tokens.push({ kind: 'number', text: number, at });
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: unescaped(quoted), at });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name, at });
    else tokens.push({ kind: 'sign', text: sign ?? '', at });
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unescaped(quoted: string): string {
  return quoted.replace(/\\(.)/gs, (_, sign: string) => ESCAPES[sign] ?? sign);
}

/** Recursive descent, two levels of precedence; `#depth` bounds what a hostile file can nest. */
class ExpressionReader {
  readonly #tokens: readonly Token[];
  readonly #source: string;
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], source: string) {
    this.#tokens = tokens;
    this.#source = source;
  }

  read(): Expression {
    const expression = this.#sum();
    if (this.#next < this.#tokens.length) throw this.#error(`unexpected "${this.#peek()}"`);
    return expression;
  }

  #sum(): Expression {
    if (++this.#depth > DEEPEST) throw this.#error('nested too deep');
    let left = this.#product();
    for (let sign = this.#peek(); sign === '+' || sign === '-'; sign = this.#peek()) {
      this.#next++;
      left = { kind: 'operation', operator: sign, left, right: this.#product() };
    }
    this.#depth--;
    return left;
  }

  #product(): Expression {
    let left = this.#factor();
    for (let sign = this.#peek(); sign === '*' || sign === '/' || sign === '%'; sign = this.#peek()) {
      this.#next++;
      left = { kind: 'operation', operator: sign, left, right: this.#factor() };
    }
    return left;
  }

  #factor(): Expression {
    const token = this.#tokens[this.#next++];
    if (token === undefined) throw this.#error('it ends too early');
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind === 'text') return { kind: 'literal', value: token.text };
    if (token.kind === 'name') {
      if (this.#peek() !== '(') return { kind: 'name', name: token.text };
      this.#next++;
      return { kind: 'call', name: token.text, args: this.#arguments() };
    }
    if (token.text === '-') {
      return { kind: 'operation', operator: '-', left: { kind: 'literal', value: 0 }, right: this.#factor() };
    }
    if (token.text !== '(') throw this.#error(`unexpected "${token.text}"`);
    const inner = this.#sum();
    this.#expect(')');
    return inner;
  }

  #arguments(): Expression[] {
    const args: Expression[] = [];
    if (this.#peek() === ')') {
      this.#next++;
      return args;
    }
    for (;;) {
      args.push(this.#sum());
      if (this.#peek() === ')') break;
      this.#expect(',');
    }
    this.#next++;
    return args;
  }

  #peek(): string | undefined {
    const token = this.#tokens[this.#next];
    return token?.kind === 'sign' ? token.text : undefined;
  }

  #expect(sign: string): void {
    if (this.#peek() !== sign) throw this.#error(`"${sign}" is missing`);
    this.#next++;
  }

  #error(what: string): TemplateError {
    return new TemplateError(`"${this.#source}": ${what}`);
  }
}
