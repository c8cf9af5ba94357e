import { parseJson } from '../../../lib/json/json-object.ts';
import { splitJsonValues } from '../../../lib/json/json-scanner.ts';
import { repairedJson } from './json-repair.ts';

/** One JSON value of an event, with the JSON that it was read from. */
interface ParsedValue {
  readonly value: unknown;
  readonly text: string;
}

interface Payload {
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
/** What is in the data when a proxy puts `data:` before every line: a comment, another field. */
const WRAPPED_FIELD = /^(?::|(?:event|id|retry)(?::|$))/;

/** Parts of one event that are no JSON are given up after so many: a failed parse costs 20 µs. */
const MAX_INVALID_PARTS = 20;

/**
 * The data of one event → its JSON values. Empty data and lines that a proxy wrapped into `data:` are nothing;
 * JSON inside a JSON string is opened once; JSON that was put together by hand is repaired.
 */
export function readPayload(data: string): Payload {
  const text = withoutWrappedName(data.trim());
  if (text === '' || WRAPPED_FIELD.test(text)) return NOTHING;
  if (isDoneMark(text)) return DONE;
  const whole = parseTolerantly(text);
  return whole === null ? readSeveral(text) : open(whole);
}

function withoutWrappedName(text: string): string {
  let at = 0;
  while (text.startsWith('data:', at)) at += 5;
  return at === 0 ? text : text.slice(at).trim();
}

function readSeveral(text: string): Payload {
  const values: ParsedValue[] = [];
  let invalidCount = 0;
  for (const part of splitJsonValues(text)) {
    if (isDoneMark(part)) return { values, isDone: true, isInvalid: invalidCount > 0 };
    if (part.startsWith('"') || invalidCount > MAX_INVALID_PARTS) continue;
    const parsed = parseTolerantly(part);
    if (parsed === null) invalidCount++;
    else values.push(parsed);
  }
  return values.length > 0 ? { values, isDone: false, isInvalid: invalidCount > 0 } : INVALID;
}

/** JSON that is a string is opened once; numbers, booleans and null are heartbeats. */
function open(parsed: ParsedValue): Payload {
  const { value } = parsed;
  if (typeof value === 'object') return value === null ? NOTHING : { ...NOTHING, values: [parsed] };
  if (typeof value !== 'string') return NOTHING;
  const inner = value.trim();
  if (isDoneMark(inner)) return DONE;
  if (!inner.startsWith('{') && !inner.startsWith('[')) return INVALID;
  const opened = parseTolerantly(inner);
  return opened === null ? INVALID : { ...NOTHING, values: [opened] };
}

function isDoneMark(text: string): boolean {
  return text.length < 16 && DONE_MARK.test(text);
}

/** The value and the JSON that it was read from, repaired where that is possible; null: no JSON even so. */
function parseTolerantly(text: string): ParsedValue | null {
  const value = parseJson(text);
  if (value !== undefined) return { value, text };
  const repaired = repairedJson(text);
  return repaired === null ? null : { value: parseJson(repaired), text: repaired };
}
