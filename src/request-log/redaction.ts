import { endOfString, nextMatch } from '../lib/json/json-scanner.ts';

interface RedactionRules {
  /** UTF-8 bytes of a body that are kept; the rest is replaced by a note of the size. */
  readonly maxBytes: number;
  /** Further patterns, with the flag `g`; each match becomes `[redacted]`. */
  readonly patterns?: readonly RegExp[];
}

const REDACTED = '[redacted]';

/**
 * A body as it may be stored: data URIs replaced by type and size, email addresses and key-like strings redacted, cut at
 * `maxBytes`. In this order, so that an image does not use up the bytes of the text after it, and a key at the cut is
 * recognised before it is cut.
 */
export function redactBody(body: string, rules: RedactionRules): string {
  let text = withoutDataUris(body);
  // A key may cross the limit, so the search goes a little beyond it, but not through megabytes.
  const tail = tailNote(text, rules.maxBytes);
  if (tail !== '') text = cutToBytes(text, rules.maxBytes + EDGE_BYTES);
  text = withoutKeys(withoutEmails(text));
  for (const pattern of rules.patterns ?? []) text = text.replace(pattern, REDACTED);
  return tail === '' ? text : cutToBytes(text, rules.maxBytes) + tail;
}

/** Longer than any key of the patterns, except PEM blocks, whose match needs no end. */
const EDGE_BYTES = 4_096;

/**
 * The body at a length that may wait in the queue: about `maxBytes` and what redaction needs beyond it. Costs nothing for
 * short bodies.
 */
export function shortenForQueue(body: string, maxBytes: number): string {
  if (body.length <= maxBytes + EDGE_BYTES) return body;
  const text = withoutDataUris(body);
  if (text.length <= maxBytes + EDGE_BYTES) return text;
  // The note names the whole size, which is unknown after this cut.
  return cutToBytes(text, maxBytes + EDGE_BYTES) + tailNote(text, maxBytes);
}

/** Each repetition is bounded and starts at a word boundary, so that 64 KiB without a space take linear time. */
const EMAIL = /(?<![\w.%+-])[\w.%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])/gi;

/** `text` with each email address replaced by `[email]`. */
export function withoutEmails(text: string): string {
  return text.includes('@') ? text.replace(EMAIL, '[email]') : text;
}

/** Credentials by the prefixes that their issuers define so that they can be found. */
const KEY_LIKE = new RegExp(
  [
    // OpenAI, Anthropic, DeepSeek and many more
    String.raw`(?<![\w-])(?:sk|pk|rk)-[\w-]{16,512}`,
    // GitHub, GitLab, Slack, Hugging Face, Groq, Replicate, Stripe
    String.raw`(?<![\w-])(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|hf_|gsk_|r8_|[spr]k_(?:live|test)_)[\w-]{12,512}`,
    // AWS key ids, Google API keys and access tokens
    String.raw`(?<!\w)A(?:KIA|SIA)[A-Z0-9]{16}(?!\w)`,
    String.raw`(?<![\w-])AIza[\w-]{30,64}`,
    String.raw`(?<![\w-])ya29\.[\w.-]{20,1024}`,
    // JSON Web Tokens (RFC 7519): two parts of JSON in base64url begin with eyJ
    String.raw`(?<![\w-])eyJ[\w-]{8,4096}\.[\w-]{4,8192}(?:\.[\w-]{0,4096})?`,
    String.raw`-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----(?:(?!-----END)[\s\S]){0,16384}(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?`,
  ].join('|'),
  'g',
);

/** A credential after its authorization scheme, as in a quoted header. */
const AUTHORIZATION = /(?<!\w)(bearer|basic) {1,4}[\w.~+/=-]{12,8192}/gi;

/** The value of a member with the name of a credential, also in JSON within a JSON string. */
const NAMED_SECRET =
  /((\\*")(?:api[_-]?key|access[_-]?token|refresh[_-]?token|id[_-]?token|client[_-]?secret|secret|secret[_-]?key|password|passwd|authorization)\\*"\s{0,8}:\s{0,8}\\*")[^"\\]{1,8192}/gi;

/** `text` with everything redacted that has the form of a key, whether or not it is a configured secret. */
export function withoutKeys(text: string): string {
  return text
    .replace(KEY_LIKE, REDACTED)
    .replace(AUTHORIZATION, `$1 ${REDACTED}`)
    .replace(NAMED_SECRET, `$1${REDACTED}`);
}

/** The longest prefix of `text` within `maxBytes` of UTF-8 that does not split a character. */
export function cutToBytes(text: string, maxBytes: number): string {
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.from(text.slice(0, maxBytes));
  if (bytes.length <= maxBytes && text.length <= maxBytes) return text;
  let end = Math.min(maxBytes, bytes.length);
  // Bytes 10xxxxxx continue a character.
  while (end > 0 && end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

function tailNote(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return '';
  const bytes = Buffer.byteLength(text);
  return bytes <= maxBytes ? '' : `… [${bytes} bytes, cut at ${maxBytes}]`;
}

/**
 * A data URI (RFC 2397) up to its comma, as it is written in JSON: with `\/` by PHP, also directly after `\n`. Bounded, so
 * that text made of such prefixes takes linear time.
 */
const DATA_URI_PREFIX =
  /(?<!(?<!\\)[\w-])data:([a-z0-9.+-]{1,64}\\?\/[a-z0-9.+-]{1,64})?((?:;[^;,"\\\s]{1,256}(?:\\?"[^;,"\\\s]{0,64}\\?")?){0,6}),/gi;

/** Replaces `data:image/png;base64,iVBO…` by `[data image/png 1234 bytes]`, and data URIs without base64 too. */
export function withoutDataUris(text: string): string {
  if (!/data:/i.test(text)) return text;
  const parts: string[] = [];
  let copiedTo = 0;
  DATA_URI_PREFIX.lastIndex = 0;
  for (let found = DATA_URI_PREFIX.exec(text); found !== null; found = DATA_URI_PREFIX.exec(text)) {
    const { index, 0: beginning, 1: type, 2: parameters = '' } = found;
    const opener = openerOf(text, index);
    // `data:,` without quotes is a valid URI, but also ordinary prose.
    if (type === undefined && parameters === '' && opener === '') continue;
    const start = index + beginning.length;
    const isBase64 = /;base64$/i.test(parameters);
    const end = isBase64 ? endOfBase64(text, start) : endOfData(text, start, opener);
    const bytes = isBase64 ? bytesOfBase64(text, start, end) : bytesOfText(text.slice(start, end));
    const name = type?.replace('\\', '') ?? 'text/plain';
    parts.push(text.slice(copiedTo, index), `[data ${name} ${bytes} bytes]`);
    copiedTo = end;
    DATA_URI_PREFIX.lastIndex = end;
  }
  return parts.length === 0 ? text : parts.join('') + text.slice(copiedTo);
}

/** The character that encloses a URI and so defines its end; empty: none. */
type Opener = '"' | '\\"' | "'" | '(' | '';

function openerOf(text: string, index: number): Opener {
  const before = text[index - 1];
  if (before === '"') return text[index - 2] === '\\' ? '\\"' : '"';
  return before === "'" || before === '(' ? before : '';
}

/** The end of data without base64: that of its enclosure, since SVG is often written with quotes and blanks. */
function endOfData(text: string, start: number, opener: Opener): number {
  switch (opener) {
    case '"': {
      // The comma takes the position of the quote that opened the string.
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

/** Base64 in lines: after a line break follows a full line or the last one of the string. */
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

/** Bytes after percent-decoding and JSON unescaping. */
function bytesOfText(data: string): number {
  return Buffer.byteLength(data.replace(/%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\./gi, '_'));
}
