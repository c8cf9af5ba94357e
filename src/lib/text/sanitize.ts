/**
 * Text of an upstream on its way to a client: without keys, addresses and stack traces, and short
 * (S82, S97, Q148). All functions are linear in what they look at, and they look at `MAX_SCANNED` at most.
 */

/** Characters of an upstream's text that are inspected; the reason is at its beginning. */
const MAX_SCANNED = 4000;

/** Longest text quoted from an upstream. */
const MAX_EXCERPT = 500;

/** A client's own mistake may be explained at length (validation errors name each field). */
const MAX_MESSAGE = 2000;

/** The upstream's own message about the client's request: kept, without secrets and internal addresses. */
export function cleanMessage(text: string, scrub: (text: string) => string): string {
  const clean = withoutKeys(scrub(text).slice(0, MAX_SCANNED)).replace(URL_PATTERN, (url) =>
    isPublicUrl(url) ? url : '[url]',
  );
  return shorten(withoutAddresses(withoutTrace(clean)).trim(), MAX_MESSAGE);
}

/** A short quote of any body, HTML included, without secrets, hosts and URLs; '' when nothing readable is left. */
export function excerptOf(body: string, scrub: (text: string) => string): string {
  const start = scrub(body.slice(0, 16 * MAX_SCANNED)).slice(0, MAX_SCANNED);
  const text = isHtml(start) ? textOfHtml(start) : start;
  const clean = withoutKeys(withoutTrace(text)).replace(URL_PATTERN, '[url]').replace(HOST, '[host]');
  const excerpt = withoutAddresses(clean).replace(/\s+/g, ' ').trim();
  // `{}`, `[]`, `null` and `""` are no text for people.
  return /\p{L}/u.test(excerpt) && excerpt !== 'null' ? shorten(excerpt, MAX_EXCERPT) : '';
}

export function isHtml(body: string): boolean {
  return /^\s*<(?:!doctype|html|head|body|\?xml|center|h1|div|p|script|title)\b/i.test(body.slice(0, 200));
}

/** The title when there is one (such as "502 Bad Gateway"), else the text without its tags. */
function textOfHtml(html: string): string {
  const title = /<title[^>]{0,200}>([^<]{1,200})<\/title/i.exec(html)?.[1];
  if (title) return title;
  return html
    .replace(/<(script|style)\b[^>]*>[^<]*/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&[a-z#0-9]{1,8};/gi, ' ');
}

const URL_PATTERN = /\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'<>()[\]{}`，。]+/gi;

/** Documentation links help; anything below a private name or number does not leave. */
function isPublicUrl(url: string): boolean {
  if (/^[a-z]+:\/\/[^/]*@/i.test(url)) return false;
  const host = /^https?:\/\/([^/:?#]+)(?=[/?#]|$)/i.exec(url)?.[1] ?? '';
  return /^(?:[a-z0-9-]{1,63}\.){1,5}(?:com|org|net|io|ai|dev|cn|co|app|cloud)$/i.test(host);
}

/** Addresses that clients must not see in any text: numbers, private names, names with ports. */
function withoutAddresses(text: string): string {
  return text
    .replace(/(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)(?::\d{1,5})?/g, '[address]')
    .replace(/\[?(?<![\w:])(?:[0-9a-f]{1,4}:){4,7}(?::|[0-9a-f]{1,4})\]?(?::\d{1,5})?/gi, '[address]')
    .replace(
      /\[?(?<![\w:])(?:[0-9a-f]{1,4}:){0,4}:(?::[0-9a-f]{1,4}|[0-9a-f]{1,4}:){1,4}[0-9a-f]{0,4}\]?/gi,
      '[address]',
    )
    .replace(PRIVATE_HOST, '[host]')
    .replace(/\bhost(name)?\s?[=:]\s?['"]?[\w.-]+['"]?/gi, 'host [host]')
    .replace(
      /\b(lookup|getaddrinfo(?: \w+)?|connect(?:ing|ion)? to|resolve|upstream:)\s+['"]?[\w-]+(?:\.[\w-]+)+/gi,
      '$1 [host]',
    )
    .replace(/\b(lookup|getaddrinfo(?: \w{4,12})?)\s+['"]?[\w.-]+/gi, '$1 [host]')
    .replace(/(?<![\w.-])(?=[a-z0-9-]{0,62}[\d-])[a-z][a-z0-9-]{0,62}:\d{2,5}(?![\w.])/gi, '[host]');
}

/** A key of the configuration that our own errors name (`tokens.corp.client_secret`) is no host below `.corp`. */
const PRIVATE_HOST =
  /(?<![\w.-])(?!tokens\.[\w-]{1,63}\.(?:client_\w+|body_\w+|headers|query|params|vars|basic|password|username|refresh_token|assertion|key|env|value)\b)(?:localhost|(?:[a-z0-9_-]{1,63}\.){1,8}(?:local|internal|intra|intranet|corp|lan|svc|private|home|test|example|localdomain|arpa))(?![\w-])(?:\.[a-z0-9-]{1,63}){0,4}(?::\d{1,5})?/gi;

/** Names below a public suffix: of the upstream's own failures none is quoted. */
const HOST =
  /(?<![\w.-])(?:[a-z0-9_-]{1,63}\.){1,8}(?:com|org|net|io|ai|dev|cn|co|de|eu|uk|us|jp|app|cloud|info|biz)(?![\w-])(?:\.[a-z]{2})?(?::\d{1,5})?/gi;

/** Keys and tokens by their format, beside those that `scrub` removes by value. */
function withoutKeys(text: string): string {
  return text
    .replace(/\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}/g, '[redacted]')
    .replace(/\b(Bearer|Basic)\s+[\w.~+/=*-]{6,}/gi, '$1 [redacted]')
    .replace(/\b(?:sk|pk|rk|gsk|xai|key|hf)[-_][\w*.-]{8,}/g, '[redacted]')
    .replace(/\bAKIA[A-Z0-9]{12,}/g, '[redacted]');
}

/** Of a Python traceback the last line, of a JavaScript or Java stack the text before it. */
function withoutTrace(text: string): string {
  const python = text.indexOf('Traceback (most recent call last)');
  if (python !== -1) {
    const lines = text.slice(python).trimEnd().split('\n');
    return `${text.slice(0, python)}${lines.length > 1 ? lines.at(-1) : ''}`;
  }
  const stack = text.search(/\n\s*at [\w$.<>]+[ (]/);
  return stack === -1 ? text : text.slice(0, stack);
}

/** Cut at a whole character. */
/** At most `longest` UTF-16 units of a text for people. */
export function shorten(text: string, longest = 120): string {
  if (text.length <= longest) return text;
  const cut = text.slice(0, longest - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
