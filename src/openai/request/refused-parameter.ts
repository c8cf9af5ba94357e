import type { FerryError } from '../../lib/errors/ferry-error.ts';
import type { JsonObject } from '../../lib/json/json-object.ts';
import { listedNames, markedMention, ownSpelling, PLAIN_NAME } from './named-parameter.ts';
import { readVerdict } from './refusal-verdict.ts';
import { placesIn, type RefusedPlace } from './refused-place.ts';

/** Sent under the other name when refused, never left out. */
const LIMITS: Readonly<Record<string, string>> = {
  max_tokens: 'max_completion_tokens',
  max_completion_tokens: 'max_tokens',
};

/** What is asked for itself, in all APIs: when refused, the client gets the error. */
const KEPT: ReadonlySet<string> = new Set([
  ...['messages', 'tools', 'tool_choice', 'response_format', 'stop', 'model', 'stream'],
  ...['functions', 'function_call', 'prompt', 'input', 'query', 'documents'],
  ...['system', 'instructions', 'previous_response_id', 'conversation', 'text', 'max_output_tokens'],
  ...['audio', 'voice', 'image', 'images', 'file', 'requests'],
]);

/** True: a refused parameter of this name may be left out, also one that OpenAI does not know. */
export function isDroppable(name: string): boolean {
  return !(KEPT.has(name) || Object.hasOwn(LIMITS, name));
}

/** The name under which a refused length limit is sent instead; null for everything else. */
export function renameOfRefused(name: string): string | null {
  return Object.hasOwn(LIMITS, name) ? (LIMITS[name] ?? null) : null;
}

/** What of a request matters for what an upstream may refuse of it. */
interface RefusableRequest {
  readonly json: JsonObject;
  /** Whether the upstream was sent a stream request; absent: as `json` says. */
  readonly stream?: boolean;
}

/**
 * The changes (`learned-change.ts`) by which a request does without what an upstream's 400 or 422 refuses: each top-level
 * parameter that it names, in any wording or as a place, is left out, renamed or set as it says. Empty when it names
 * none, and when it says that a value is wrong (a range, a type): that is the client's own mistake. `body` is the error's JSON.
 */
export function findRefusedParameters(
  error: FerryError,
  request: RefusableRequest,
  body?: unknown,
): readonly string[] {
  if (error.kind !== 'client_fault' || (error.status !== 400 && error.status !== 422)) return [];
  // The gateway may have added stream_options for the usage.
  const sent: JsonObject = { ...request.json, stream_options: request.json.stream_options ?? null };
  const isStream = request.stream ?? request.json.stream === true;
  const places = placesIn(body, error, Object.keys(sent));
  const changes = new Set<string>();
  for (const place of places) {
    const name = topLevelName(place, sent);
    if (name === null) continue;
    const text = place.message ?? error.message;
    const change = changeFor(name, { text, code: place.type ?? error.code, sent, isStream });
    if (change !== null) changes.add(change);
  }
  if (changes.size > 0 || places.some((place) => isAboutKept(place, sent))) return [...changes];
  const { message, code } = error;
  for (const name of namesIn(message, sent)) {
    const change = changeFor(name, { text: message, code, sent, isStream });
    if (change !== null) changes.add(change);
  }
  return [...changes];
}

/** `["body","user"]` and `metadata.a` mean their top-level parameter; null for another place, and for one that is kept. */
function topLevelName({ path }: RefusedPlace, sent: JsonObject): string | null {
  const names = Object.keys(sent);
  const [first = '', second = ''] = path;
  const name = ownSpelling(first, names) ?? ownSpelling(second, names);
  return name === null || !PLAIN_NAME.test(name) || KEPT.has(name) ? null : name;
}

/** Whether a place is inside of what is asked for itself: the names in its text are not those of parameters. */
function isAboutKept({ path: [first] }: RefusedPlace, sent: JsonObject): boolean {
  return first !== undefined && KEPT.has(first) && Object.hasOwn(sent, first) && first !== 'model';
}

/**
 * The parameters that a text names first, or lists: 'a', 'b' were unexpected. Empty when it first names what is kept,
 * unless that is the model, which many texts name.
 */
function namesIn(message: string, sent: JsonObject): readonly string[] {
  const names = Object.keys(sent).filter((name) => name !== 'model');
  const listed = listedNames(message, names);
  if (listed.some((name) => KEPT.has(name))) return [];
  if (listed.length > 0) return listed;
  const set = SET_BY_TEXT.exec(message)?.groups?.name;
  return set !== undefined && (set.includes('_') || markedMention(message, set) >= 0) ? [set] : [];
}

/** A parameter that was not sent and is to have a value: parameter.enable_thinking must be set to false. */
const SET_BY_TEXT =
  /\b(?<name>[a-z][a-z0-9]*(?:_[a-z0-9]+)+)['"`”’]?\W{0,3}(?:must|should|has to|needs? to|muss|必须|只能|需要?|应)/i;

interface NamedRefusal {
  readonly text: string;
  readonly code: string | null;
  readonly sent: JsonObject;
  readonly isStream: boolean;
}

function changeFor(name: string, { text, code, sent, isStream }: NamedRefusal): string | null {
  if (KEPT.has(name)) return null;
  const value = sent[name];
  const verdict = readVerdict({ name, value, text, code, isStream });
  const isLimit = Object.hasOwn(LIMITS, name);
  switch (verdict.kind) {
    case 'rename': {
      if (isLimit && verdict.to === LIMITS[name]) return name;
      if (KEPT.has(verdict.to.split('.')[0] ?? '') || !Object.hasOwn(sent, name)) return null;
      return Object.hasOwn(sent, verdict.to) ? name : `${name}>${verdict.to}`;
    }
    case 'set':
      if (isLimit || JSON.stringify(value) === verdict.json) return null;
      return `${name}=${verdict.json}${verdict.isForStream ? ` (stream:${isStream})` : ''}`;
    case 'drop':
      if (!Object.hasOwn(sent, name)) return null;
      return isLimit && !verdict.isCertain ? null : name;
    case 'drop_value': {
      const json = JSON.stringify(value);
      if (!Object.hasOwn(sent, name) || isLimit) return null;
      return json.length <= MAX_VALUE_LENGTH ? `${name}(=${json})` : name;
    }
    case 'mistake':
      return null;
  }
}

/** Longer values are not compared: the parameter is left out with any. */
const MAX_VALUE_LENGTH = 64;

/** Whether an error says that one of these parameters, which were left out, is missing. */
export function saysMissing(error: FerryError, names: readonly string[]): boolean {
  if (error.kind !== 'client_fault') return false;
  const words = [error.param ?? '', error.message].join(' ');
  return names.some(
    (name) =>
      markedMention(words, name) >= 0 &&
      readVerdict({
        name,
        value: undefined,
        text: words,
        code: error.code,
        isStream: false,
      }).kind === 'mistake',
  );
}
