import { parseJson } from '../../../lib/json/json-object.ts';

/** Words of other languages for what JSON has, or has not, as values. */
const FOREIGN_WORD = /-?(?:NaN|Infinity)|None|undefined|True|False/y;
const JSON_WORDS: Readonly<Record<string, string>> = { True: 'true', False: 'false' };
const COMMA_AT_END = /,\s*(?=[}\]])/y;

/** A look before the repair, which reads character by character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these inside of strings.
const REPAIRABLE = /NaN|Infinity|None|undefined|True|False|[\u0000-\u001f]|,\s{0,100}[}\]]/;

/**
 * JSON as programs write it that put it together by hand: line ends and tabs inside of strings, a comma behind the last
 * member, NaN, None. Returns JSON that says the same (NaN and the like are null); null when it is none even so.
 */
export function repairedJson(text: string): string | null {
  if (!REPAIRABLE.test(text)) return null;
  const repaired = repair(text);
  return parseJson(repaired) === undefined ? null : repaired;
}

/** A loop, because a pattern that skips strings is quadratic without their end. */
function repair(text: string): string {
  let out = '';
  let copied = 0;
  let isInString = false;
  const replace = (at: number, length: number, by: string): void => {
    out += text.slice(copied, at) + by;
    copied = at + length;
  };
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) isInString = !isInString;
    else if (code === 0x5c) at++;
    else if (isInString && code < 0x20) replace(at, 1, escaped(code));
    else if (!isInString) {
      const found = foreignAt(text, at);
      if (found !== null) replace(at, found.length, found.by);
      at = Math.max(at, copied - 1);
    }
  }
  return out + text.slice(copied);
}

function foreignAt(text: string, at: number): { readonly length: number; readonly by: string } | null {
  const first = text[at];
  if (first === ',') {
    COMMA_AT_END.lastIndex = at;
    return COMMA_AT_END.test(text) ? { length: 1, by: '' } : null;
  }
  if (first === undefined || !'-NITFu'.includes(first)) return null;
  FOREIGN_WORD.lastIndex = at;
  const word = FOREIGN_WORD.exec(text)?.[0];
  return word === undefined ? null : { length: word.length, by: JSON_WORDS[word] ?? 'null' };
}

function escaped(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}
