/** Where a text stops being JSON, and in which way. */
export interface JsonFault {
  /** Index of the first character that cannot stand there; the text's length when it merely ends too early. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly isCutOff: boolean;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings, and that is what is looked for.
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;

/**
 * The place at which JSON.parse refused the text. V8 names it in some of its messages only, and then quotes the
 * text itself, which does not belong into an error. Runs on the error path alone.
 */
export function findJsonFault(text: string): JsonFault {
  const position = faultPosition(text);
  const before = text.slice(0, position);
  const line = before.split('\n').length;
  return {
    position,
    line,
    column: position - before.lastIndexOf('\n'),
    isCutOff: position >= text.length,
  };
}

type Expect = 'value' | 'value_or_end' | 'key' | 'key_or_end' | 'colon' | 'comma_or_end' | 'nothing';

/** A state machine over tokens with the open brackets on a stack of its own: depth costs no call stack. */
function faultPosition(text: string): number {
  const open: string[] = [];
  let expect: Expect = 'value';
  let at = 0;
  for (;;) {
    while (at < text.length && ' \n\r\t'.includes(text[at] as string)) at++;
    if (at >= text.length || expect === 'nothing') return at;
    const char = text[at] as string;
    if (expect === 'colon') {
      if (char !== ':') return at;
      expect = 'value';
      at++;
    } else if (expect === 'comma_or_end' && char === ',') {
      expect = open.at(-1) === '{' ? 'key' : 'value';
      at++;
    } else if (expect.endsWith('end') && char === (open.at(-1) === '{' ? '}' : ']')) {
      open.pop();
      expect = open.length === 0 ? 'nothing' : 'comma_or_end';
      at++;
    } else if (expect === 'comma_or_end') {
      return at;
    } else if (char === '"') {
      const end = endOfString(text, at);
      if (end.isBroken) return end.position;
      at = end.position;
      if (expect.startsWith('key')) expect = 'colon';
      else expect = open.length === 0 ? 'nothing' : 'comma_or_end';
    } else if (expect.startsWith('key')) {
      return at;
    } else if (char === '{' || char === '[') {
      open.push(char);
      expect = char === '{' ? 'key_or_end' : 'value_or_end';
      at++;
    } else {
      SCALAR.lastIndex = at;
      if (!SCALAR.test(text)) return at;
      at = SCALAR.lastIndex;
      expect = open.length === 0 ? 'nothing' : 'comma_or_end';
    }
  }
}

function endOfString(text: string, start: number): { position: number; isBroken: boolean } {
  let at = start + 1;
  for (;;) {
    PLAIN.lastIndex = at;
    PLAIN.test(text);
    at = PLAIN.lastIndex;
    if (text[at] === '"') return { position: at + 1, isBroken: false };
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(text)) return { position: at, isBroken: true };
    at = ESCAPE.lastIndex;
  }
}
