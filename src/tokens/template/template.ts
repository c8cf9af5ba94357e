import { Secret } from '../../lib/secret.ts';
import { type Expression, parseExpression, TemplateError, type TemplateValue } from './expression.ts';
import { TEMPLATE_FUNCTIONS } from './functions.ts';

/** Where names get their values. Throws `TemplateError` for a name that it does not know. */
export interface TemplateScope {
  valueOf(name: string): TemplateValue;
}

/**
 * Text with `{{expressions}}` in it. Text that is exactly one expression gives that expression's own type, all
 * else gives text. Compiled once, rendered for each request.
 */
export class Template {
  /** Every name that is used, so that a typing error is found before the first request. */
  readonly names: ReadonlySet<string>;
  readonly #parts: readonly (string | Expression)[];

  private constructor(parts: readonly (string | Expression)[]) {
    this.#parts = parts;
    const names = new Set<string>();
    for (const part of parts) if (typeof part !== 'string') collect(part, names);
    this.names = names;
  }

  /** A secret is taken as it is: what looks like a template in it is part of the secret. */
  static compile(text: string | number | Secret): Template {
    if (text instanceof Secret) return new Template([{ kind: 'literal', value: text.reveal() }]);
    if (typeof text === 'number') return new Template([{ kind: 'literal', value: text }]);
    const parts: (string | Expression)[] = [];
    let at = 0;
    for (;;) {
      const open = text.indexOf('{{', at);
      if (open === -1) break;
      if (open > at) parts.push(text.slice(at, open));
      const { expression, end } = parseExpression(text, open + 2);
      parts.push(expression);
      at = end;
    }
    if (at < text.length) parts.push(text.slice(at));
    return new Template(parts);
  }

  render(scope: TemplateScope): TemplateValue {
    const [first, ...others] = this.#parts;
    if (first !== undefined && others.length === 0) {
      return typeof first === 'string' ? first : evaluate(first, scope);
    }
    let text = '';
    for (const part of this.#parts) text += typeof part === 'string' ? part : evaluate(part, scope);
    return text;
  }

  renderText(scope: TemplateScope): string {
    return String(this.render(scope));
  }
}

function collect(expression: Expression, names: Set<string>): void {
  if (expression.kind === 'name') names.add(expression.name);
  if (expression.kind === 'operation') {
    collect(expression.left, names);
    collect(expression.right, names);
  }
  if (expression.kind === 'call') {
    checkCall(expression.name, expression.args.length);
    for (const arg of expression.args) collect(arg, names);
  }
}

function checkCall(name: string, count: number): void {
  const known = Object.hasOwn(TEMPLATE_FUNCTIONS, name) ? TEMPLATE_FUNCTIONS[name] : undefined;
  if (known === undefined) {
    throw new TemplateError(
      `${name}() is not known; there are ${Object.keys(TEMPLATE_FUNCTIONS).join(', ')}`,
    );
  }
  if (count < known.least || count > known.most) {
    const wanted = known.least === known.most ? `${known.least}` : `${known.least} or ${known.most}`;
    throw new TemplateError(`${name}() takes ${wanted} arguments, not ${count}`);
  }
}

function evaluate(expression: Expression, scope: TemplateScope): TemplateValue {
  if (expression.kind === 'literal') return expression.value;
  if (expression.kind === 'name') return scope.valueOf(expression.name);
  if (expression.kind === 'call') {
    const args = expression.args.map((arg) => String(evaluate(arg, scope)));
    return TEMPLATE_FUNCTIONS[expression.name]?.run(...args) ?? '';
  }
  const left = evaluate(expression.left, scope);
  const right = evaluate(expression.right, scope);
  if (expression.operator === '+') {
    return typeof left === 'number' && typeof right === 'number' ? left + right : `${left}${right}`;
  }
  return calculate(expression.operator, operand(left), operand(right));
}

function calculate(operator: '-' | '*' | '/' | '%', left: number, right: number): number {
  const result = { '-': left - right, '*': left * right, '/': left / right, '%': left % right }[operator];
  if (!Number.isFinite(result)) throw new TemplateError('a division by zero');
  return result;
}

function operand(value: TemplateValue): number {
  const number = typeof value === 'number' ? value : Number(value.trim() === '' ? Number.NaN : value);
  if (Number.isNaN(number)) throw new TemplateError('arithmetic with a text that is no number');
  return number;
}
