import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';

/** The failure that an interface of a company's own tells: `{"resultCode":"0009","resultMsg":"token invalid"}`. */
interface CodedMessage {
  readonly code: string | number;
  readonly message: string;
}

/** Names of codes for which 0, "ok" and the like mean success. */
const CODE_NAME = /(?:code|errno|error_no|^ret|^__type)$/i;
/** Names of words and HTTP statuses, which have more values that mean no failure. */
const STATUS_NAME = /status$|^state$|^result$/i;
const WORDS_NAME = /(?:message|msg|reason|desc|description|exception|fault)$/i;
const NO_ERROR_WORDS = new Set([
  '',
  'ok',
  'success',
  'succeeded',
  'successful',
  'none',
  'null',
  'true',
  'normal',
]);
/** Where such an interface may put both. */
const HEADS = ['status', 'header', 'head', 'meta', 'result', 'resp', 'ret'];

/** A code that stands for a failure and the words beside it, whatever the two are called; null when there are none. */
export function codedMessage(body: JsonObject): CodedMessage | null {
  const own = codedMessageIn(body);
  if (own !== null) return own;
  for (const name of HEADS) {
    const head = body[name];
    const found = isJsonObject(head) ? codedMessageIn(head) : null;
    if (found !== null) return found;
  }
  return null;
}

function codedMessageIn(body: JsonObject): CodedMessage | null {
  const entries = Object.entries(body);
  const code = entries.find(([name, value]) => isFailingMember(name, value))?.[1];
  if (typeof code !== 'string' && typeof code !== 'number') return null;
  const words = entries.find(([name, value]) => WORDS_NAME.test(name) && isNonEmpty(value))?.[1];
  return isNonEmpty(words) ? { code, message: words } : null;
}

function isFailingMember(name: string, value: unknown): boolean {
  if (CODE_NAME.test(name)) return isFailure(value);
  return STATUS_NAME.test(name) && isFailedStatus(value);
}

/** A status or code that stands for a failure; success is 0, "0000", 200, "ok" and the like. */
export function isFailure(code: unknown): boolean {
  if (typeof code === 'number') return code !== 0 && !(code >= 200 && code < 300);
  if (typeof code !== 'string') return false;
  return !NO_ERROR_WORDS.has(code.toLowerCase()) && !/^(?:0+|2\d\d)$/.test(code);
}

/** A state or HTTP status that stands for a failure. */
export function isFailedStatus(status: unknown): boolean {
  if (typeof status === 'number') return status >= 400 && status < 600;
  return typeof status === 'string' && /^(?:error|fail|failed|failure|[45]\d\d)$/i.test(status);
}

function isNonEmpty(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}
