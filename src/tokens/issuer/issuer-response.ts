import { headerOf, type IssuerReply } from './issuer-client.ts';

/** Deeper JSON is an attack on the reader, not a token. */
const DEEPEST_JSON = 32;
const MOST_KEYS_SHOWN = 12;

/** What a body turned out to be. `json` and `form` hold values, `text` everything that is neither. */
export type AnswerBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'form'; readonly value: Readonly<Record<string, string>> }
  | { readonly kind: 'empty' }
  | { readonly kind: 'html' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'too_deep' }
  | { readonly kind: 'text' };

/** Finds out what a body is by looking at it; content types of home-grown issuers are not to be believed. */
export function readAnswer(reply: IssuerReply): AnswerBody {
  const text = reply.body.trim();
  const contentType = headerOf(reply, 'content-type') ?? '';
  if (text === '') return { kind: 'empty' };
  if (text.startsWith('<') || (/\bhtml\b/i.test(contentType) && !text.startsWith('{')))
    return { kind: 'html' };
  if (/x-www-form-urlencoded/i.test(contentType)) {
    return { kind: 'form', value: Object.fromEntries(new URLSearchParams(text)) };
  }
  if (depthOf(text) > DEEPEST_JSON) return { kind: 'too_deep' };
  try {
    return { kind: 'json', value: JSON.parse(text) };
  } catch {
    return { kind: /^[[{]/.test(text) || /\bjson\b/i.test(contentType) ? 'malformed' : 'text' };
  }
}

/** The answer in words without any of its values: "HTML (login page?), status 200". */
export function describeAnswer(reply: IssuerReply, answer: AnswerBody): string {
  return `${describeBody(reply, answer)}, status ${reply.status}`;
}

/** The same of the body alone. */
export function describeBody(reply: IssuerReply, answer: AnswerBody): string {
  const type = describeType(headerOf(reply, 'content-type'));
  const length = reply.body.length;
  switch (answer.kind) {
    case 'empty':
      return 'an empty body';
    case 'html':
      return 'HTML (login page?)';
    case 'malformed':
      return `JSON that is malformed or cut off (${length} characters)`;
    case 'too_deep':
      return `JSON nested deeper than ${DEEPEST_JSON}`;
    case 'text':
      return `text of ${length} characters (${type})`;
    case 'form':
      return `a form with ${describeKeys(answer.value)}`;
    case 'json':
      return `JSON, ${describeValue(answer.value)}`;
  }
}

/** The media type without its parameters; one that is none is not repeated. */
function describeType(contentType: string | undefined): string {
  if (contentType === undefined) return 'no content-type';
  return /^[a-z]+\/[a-z.+-]{1,40}(?=$|[;\s])/i.exec(contentType.trim())?.[0] ?? 'an odd content-type';
}

/** What a value is, never what it says: "an object with the keys code, msg", "text of 12 characters". */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value === '') return 'an empty text';
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return `an object with ${describeKeys(value)}`;
  return `a ${typeof value}`;
}

/** "the keys code, msg". Keys that do not look like names are counted, not shown: they may be values. */
export function describeKeys(object: object): string {
  const keys = Object.keys(object);
  if (keys.length === 0) return 'no keys';
  const shown = keys.filter(isPlainName).slice(0, MOST_KEYS_SHOWN);
  const hidden = keys.length - shown.length;
  const more = hidden === 0 ? '' : `${shown.length === 0 ? '' : ' and '}${hidden} more`;
  return `the ${keys.length === 1 ? 'key' : 'keys'} ${shown.join(', ')}${more}`;
}

/** Whether a text reads like a name that somebody gave, and not like a value: short, with few digits. */
export function isPlainName(text: string): boolean {
  return /^[A-Za-z_$][A-Za-z_.$-]{0,39}$/.test(text) || /^[A-Za-z_$][\w.$-]{0,15}$/.test(text);
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (isInString) {
      if (sign === '\\') at++;
      else if (sign === '"') isInString = false;
    } else if (sign === '"') isInString = true;
    else if (sign === '{' || sign === '[') deepest = Math.max(deepest, ++depth);
    else if (sign === '}' || sign === ']') depth--;
  }
  return deepest;
}
