import { isUtf8 } from 'node:buffer';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { MemberEdits } from '../../lib/json/json-edits.ts';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { findJsonFault, type JsonLimits, type Member, surveyJson } from '../../lib/json/json-scanner.ts';

/** Which of the generated endpoints a request is for. */
export type RequestKind = 'chat' | 'completions' | 'embeddings' | 'rerank';

/** A client's JSON request, checked. */
export interface ParsedRequest {
  readonly kind: RequestKind;
  /** The client's bytes without a byte order mark. */
  readonly body: Buffer;
  readonly text: string;
  /** The top-level members of `text`. */
  readonly members: readonly Member[];
  readonly json: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  /** True: the client requested `stream_options.include_usage` on a stream. */
  readonly includeUsage: boolean;
  readonly hasTools: boolean;
  /** True: the request uses `functions` / `function_call`, so the response must too. */
  readonly usesLegacyFunctions: boolean;
}

/**
 * Parses a request body; throws FerryError `invalid_json`, `invalid_request` or `missing_model`. `modelInPath` is put into
 * a body that names no model.
 */
export function parseRequest(
  body: Buffer,
  kind: RequestKind,
  modelInPath: string | null = null,
): ParsedRequest {
  const bytes = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;
  const text = textOfJson(bytes);
  const members = surveyBody(text);
  const json = parseObject(text);
  refuseDuplicates(members);
  refuseSecondModel(Object.keys(json));
  if (modelInPath !== null && (json.model ?? '') === '') {
    const edits = new MemberEdits(text, members);
    edits.set('model', JSON.stringify(modelInPath));
    return parseRequest(Buffer.from(edits.toString()), kind);
  }
  const model = modelOf(json);
  const stream = json.stream === true;
  const hasTools = Array.isArray(json.tools) && json.tools.length > 0;
  return {
    kind,
    body: bytes,
    text,
    members,
    json,
    model,
    stream,
    includeUsage: stream && isJsonObject(json.stream_options) && json.stream_options.include_usage === true,
    usesLegacyFunctions:
      !hasTools && (Array.isArray(json.functions) || (json.function_call ?? null) !== null),
    hasTools,
  };
}

function parseObject(text: string): JsonObject {
  const json = parseBody(text);
  if (!isJsonObject(json)) {
    const found = json === null ? 'null' : Array.isArray(json) ? 'an array' : `a ${typeof json}`;
    throw new FerryError('invalid_request', {
      message: `The request body must be a JSON object, not ${found}.`,
    });
  }
  return json;
}

function modelOf(json: Readonly<Record<string, unknown>>): string {
  const { model } = json;
  if (typeof model === 'string' && model.trim() !== '') return model;
  const found =
    model === undefined || model === null
      ? 'The request has no model'
      : typeof model === 'string'
        ? 'The model in the request is empty'
        : 'The model in the request is not a string';
  throw new FerryError('missing_model', {
    message: `${found}: set "model" to the name of a model.`,
    param: 'model',
  });
}

/** Keys that the gateway acts on. Of two it would use the last and an upstream perhaps the first. */
const MEANINGFUL = [
  'model',
  'stream',
  'messages',
  'prompt',
  'input',
  'encoding_format',
  'query',
  'documents',
];

function refuseDuplicates(members: readonly Member[]): void {
  const seen: string[] = [];
  for (const { key } of members) {
    if (!MEANINGFUL.includes(key)) continue;
    if (seen.includes(key)) {
      throw new FerryError('invalid_request', {
        message: `The request body has "${key}" twice. Send it once.`,
        param: key,
      });
    }
    seen.push(key);
  }
}

/** What a request body may cost to parse: more of each than any real request has. */
const LIMITS: JsonLimits = {
  /** Python upstreams die at about 1000. */
  levels: 256,
  /** Each costs about 60 bytes when parsed. */
  containers: 1_000_000,
  /** A million different ones cost up to 1 µs each, and ever more beyond. */
  strings: 1_000_000,
  /** They are compared with each other and looked through several times. */
  members: 10_000,
  /** OpenAI takes 300,000 token ids in one request. */
  values: 4_000_000,
};

const LIMIT_NAMES = {
  levels: 'levels of nesting',
  containers: 'arrays and objects',
  strings: 'texts and keys',
  members: 'keys at its top level',
  values: 'values',
} as const satisfies Record<keyof JsonLimits, string>;

/** How far the place of a fault is searched for, in UTF-16 units: 50 ms of a hostile body. */
const MAX_FAULT_POSITION = 1024 * 1024;

/**
 * The top-level members of a request body that JSON.parse has not seen yet. Throws `invalid_request` for one that would
 * block every other request while it is parsed.
 */
function surveyBody(text: string): readonly Member[] {
  const { exceeded, members } = surveyJson(text, LIMITS);
  if (exceeded === null) return members;
  throw new FerryError('invalid_request', {
    message: `The request body has more than ${LIMITS[exceeded]} ${LIMIT_NAMES[exceeded]}.`,
  });
}

/** Shorter bodies cost a few milliseconds at most, with any content. */
const HARMLESS_BYTES = 256 * 1024;

/** Throws like `surveyBody` for a body that is passed through and parsed for a few of its members only. */
export function refuseCostlyJson(body: Buffer): void {
  // Bytes as characters: brackets and quotes are the same in every charset that JSON may have.
  if (body.length > HARMLESS_BYTES) surveyBody(body.toString('latin1'));
}

/** The text of a JSON body (RFC 8259, 8.1: always UTF-8). Throws `invalid_json` for another charset. */
export function textOfJson(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw new FerryError('invalid_json', { message: 'The request body is not valid UTF-8 text.' });
}

/** JSON.parse that throws `invalid_json` with line and column of the fault, and without a word of the text. */
export function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FerryError('invalid_json', { message: describeFault(text), cause });
  }
}

function describeFault(text: string): string {
  if (text.trim() === '') return 'The request body is empty: send a JSON object.';
  const fault = findJsonFault(text.slice(0, MAX_FAULT_POSITION));
  if (fault.isCutOff && text.length > MAX_FAULT_POSITION) {
    return `The request body is not valid JSON: the error is after position ${MAX_FAULT_POSITION}.`;
  }
  const place = `line ${fault.line}, column ${fault.column}`;
  return fault.isCutOff
    ? `The request body is not valid JSON: it ends too early, at ${place}.`
    : `The request body is not valid JSON: unexpected character at ${place} (position ${fault.position}).`;
}

/** Go reads `Model` and `MODEL` as `model`, so that one of them would be a second model. Throws `invalid_request`. */
export function refuseSecondModel(keys: Iterable<string>): void {
  for (const key of keys) {
    if (key.length !== 5 || key === 'model' || key.toLowerCase() !== 'model') continue;
    throw new FerryError('invalid_request', {
      message: `The request body has "${key}": use "model" in lower case, once.`,
      param: 'model',
    });
  }
}
