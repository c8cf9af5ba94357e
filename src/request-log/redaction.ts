import { withoutDataUris } from './data-uri.ts';

/** What a body may become before it is kept. */
interface RedactionRules {
  /** UTF-8 bytes of a body that are kept; the rest is replaced by a note of its size. */
  readonly maxBytes: number;
  /** Further patterns, with the flag `g`; each match becomes `[redacted]`. */
  readonly patterns?: readonly RegExp[];
}

const REDACTED = '[redacted]';

/**
 * A body as it may be kept: data URIs by type and size, emails and key-like strings gone, cut at `maxBytes`.
 * In this order: an image does not use up the room of the text after it, and a key on the edge of the cut is
 * recognised before it is cut.
 */
export function redactBody(body: string, rules: RedactionRules): string {
  let text = withoutDataUris(body);
  // A key may straddle the limit, so the search goes a little beyond it; but not through megabytes.
  const tail = tailNote(text, rules.maxBytes);
  if (tail !== '') text = cutToBytes(text, rules.maxBytes + EDGE_BYTES);
  text = withoutKeys(withoutEmails(text));
  for (const pattern of rules.patterns ?? []) text = text.replace(pattern, REDACTED);
  return tail === '' ? text : cutToBytes(text, rules.maxBytes) + tail;
}

/** Longer than any key that the patterns know but PEM blocks, whose match needs no end. */
const EDGE_BYTES = 4_096;

/**
 * The body at a length that may wait in a queue: at most about `maxBytes` and what redaction needs beyond it.
 * Free for bodies that are short already.
 */
export function shortenForQueue(body: string, maxBytes: number): string {
  if (body.length <= maxBytes + EDGE_BYTES) return body;
  const text = withoutDataUris(body);
  if (text.length <= maxBytes + EDGE_BYTES) return text;
  // The note of `redactBody` names the whole size, which after this cut only we know.
  return cutToBytes(text, maxBytes + EDGE_BYTES) + tailNote(text, maxBytes);
}

/** Every run is bounded and begins at a word's start: linear also on 64 KiB without a space. */
const EMAIL = /(?<![\w.%+-])[\w.%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])/gi;

export function withoutEmails(text: string): string {
  return text.includes('@') ? text.replace(EMAIL, '[email]') : text;
}

/** Strings that have the form of a credential, by the prefixes that their issuers gave them for this purpose. */
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

/** A credential after its scheme, as in a quoted header. */
const AUTHORIZATION = /(?<!\w)(bearer|basic) {1,4}[\w.~+/=-]{12,8192}/gi;

/** The value beside a telling name in JSON, also in JSON that is itself quoted in a JSON string. */
const NAMED_SECRET =
  /((\\*")(?:api[_-]?key|access[_-]?token|refresh[_-]?token|id[_-]?token|client[_-]?secret|secret|secret[_-]?key|password|passwd|authorization)\\*"\s{0,8}:\s{0,8}\\*")[^"\\]{1,8192}/gi;

/** `text` without what looks like a key, whatever the registry of living secrets knows. */
export function withoutKeys(text: string): string {
  return text
    .replace(KEY_LIKE, REDACTED)
    .replace(AUTHORIZATION, `$1 ${REDACTED}`)
    .replace(NAMED_SECRET, `$1${REDACTED}`);
}

/** The longest start of `text` that fits `maxBytes` of UTF-8 and ends between two characters. */
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
