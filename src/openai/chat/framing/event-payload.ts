import { parseJson } from '../../../lib/json/json-object.ts';
import { splitJsonValues } from '../../../lib/json/json-scanner.ts';
import { isDoneMark } from '../../vendors/end-markers.ts';
import type { OnRepair } from '../../vendors/repairs.ts';

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

/** What is in the data when a proxy puts `data:` before every line: a comment, another field. */
const WRAPPED_FIELD = /^(?::|(?:event|id|retry)(?::|$))/;

/** After this many invalid parts of one event the rest is dropped: a failed parse costs 20 µs. */
const MAX_INVALID_PARTS = 20;

/**
 * The data of one event → its JSON values. Empty data and lines that a proxy wrapped into `data:` are nothing (Q8, Q9);
 * JSON inside a JSON string is opened once; JSON that was put together by hand is repaired.
 */
export function parsePayload(data: string, onRepair: OnRepair): Payload {
  const trimmed = data.trim();
  const text = withoutWrappedName(trimmed);
  if (text !== trimmed) onRepair('sse_wrapped_field');
  if (text === '') return NOTHING;
  if (WRAPPED_FIELD.test(text)) {
    onRepair('sse_wrapped_field');
    return NOTHING;
  }
  if (isDoneMark(text)) {
    onRepair('done_spelling');
    return DONE;
  }
  const whole = parseTolerantly(text, onRepair);
  return whole === null ? parseSeveral(text, onRepair) : open(whole, onRepair);
}

function withoutWrappedName(text: string): string {
  let at = 0;
  while (text.startsWith('data:', at)) at += 5;
  return at === 0 ? text : text.slice(at).trim();
}

function parseSeveral(text: string, onRepair: OnRepair): Payload {
  const values: ParsedValue[] = [];
  let invalidCount = 0;
  for (const part of splitJsonValues(text)) {
    if (isDoneMark(part)) return { values, isDone: true, isInvalid: invalidCount > 0 };
    if (part.startsWith('"') || invalidCount > MAX_INVALID_PARTS) continue;
    const parsed = parseTolerantly(part, onRepair);
    if (parsed === null) invalidCount++;
    else values.push(parsed);
  }
  if (values.length === 0) return INVALID;
  onRepair('several_values_in_event');
  return { values, isDone: false, isInvalid: invalidCount > 0 };
}

/** JSON that is a string is opened once; numbers, booleans and null are heartbeats. */
function open(parsed: ParsedValue, onRepair: OnRepair): Payload {
  const { value } = parsed;
  if (typeof value === 'object') return value === null ? NOTHING : { ...NOTHING, values: [parsed] };
  if (typeof value !== 'string') return NOTHING;
  const inner = value.trim();
  if (isDoneMark(inner)) {
    onRepair('done_spelling');
    return DONE;
  }
  if (!inner.startsWith('{') && !inner.startsWith('[')) return INVALID;
  const opened = parseTolerantly(inner, onRepair);
  if (opened === null) return INVALID;
  onRepair('json_in_string');
  return { ...NOTHING, values: [opened] };
}

/** The value and the JSON that it was read from, repaired where that is possible; null: no JSON even so. */
function parseTolerantly(text: string, onRepair: OnRepair): ParsedValue | null {
  const value = parseJson(text);
  if (value !== undefined) return { value, text };
  const repaired = repairedJson(text);
  if (repaired === null) return null;
  onRepair('invalid_json');
  return { value: parseJson(repaired), text: repaired };
}

/** Words of other languages for what JSON has, or has not, as values. */
const FOREIGN_WORD = /-?(?:NaN|Infinity)|None|undefined|True|False/y;
const JSON_WORDS: Readonly<Record<string, string>> = { True: 'true', False: 'false' };
const COMMA_AT_END = /,\s*(?=[}\]])/y;

/** A look before the repair, which reads character by character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these inside of strings.
const REPAIRABLE = /NaN|Infinity|None|undefined|True|False|[\u0000-\u001f]|,\s{0,100}[}\]]/;

/**
 * JSON as programs write it that put it together by hand: line ends and tabs inside of strings, a comma behind the last
 * member, NaN, None. Returns equivalent JSON (NaN and the like are null); null when it cannot be repaired.
 */
function repairedJson(text: string): string | null {
  if (!REPAIRABLE.test(text)) return null;
  const repaired = repair(text);
  return parseJson(repaired) === undefined ? null : repaired;
}

/** A loop, because a pattern that skips strings is quadratic without their end. */
function repair(text: string): string {
  let out = '';
  let copied = 0;
  let isInString = false;
  const replace = (at: number, length: number, by: string): void => {
    out += text.slice(copied, at) + by;
    copied = at + length;
  };
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) isInString = !isInString;
    else if (code === 0x5c) at++;
    else if (isInString && code < 0x20) replace(at, 1, escaped(code));
    else if (!isInString) {
      const found = foreignAt(text, at);
      if (found !== null) replace(at, found.length, found.by);
      at = Math.max(at, copied - 1);
    }
  }
  return out + text.slice(copied);
}

function foreignAt(text: string, at: number): { readonly length: number; readonly by: string } | null {
  const first = text[at];
  if (first === ',') {
    COMMA_AT_END.lastIndex = at;
    return COMMA_AT_END.test(text) ? { length: 1, by: '' } : null;
  }
  if (first === undefined || !'-NITFu'.includes(first)) return null;
  FOREIGN_WORD.lastIndex = at;
  const word = FOREIGN_WORD.exec(text)?.[0];
  return word === undefined ? null : { length: word.length, by: JSON_WORDS[word] ?? 'null' };
}

function escaped(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}
