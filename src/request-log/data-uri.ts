import { endOfString, nextMatch } from '../lib/json/json-scanner.ts';

/**
 * The beginning of a data URI (RFC 2397) up to its comma, as it stands in JSON: with `\/` where PHP wrote it, behind `\n`
 * too. Bounded, so that text made of beginnings costs linear time.
 */
const BEGINNING =
  /(?<!(?<!\\)[\w-])data:([a-z0-9.+-]{1,64}\\?\/[a-z0-9.+-]{1,64})?((?:;[^;,"\\\s]{1,256}(?:\\?"[^;,"\\\s]{0,64}\\?")?){0,6}),/gi;

/** `data:image/png;base64,iVBO…` becomes `[data image/png 1234 bytes]`, and so do those that are not in base64. */
export function withoutDataUris(text: string): string {
  if (!/data:/i.test(text)) return text;
  const parts: string[] = [];
  let copiedTo = 0;
  BEGINNING.lastIndex = 0;
  for (let found = BEGINNING.exec(text); found !== null; found = BEGINNING.exec(text)) {
    const { index, 0: beginning, 1: type, 2: parameters = '' } = found;
    const opener = openerOf(text, index);
    // `data:,` is a URI too, and also what people write.
    if (type === undefined && parameters === '' && opener === '') continue;
    const start = index + beginning.length;
    const isBase64 = /;base64$/i.test(parameters);
    const end = isBase64 ? endOfBase64(text, start) : endOfData(text, start, opener);
    const bytes = isBase64 ? bytesOfBase64(text, start, end) : bytesOfText(text.slice(start, end));
    const name = type?.replace('\\', '') ?? 'text/plain';
    parts.push(text.slice(copiedTo, index), `[data ${name} ${bytes} bytes]`);
    copiedTo = end;
    BEGINNING.lastIndex = end;
  }
  return parts.length === 0 ? text : parts.join('') + text.slice(copiedTo);
}

/** What a URI is enclosed in, by which its end is known; empty: nothing. */
type Opener = '"' | '\\"' | "'" | '(' | '';

function openerOf(text: string, index: number): Opener {
  const before = text[index - 1];
  if (before === '"') return text[index - 2] === '\\' ? '\\"' : '"';
  return before === "'" || before === '(' ? before : '';
}

/** The end of data that is not in base64: of what encloses it, since pictures are often written with quotes and blanks. */
function endOfData(text: string, start: number, opener: Opener): number {
  switch (opener) {
    case '"': {
      // The comma stands in for the quote that opened the string.
      const end = endOfString(text, start - 1);
      return end > start && text[end - 1] === '"' ? end - 1 : end;
    }
    case '\\"': {
      const quote = text.indexOf('"', start);
      if (quote === -1) return text.length;
      return text[quote - 1] === '\\' ? Math.max(start, quote - 1) : quote;
    }
    case '':
      return nextMatch(/[\s"'<>\\)]/g, text, start);
    default:
      return endOfEnclosed(text, start, opener === '(' ? ')' : opener);
  }
}

/** The next `closer`, or the end of the JSON string around it. */
function endOfEnclosed(text: string, start: number, closer: ')' | "'"): number {
  const stop = closer === ')' ? /[)"\\]/g : /['"\\]/g;
  let at = nextMatch(stop, text, start);
  while (text[at] === '\\') at = nextMatch(stop, text, at + 2);
  return Math.min(at, text.length);
}

/** Base64 in lines: behind a line end stands a full line, or what ends the string. */
const NEXT_LINE = /(?:\\r)?\\n(?=[a-z0-9+/]{40}|[a-z0-9+/]{1,76}={0,2}\\?")/iy;
const ESCAPED = /\\\/|%(?:2b|2f|3d)/iy;

function endOfBase64(text: string, start: number): number {
  const run = /[^a-z0-9+/=_-]/gi;
  let at = nextMatch(run, text, start);
  for (;;) {
    const skipped = [ESCAPED, NEXT_LINE].find((pattern) => {
      pattern.lastIndex = at;
      return pattern.test(text);
    });
    if (skipped === undefined) return at;
    at = nextMatch(run, text, skipped.lastIndex);
  }
}

function bytesOfBase64(text: string, start: number, end: number): number {
  let digits = end - start;
  if (text.slice(start, end).search(/[\\%]/) !== -1)
    digits = text
      .slice(start, end)
      .replace(/\\[rn]|\\(?=\/)|%3d/gi, '')
      .replace(/%../g, '_').length;
  const padding = text.endsWith('==', end) ? 2 : text.endsWith('=', end) ? 1 : 0;
  return Math.max(0, Math.floor((digits * 3) / 4) - padding);
}

/** Bytes of what percent signs and JSON's backslashes stand for. */
function bytesOfText(data: string): number {
  return Buffer.byteLength(data.replace(/%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\./gi, '_'));
}
