const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * `body`, a JSON object, with its top-level member `name` set to the JSON text `json`; null when it is no object.
 * The bytes of everything else stay as they are: parsing and writing again would change numbers that JavaScript
 * cannot hold. Works on bytes, since in UTF-8 no byte of a longer character looks like JSON's own signs.
 */
export function setJsonMember(body: Buffer | string, name: string, json: string): Buffer | null {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const open = skipSpace(bytes, bytes.length >= 3 && bytes[0] === 0xef ? 3 : 0);
  if (bytes[open] !== OPEN_BRACE) return null;
  const members = findMembers(bytes, open, name);
  if (members === null) return null;
  if (members.values.length > 0) return replaceRanges(bytes, members.values, Buffer.from(json));
  const member = Buffer.from(`${JSON.stringify(name)}:${json}${members.isEmpty ? '' : ','}`);
  return Buffer.concat([bytes.subarray(0, open + 1), member, bytes.subarray(open + 1)]);
}

/** Where the values of the members called `name` stand; null when the object is cut off or malformed. */
function findMembers(
  bytes: Buffer,
  open: number,
  name: string,
): { values: Range[]; isEmpty: boolean } | null {
  const values: Range[] = [];
  let at = skipSpace(bytes, open + 1);
  if (bytes[at] === CLOSE_BRACE) return { values, isEmpty: true };
  for (;;) {
    if (bytes[at] !== QUOTE) return null;
    const keyEnd = stringEnd(bytes, at);
    const colon = skipSpace(bytes, keyEnd);
    if (bytes[colon] !== COLON) return null;
    const start = skipSpace(bytes, colon + 1);
    const end = valueEnd(bytes, start);
    if (end === start || end >= bytes.length) return null;
    if (keyText(bytes, at, keyEnd) === name) values.push({ start, end });
    const next = skipSpace(bytes, end);
    if (bytes[next] === CLOSE_BRACE) return { values, isEmpty: false };
    if (bytes[next] !== COMMA) return null;
    at = skipSpace(bytes, next + 1);
  }
}

function replaceRanges(bytes: Buffer, ranges: readonly Range[], replacement: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const range of ranges) {
    parts.push(bytes.subarray(from, range.start), replacement);
    from = range.end;
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}

function keyText(bytes: Buffer, start: number, end: number): string | null {
  try {
    return String(JSON.parse(bytes.toString('utf8', start, end)));
  } catch {
    return null;
  }
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (
    at < bytes.length &&
    (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 9)
  ) {
    at += 1;
  }
  return at;
}

/** The position after the string that begins at `start`, or the end of the bytes. */
function stringEnd(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return Math.min(at + 1, bytes.length);
}

/** The position after the value that begins at `start`: nesting is counted, strings are stepped over whole. */
function valueEnd(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, at);
      if (depth === 0) return at;
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      // The brace that closes the object around a bare number or literal.
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || byte === 0x20 || (byte !== undefined && byte < 0x20)))
      return at;
    at += 1;
  }
  return at;
}
