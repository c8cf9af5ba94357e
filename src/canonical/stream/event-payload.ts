import { splitJsonValues } from './json-values.ts';

/** One JSON value of an event, with its text. */
export interface ParsedValue {
  readonly value: unknown;
  readonly text: string;
}

export interface Payload {
  readonly values: readonly ParsedValue[];
  /** The end marker stood in it, in any spelling, after the values. */
  readonly isDone: boolean;
  /** It held text that is no JSON. */
  readonly isInvalid: boolean;
}

const NOTHING: Payload = { values: [], isDone: false, isInvalid: false };
const DONE: Payload = { ...NOTHING, isDone: true };
const INVALID: Payload = { ...NOTHING, isInvalid: true };

const DONE_MARK = /^"?\s*\[?\s*DONE\s*\]?\s*"?$/;
/** Strings are matched first, so that the words stay as they are inside them. */
const STRING_OR_NON_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/gs;

/**
 * The data of one event → its JSON values. Empty data and comments that a proxy wrapped into `data:` are nothing;
 * JSON inside a JSON string is opened once; NaN and Infinity become null.
 */
export function readPayload(data: string): Payload {
  const text = data.trim();
  if (text === '' || text.startsWith(':')) return NOTHING;
  if (isDoneMark(text)) return DONE;
  const whole = parseTolerantly(text);
  if (whole !== undefined) return open(whole, text);
  return readSeveral(text);
}

function readSeveral(text: string): Payload {
  const values: ParsedValue[] = [];
  let isInvalid = false;
  for (const part of splitJsonValues(text)) {
    if (isDoneMark(part)) return { values, isDone: true, isInvalid };
    const value = parseTolerantly(part);
    if (value === undefined) isInvalid = true;
    else if (typeof value === 'object' && value !== null) values.push({ value, text: part });
  }
  return values.length > 0 ? { values, isDone: false, isInvalid } : INVALID;
}

/** JSON that is a string is opened once; numbers, booleans and null are heartbeats. */
function open(value: unknown, text: string): Payload {
  if (typeof value === 'object') return value === null ? NOTHING : withValue(value, text);
  if (typeof value !== 'string') return NOTHING;
  const inner = value.trim();
  if (isDoneMark(inner)) return DONE;
  if (!inner.startsWith('{') && !inner.startsWith('[')) return INVALID;
  const parsed = parseTolerantly(inner);
  return parsed === undefined ? INVALID : withValue(parsed, inner);
}

function withValue(value: unknown, text: string): Payload {
  return { values: [{ value, text }], isDone: false, isInvalid: false };
}

function isDoneMark(text: string): boolean {
  return text.length < 16 && DONE_MARK.test(text);
}

/** undefined: no JSON, even when NaN and Infinity are read as null. */
function parseTolerantly(text: string): unknown {
  const value = parse(text);
  if (value !== undefined || !/NaN|Infinity/.test(text)) return value;
  return parse(text.replace(STRING_OR_NON_NUMBER, (match) => (match.startsWith('"') ? match : 'null')));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
