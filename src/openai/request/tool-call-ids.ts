import { createHash } from 'node:crypto';
import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';

/** The form of tool-call ids that an upstream accepts. */
interface ToolCallIdForm {
  /** Null: any, up to `maxLength`. */
  readonly exactLength: number | null;
  readonly maxLength: number;
  /** False: letters and digits alone. */
  readonly hasSigns: boolean;
}

const PREFIX = 'messages:tool_call_ids';
const LEARNED = /^messages:tool_call_ids(?:=(?<exact>\d+)|<=(?<max>\d+))?(?<plain> alphanumeric)?$/;
const DEFAULT_MAX_LENGTH = 64;
/** Of the ids that are made here where any length will do. */
const OWN_LENGTH = 24;

/** The form that a learned text stands for; null: another one. */
function formOf(learned: string): ToolCallIdForm | null {
  const groups = learned.startsWith(PREFIX) ? LEARNED.exec(learned)?.groups : undefined;
  if (groups === undefined) return null;
  const { exact, max, plain } = groups;
  return {
    exactLength: exact === undefined ? null : Number(exact),
    maxLength: max === undefined ? DEFAULT_MAX_LENGTH : Number(max),
    hasSigns: plain === undefined,
  };
}

/** Gives the id that an upstream gets for one of the history; the same for each call and its result. */
export type MapToolCallId = (id: string) => string;

/**
 * How ids of tool calls are sent to an upstream that refused others; null: unchanged. An id that has the form stays, such as
 * one that this upstream made itself. Another becomes a digest of itself, so that it is the same in every request.
 */
export function toolCallIdMapOf(learned: readonly string[]): MapToolCallId | null {
  const forms = learned.map(formOf).filter((form) => form !== null);
  if (forms.length === 0) return null;
  return (id) => {
    if (forms.every((form) => hasForm(id, form))) return id;
    const exact = forms.find(({ exactLength }) => exactLength !== null)?.exactLength;
    const length = exact ?? Math.min(OWN_LENGTH, ...forms.map(({ maxLength }) => maxLength));
    return digestOf(id).slice(0, length);
  };
}

function hasForm(id: string, { exactLength, maxLength, hasSigns }: ToolCallIdForm): boolean {
  if (exactLength === null ? id.length > maxLength : id.length !== exactLength) return false;
  return (hasSigns ? /^[\w-]+$/ : /^[A-Za-z0-9]+$/).test(id);
}

/** 64 letters and digits. */
function digestOf(id: string): string {
  return createHash('sha256').update(id).digest('hex');
}

/**
 * The form of ids that an upstream's 400 or 422 asks for: Mistral "must be a-z, A-Z, 0-9, with a length of 9", OpenAI "string
 * too long. Expected a string with maximum length 40", Bedrock "must satisfy regular expression pattern: [a-zA-Z0-9_-]+". Null:
 * it is about something else, or every id of the history has the form.
 */
export function findToolCallIdForm(error: FerryError, messages: unknown): string | null {
  if (error.kind !== 'client_fault' || (error.status !== 400 && error.status !== 422)) return null;
  const words = [error.param ?? '', error.message].join(' ');
  if (!NAMES_ID.test(words)) return null;
  // The id itself, which the text repeats, has digits and lengths of its own.
  const ids = idsIn(messages);
  const text = ids.reduce((rest, id) => rest.replaceAll(id, ' '), words);
  const exact = EXACT_LENGTH.exec(text)?.slice(1).find(Boolean);
  const max = MAX_LENGTH.exec(text)?.slice(1).find(Boolean);
  const isPlain = PLAIN.test(text) && !/[_-]\]|_-|underscore|hyphen|\\w/.test(text);
  if (exact === undefined && max === undefined && !isPlain && !PATTERN.test(text)) return null;
  const length = exact !== undefined ? `=${exact}` : max !== undefined ? `<=${max}` : '';
  const learned = `${PREFIX}${length}${isPlain ? ' alphanumeric' : ''}`;
  const form = formOf(learned);
  return form !== null && isUsable(form) && ids.some((id) => !hasForm(id, form)) ? learned : null;
}

/** Shorter ids would be those of several calls. */
function isUsable({ exactLength, maxLength }: ToolCallIdForm): boolean {
  const length = exactLength ?? maxLength;
  return length >= 6 && length <= DEFAULT_MAX_LENGTH;
}

const NAMES_ID =
  /tool[_ -]?calls?\S*[_ .-]?ids?\b|tool[_ -]?use[\w. ]*[_ .-]?ids?\b|\bcall[_ ]ids?\b|function[_ ]call[_ ]ids?\b|\btool ids?\b|toolUseId|tool_calls\W.{0,20}\bid\b|工具调用.{0,6}id/i;
const EXACT_LENGTH =
  /(?:length (?:of|must be|should be|is)|exactly|长度(?:必须|应)?(?:为|是)|Länge (?:von|muss)|longueur de)\s*:?\s*(\d{1,3})(?!\s*(?:or less|and below|以内))|(?<![\d-])(\d{1,3})[- ]character (?:alphanumeric|string|id)|\{(\d{1,3})\}/i;
const MAX_LENGTH =
  /(?:max(?:imum|imal)?(?: (?:length|of))*|at most|no (?:more|longer) than|not exceed|less than or equal to|longer than|up to|<=|不(?:能)?超过|最(?:大|多|长)(?:长度)?(?:为)?|höchstens|maximal)\s*:?\s*(\d{1,3})|\{\d*,(\d{1,3})\}/i;
const PLAIN =
  /alphanumeric|letters and (?:digits|numbers)|a-z,? ?A-Z,? ?(?:and )?0-9|\[a-zA-Z0-9\]|\[A-Za-z0-9\]|字母(?:和|与|、)数字|alphanumerisch/i;
const PATTERN =
  /pattern|regular expression|regex|invalid characters?|only contain|\[a-zA-Z0-9_-\]|正则|Zeichen/i;

function idsIn(messages: unknown): readonly string[] {
  if (!Array.isArray(messages)) return [];
  const ids = new Set<string>();
  for (const message of messages) {
    if (!isJsonObject(message)) continue;
    if (typeof message.tool_call_id === 'string') ids.add(message.tool_call_id);
    for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : [])
      if (isJsonObject(call) && typeof call.id === 'string') ids.add(call.id);
  }
  return [...ids].filter((id) => id !== '');
}
