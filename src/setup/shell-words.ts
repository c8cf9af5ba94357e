/** The line cannot be parsed as a request; the message names the fault and quotes no values. */
export class CurlError extends Error {}

/** The template of a token source for a command substitution of a documented curl line. */
const SUBSTITUTIONS: readonly (readonly [pattern: RegExp, template: string])[] = [
  // GigaChat documents `RqUID: $(uuidgen)`.
  [/^(?:uuidgen|cat \/proc\/sys\/kernel\/random\/uuid)$/, '{{uuid}}'],
  [/^date \+%s$/, '{{now_s}}'],
  [/^date \+%s(?:%3N|000)$/, '{{now_ms}}'],
];

const NAME = /^(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/;
/** `$'…'` of bash, as browsers copy requests. */
const ANSI_ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  "'": "'",
  '"': '"',
};
const ENDS_COMMAND = '|;&<>';

/**
 * The words of one command by the rules of a POSIX shell: quotes, backslashes, continued lines, comments, `$NAME`. What
 * follows a pipe, a redirection or `;` is left out. A command substitution becomes a template, if it is a known one.
 */
export function shellWords(line: string, variable: (name: string) => string | undefined): string[] {
  // Windows writes ^ and PowerShell ` at the end of a continued line.
  const text = line
    .replaceAll('\r\n', '\n')
    .replace(/[ \t][\^`]\n/g, ' \\\n')
    .trim();
  const words: string[] = [];
  let word: string | null = null;
  let at = text.startsWith('$ ') ? 2 : 0;
  const add = (more: string) => {
    word = (word ?? '') + more;
  };
  while (at < text.length) {
    const char = text[at] as string;
    if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
      at += 1;
    } else if (char === '\\') {
      if (text[at + 1] !== '\n') add(text[at + 1] ?? '');
      at += 2;
    } else if (char === "'") {
      const end = closing(text, at, "'");
      add(text.slice(at + 1, end));
      at = end + 1;
    } else if (char === '$' && text[at + 1] === "'") {
      const { value, next } = ansiQuoted(text, at + 2);
      add(value);
      at = next;
    } else if (char === '"') {
      const { value, next } = doubleQuoted(text, at + 1, variable);
      add(value);
      at = next;
    } else if (char === '$' || char === '`') {
      const { value, next } = expansion(text, at, variable);
      add(value);
      at = next;
    } else if (ENDS_COMMAND.includes(char)) {
      // `2>&1`: the number belongs to the redirection.
      if (char === '>' && word !== null && /^\d$/.test(word)) word = null;
      break;
    } else if (char === '#' && word === null) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else {
      add(char);
      at += 1;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

function closing(text: string, from: number, quote: string): number {
  const end = text.indexOf(quote, from + 1);
  if (end < 0) throw new CurlError(`a ${quote} of the curl line has no end`);
  return end;
}

function ansiQuoted(text: string, from: number): { value: string; next: number } {
  let value = '';
  for (let at = from; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === "'") return { value, next: at + 1 };
    if (char !== '\\') {
      value += char;
      continue;
    }
    at += 1;
    const unicode = /^u([\da-fA-F]{4})/.exec(text.slice(at));
    if (unicode === null) value += ANSI_ESCAPES[text[at] ?? ''] ?? `\\${text[at]}`;
    else {
      value += String.fromCharCode(Number.parseInt(unicode[1] ?? '', 16));
      at += 4;
    }
  }
  throw new CurlError("a $' of the curl line has no end");
}

function doubleQuoted(
  text: string,
  from: number,
  variable: (name: string) => string | undefined,
): { value: string; next: number } {
  let value = '';
  for (let at = from; at < text.length; ) {
    const char = text[at] as string;
    if (char === '"') return { value, next: at + 1 };
    if (char === '\\' && at + 1 < text.length) {
      const next = text[at + 1] as string;
      if (next !== '\n') value += '$`"\\'.includes(next) ? next : `\\${next}`;
      at += 2;
    } else if (char === '$' || char === '`') {
      const expanded = expansion(text, at, variable);
      value += expanded.value;
      at = expanded.next;
    } else {
      value += char;
      at += 1;
    }
  }
  throw new CurlError('a " of the curl line has no end');
}

/** `$NAME`, `${NAME}`, `$(command)` and `` `command` ``; any other dollar sign is literal. */
function expansion(
  text: string,
  at: number,
  variable: (name: string) => string | undefined,
): { value: string; next: number } {
  const isBackquote = text[at] === '`';
  if (isBackquote || text[at + 1] === '(') {
    const start = isBackquote ? at + 1 : at + 2;
    const end = closing(text, start - 1, isBackquote ? '`' : ')');
    const command = text.slice(start, end).trim();
    const known = SUBSTITUTIONS.find(([pattern]) => pattern.test(command));
    if (known === undefined)
      throw new CurlError(
        `the curl line runs a command, \`${command.split(' ', 1)[0]}\`: write its output instead`,
      );
    return { value: known[1], next: end + 1 };
  }
  const match = NAME.exec(text.slice(at + 1));
  const name = match?.[1] ?? match?.[2];
  if (match === null || name === undefined) return { value: '$', next: at + 1 };
  const value = variable(name);
  if (value === undefined)
    throw new CurlError(
      `the variable ${name} of the curl line is not set: export it, or write its value instead`,
    );
  return { value, next: at + 1 + match[0].length };
}
