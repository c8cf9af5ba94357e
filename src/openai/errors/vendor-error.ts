import type { ErrorKind } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { type Dialect, MEANINGS, type Meaning, meaningOfNumber, meaningOfWord } from './error-meanings.ts';

/** An error found inside a parsed body, in the upstream's own words. */
export interface VendorError {
  /** Not cleaned yet: may hold hosts and secrets. '' when the body has none. */
  readonly message: string;
  readonly type: string | null;
  readonly code: string | null;
  readonly param: string | null;
  /** The HTTP status that the body itself implies; null when it implies none. */
  readonly status: number | null;
  /** The kind of a known code; null when only the status or the text decides. */
  readonly kind: ErrorKind | null;
  /** The upstream's id of the failed call, for the log. */
  readonly requestId: string | null;
}

/** How deep errors wrapped in errors are followed. */
const MAX_DEPTH = 4;

const MESSAGES = [
  'message',
  'msg',
  'error_msg',
  'errorMsg',
  'errmsg',
  'error_message',
  'errorMessage',
  'status_msg',
  'error_description',
  'faultstring',
  'Message',
  'detail',
  'details',
  'reason',
  'title',
  'description',
];
const CODES = ['code', 'error_code', 'errorCode', 'errcode', 'status_code', 'Code', 'errorcode', '__type'];
/** Fields that may contain an error, or a more exact one. */
const WRAPPERS = [
  'error',
  'Error',
  'errors',
  'base_resp',
  'fault',
  'Response',
  'ResponseMetadata',
  'detail',
  'data',
];

/**
 * The error that a parsed 200 body or stream event carries; null when it carries none. Never throws.
 * A response with usable choices is no error, with any other members.
 */
export function findVendorError(json: unknown): VendorError | null {
  const body = Array.isArray(json) ? json[0] : json;
  if (!isJsonObject(body) || hasPayload(body) || !isError(body)) return null;
  const found = parseVendorError(json);
  // Some number their successes (1000, 3000) and have a text for them.
  const isSuccess = SAYS_SUCCESS.test(found?.message ?? '') && body.success !== false;
  return isSuccess && !isErrorValue(body.error) ? null : found;
}

const SAYS_SUCCESS = /^\W*(?:ok|success\w*)\W*$/i;

/** The error that the data of a stream's event carries, `name` being its `event:`; null when it carries none. */
export function findEventError(json: unknown, name: string | undefined): VendorError | null {
  // A Response that failed carries its error inside.
  const inside = isJsonObject(json) ? findVendorError(json.response) : null;
  return findVendorError(json) ?? inside ?? (name === 'error' ? parseVendorError(json) : null);
}

/** The error of a body that is known to be one, in any shape; null for anything but an object. */
export function parseVendorError(json: unknown): VendorError | null {
  return read(json, MAX_DEPTH);
}

/** Vectors, results, choices with something in them: what a client waits for. */
function hasPayload(body: JsonObject): boolean {
  if (body.object === 'error') return false;
  if (Array.isArray(body.choices)) return body.choices.some(isUsableChoice);
  for (const name of ['embeddings', 'results', 'output', 'models', 'message', 'response']) {
    if (typeof body[name] === 'object' && body[name] !== null) return !isErrorValue(body.error);
  }
  // Envelopes (Q42): a payload in `data` counts, with any code beside it.
  if (isJsonObject(body.data)) return hasPayload(body.data);
  return Array.isArray(body.data) && body.data.length > 0 && !isErrorValue(body.error);
}

function isUsableChoice(choice: unknown): boolean {
  if (!isJsonObject(choice) || choice.finish_reason === 'error') return false;
  return isJsonObject(choice.delta) || isJsonObject(choice.message) || typeof choice.text === 'string';
}

function isError(body: JsonObject): boolean {
  if (isErrorValue(body.error) || isErrorValue(body.errors) || isErrorValue(body.Error)) return true;
  if (body.object === 'error' || body.type === 'error') return true;
  if (isJsonObject(body.base_resp) && isFailure(body.base_resp.status_code)) return true;
  if (isFailure(body.error_code) || isFailure(body.errorCode) || isFailure(body.errcode)) return true;
  if (body.success === false || body.ok === false || isJsonObject(body.fault)) return true;
  if (body.success === true) return false;
  for (const name of ['Response', 'ResponseMetadata']) {
    if (isJsonObject(body[name]) && isErrorValue(body[name].Error)) return true;
  }
  const hasText = MESSAGES.some((name) => typeof body[name] === 'string');
  if (hasText && (isFailure(body.code) || isFailedStatus(body.status) || isFailedStatus(body.statusCode)))
    return true;
  if (isErrorValue(body.err) || codedMessage(body) !== null) return true;
  return isDetail(body.detail) && !('id' in body || 'object' in body || 'usage' in body);
}

/** `error: null`, `""`, `{}`, `false` and `{"code":0}` mean that there is none. */
function isErrorValue(value: unknown): boolean {
  if (value === true || (typeof value === 'string' && value !== '')) return true;
  if (typeof value === 'number') return value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  if (!isJsonObject(value)) return false;
  const entries = Object.values(value).filter((member) => member !== null && member !== '');
  return entries.length > 0 && !(value.code === 0 && !isNonEmpty(value.type));
}

/** FastAPI's `detail`: a text, or a list of `{loc, msg, type}`. */
function isDetail(detail: unknown): boolean {
  return (
    isNonEmpty(detail) ||
    (Array.isArray(detail) && detail.some((entry) => isJsonObject(entry) && 'msg' in entry))
  );
}

function read(json: unknown, depth: number): VendorError | null {
  const found = readAny(json, depth);
  if (found === null || found.message !== '' || !isJsonObject(json)) return found;
  return { ...found, message: textsBeside(json) };
}

function readAny(json: unknown, depth: number): VendorError | null {
  if (depth === 0) return null;
  if (typeof json === 'string') return fromText(json, depth);
  if (Array.isArray(json)) return fromList(json, depth);
  if (!isJsonObject(json)) return null;
  const message = messageOf(json);
  const own = fromFields(json, message);
  if (/^\s*\{/.test(message)) return merge(fromText(message, depth), own);
  if (isJsonObject(json.message)) {
    const inner = read(json.message, depth - 1);
    return merge(inner === null || inner.message === '' ? blank(textsIn(json.message)) : inner, own);
  }
  for (const name of WRAPPERS) {
    const inside = json[name];
    if (typeof inside !== 'object' && typeof inside !== 'string') continue;
    const inner = inside === '' || inside === null ? null : read(inside, depth - 1);
    if (inner !== null) return merge(inner, own);
  }
  return own;
}

/** Where messages are a list or an object of texts: NestJS's `message`, `errors` by field of Rails and Laravel. */
const LISTED = [...MESSAGES, 'errors'];
/** Of a long list of texts the first ones are enough. */
const MAX_TEXTS = 20;

function textsBeside(json: JsonObject): string {
  for (const name of LISTED) {
    const text = typeof json[name] === 'object' ? textsIn(json[name]) : '';
    if (text !== '') return text;
  }
  return '';
}

/** All texts of a list or of an object, those of an object behind their names: `model: is unknown; n: too large`. */
function textsIn(value: unknown, depth = 3): string {
  if (typeof value === 'string') return value.trim();
  if (depth === 0 || typeof value !== 'object' || value === null) return '';
  const isList = Array.isArray(value);
  return Object.entries(value)
    .slice(0, MAX_TEXTS)
    .map(([name, member]): string => {
      const text = textsIn(member, depth - 1);
      return isList || text === '' ? text : `${name}: ${text}`;
    })
    .filter((text) => text !== '')
    .join('; ');
}

/** A message that is itself a JSON error (gateways put one inside the other) is opened. */
function fromText(text: string, depth: number): VendorError {
  const start = text.trimStart();
  if (start.startsWith('{') && text.length < 20_000) {
    try {
      const inner = read(JSON.parse(start), depth - 1);
      if (inner !== null && inner.message !== '') return inner;
    } catch {
      // Not JSON after all: a text.
    }
  }
  return blank(text);
}

/** `[{"error":…}]`, and FastAPI's list, of which each entry is listed with its place (Q131). */
function fromList(list: readonly unknown[], depth: number): VendorError | null {
  const entries = list
    .filter(isJsonObject)
    .filter((entry) => typeof entry.msg === 'string' && Array.isArray(entry.loc));
  if (entries.length === 0) {
    const isTexts = list.length > 1 && list.every((entry) => typeof entry === 'string');
    if (isTexts) return blank(textsIn(list));
    return list.length > 0 ? read(list[0], depth - 1) : null;
  }
  const listed = entries.slice(0, 20).map((entry) => `${placeOf(entry.loc)}: ${String(entry.msg)}`);
  const first = entries[0] as JsonObject;
  return {
    ...blank(listed.join('; ')),
    param: placeOf(first.loc),
    code: typeof first.type === 'string' ? first.type : null,
  };
}

/** `["body", "messages", 0, "role"]` → `messages.0.role`. */
function placeOf(loc: unknown): string {
  const parts = Array.isArray(loc) ? loc.map(String) : [];
  return (parts[0] === 'body' && parts.length > 1 ? parts.slice(1) : parts).join('.');
}

function fromFields(json: JsonObject, message: string): VendorError {
  const code =
    CODES.map((name) => json[name]).find((value) => isFailure(value) && !isTrivial(value)) ??
    codedMessage(json)?.code;
  const name = typeof code === 'string' && !/^\d+$/.test(code) ? code : null;
  const statusName = typeof json.status === 'string' && /^[A-Z_]{4,}$/.test(json.status) ? json.status : null;
  const type = textOrNull(json.type) ?? textOrNull(json.error_type);
  const meaning =
    meaningOfNumeric(json, code) ?? meaningOfWord(name) ?? meaningOfWord(statusName) ?? meaningOfWord(type);
  const httpStatus = [json.status, json.statusCode, code].map(asHttpStatus).find((status) => status !== null);
  return {
    message,
    type: type === 'error' ? null : type,
    code: statusName ?? (code === undefined ? null : String(code)),
    param: textOrNull(json.param),
    status: exactStatus(meaning, httpStatus ?? null),
    kind: meaning?.kind ?? null,
    requestId: textOrNull(json.request_id) ?? textOrNull(json.requestId) ?? textOrNull(json.RequestId),
  };
}

/** `server_error` and `invalid_request_error` are general: a status beside them is more specific (Q126). */
function exactStatus(meaning: Meaning | undefined, httpStatus: number | null): number | null {
  if (meaning === undefined) return httpStatus;
  const isRefined =
    httpStatus !== null && (meaning === MEANINGS.broken || (meaning === MEANINGS.client && httpStatus < 500));
  return isRefined ? httpStatus : meaning.status;
}

function messageOf(json: JsonObject): string {
  const text = MESSAGES.map((name) => json[name]).find(isNonEmpty);
  const word = [json.error, json.err].find(isNonEmpty);
  const listed = MESSAGES.map((name) => json[name]).find(isTexts);
  const said = text ?? (listed && textsIn(listed)) ?? word ?? codedMessage(json)?.message ?? '';
  const reason = filterReason(json.innererror);
  return reason === '' ? said : `${said} (${reason})`;
}

/** Azure's `innererror` names the filter that matched. */
function filterReason(inner: unknown): string {
  if (!isJsonObject(inner)) return '';
  const results = isJsonObject(inner.content_filter_result) ? inner.content_filter_result : {};
  const hits = Object.entries(results)
    .filter(([, result]) => isJsonObject(result) && (result.filtered === true || result.detected === true))
    .map(([name, result]) => `${name}: ${String((result as JsonObject).severity ?? 'detected')}`);
  return [textOrNull(inner.code) ?? '', ...hits].filter((part) => part !== '').join(', ');
}

/** The member that contains a number identifies the vendor. */
function meaningOfNumeric(json: JsonObject, code: unknown): Meaning | undefined {
  const number =
    typeof code === 'number'
      ? code
      : typeof code === 'string' && /^\d+$/.test(code)
        ? Number(code)
        : Number.NaN;
  if (!Number.isInteger(number)) return undefined;
  const dialect = dialectOf(json, code);
  return dialect === null ? undefined : meaningOfNumber(dialect, number);
}

function dialectOf(json: JsonObject, code: unknown): Dialect | null {
  if ('status_msg' in json || 'status_code' in json) return 'minimax';
  if ('error_code' in json) return 'baidu';
  // Envelopes of company gateways have such codes as numbers, and mean something else by them.
  return typeof code === 'string' && /^1\d{3}$/.test(code) ? 'zhipu' : null;
}

/** What the inner error does not state is taken from the object around it: Spring's `status`, TGI's `error_type`. */
function merge(inner: VendorError, outer: VendorError): VendorError {
  return {
    message: longer(inner, outer),
    type: inner.type ?? outer.type,
    code: inner.code ?? outer.code,
    param: inner.param ?? outer.param,
    status: inner.status ?? outer.status,
    kind: inner.kind ?? (inner.status === null ? outer.kind : null),
    requestId: inner.requestId ?? outer.requestId,
  };
}

/** `{"error":"Not Found","message":"No endpoint POST /x"}`: a text beside a single word is more specific than the word. */
function longer(inner: VendorError, outer: VendorError): string {
  const isBareWord = inner.code === null && inner.type === null && inner.message.length < 40;
  if (inner.message === '' || (isBareWord && outer.message !== '')) return outer.message;
  return inner.message;
}

function blank(message: string): VendorError {
  return { message, type: null, code: null, param: null, status: null, kind: null, requestId: null };
}

function asHttpStatus(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && number >= 400 && number < 600 && Number.isInteger(number)
    ? number
    : null;
}

function isTrivial(value: unknown): boolean {
  return typeof value === 'string' && value.length > 200;
}

function textOrNull(value: unknown): string | null {
  return isNonEmpty(value) && value.length <= 200 ? value : null;
}

function isNonEmpty(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isNonEmpty);
}

/** The failure of a company's own interface: `{"resultCode":"0009","resultMsg":"token invalid"}`. */
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

/** A code for a failure and the text beside it, under any names; null when there are none. */
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

/** A status or code for a failure; success is 0, "0000", 200, "ok" and the like. */
function isFailure(code: unknown): boolean {
  if (typeof code === 'number') return code !== 0 && !(code >= 200 && code < 300);
  if (typeof code !== 'string') return false;
  return !NO_ERROR_WORDS.has(code.toLowerCase()) && !/^(?:0+|2\d\d)$/.test(code);
}

/** A state or HTTP status for a failure. */
function isFailedStatus(status: unknown): boolean {
  if (typeof status === 'number') return status >= 400 && status < 600;
  return typeof status === 'string' && /^(?:error|fail|failed|failure|[45]\d\d)$/i.test(status);
}
