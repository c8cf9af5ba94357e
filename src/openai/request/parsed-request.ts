import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { Member } from '../../lib/json/json-scanner.ts';
import { parseBody, refuseSecondModel, surveyBody, textOfJson } from './json-body.ts';

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
  /** True: the client asked for `stream_options.include_usage` on a stream. */
  readonly includeUsage: boolean;
  readonly hasTools: boolean;
  /** True: the request uses `functions` / `function_call`, so the response must too. */
  readonly usesLegacyFunctions: boolean;
}

/** Parses a request body; throws FerryError `invalid_json`, `invalid_request` or `missing_model`. */
export function parseRequest(body: Buffer, kind: RequestKind): ParsedRequest {
  const bytes = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;
  const text = textOfJson(bytes);
  const members = surveyBody(text);
  const json = parseObject(text);
  refuseDuplicates(members);
  refuseSecondModel(Object.keys(json));
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
    includeUsage: stream && asksForUsage(json.stream_options),
    usesLegacyFunctions: !hasTools && (Array.isArray(json.functions) || isPresent(json.function_call)),
    hasTools,
  };
}

function parseObject(text: string): Record<string, unknown> {
  const json = parseBody(text);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    const found = json === null ? 'null' : Array.isArray(json) ? 'an array' : `a ${typeof json}`;
    throw new FerryError('invalid_request', {
      message: `The request body must be a JSON object, not ${found}.`,
    });
  }
  return json as Record<string, unknown>;
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
  const second = members.findIndex(
    ({ key }, position) => MEANINGFUL.includes(key) && members.findIndex((one) => one.key === key) < position,
  );
  const key = members[second]?.key;
  if (key === undefined) return;
  throw new FerryError('invalid_request', {
    message: `The request body has "${key}" twice. Send it once.`,
    param: key,
  });
}

function asksForUsage(options: unknown): boolean {
  return (
    typeof options === 'object' &&
    options !== null &&
    'include_usage' in options &&
    options.include_usage === true
  );
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}
