import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { listedNames } from './named-parameter.ts';
import { readVerdict } from './refusal-verdict.ts';
import { placesIn } from './refused-place.ts';

/** What a conversation consists of in OpenAI's API: never left out, but where it is null. */
const CORE: ReadonlySet<string> = new Set(
  [
    ...['role', 'content', 'refusal', 'tool_calls', 'tool_call_id', 'function_call'],
    ...['tool_calls.id', 'tool_calls.type', 'tool_calls.function', 'function_call.name'],
    ...['tool_calls.function.name', 'tool_calls.function.arguments', 'function_call.arguments'],
    ...['content.type', 'content.text', 'content.refusal', 'content.image_url', 'content.image_url.url'],
    ...['content.input_audio', 'content.input_audio.data', 'content.input_audio.format'],
    ...['content.file', 'content.file.file_data', 'content.file.file_id', 'content.file.filename'],
    ...['content.video_url', 'content.video_url.url', 'content.audio_url', 'content.audio_url.url'],
  ].map((path) => `messages.${path}`),
);

/** A marker for caches, which every other API can do without wherever it is. */
const MARKER = 'cache_control';

/** The two names of a model's reasoning in a history. */
const REASONING: Readonly<Record<string, string>> = {
  reasoning_content: 'reasoning',
  reasoning: 'reasoning_content',
};

/** Members with signatures and encrypted parts, which only the model that wrote them can read. */
const SIGNED: readonly string[] = [
  ...['reasoning_details', 'thinking_blocks', 'provider_specific_fields', 'extra_content'],
  ...['thought_signature', 'thoughtSignature', 'reasoning_signature', 'signature'],
];

/** Levels of members that are looked at, and elements of a list. */
const MAX_DEPTH = 6;
const MAX_ELEMENTS = 5_000;

/** Where members of one name are, without indexes, and whether one of them is null. */
type Places = Map<string, Map<string, boolean>>;

/**
 * The changes (`learned-change.ts`) by which a conversation does without the members that an upstream's 400 or 422 refuses:
 * those that OpenAI does not know (`reasoning_details`, `cache_control`), nulls, and the other name of the reasoning first.
 * `avoided`: what the refused request was changed by already. Empty: it names none.
 */
export function findRefusedMembers(
  error: FerryError,
  json: JsonObject,
  avoided: readonly string[],
  body?: unknown,
): readonly string[] {
  if (error.kind !== 'client_fault' || (error.status !== 400 && error.status !== 422)) return [];
  const places = membersIn(json);
  if (places.size === 0) return [];
  const names = refusedNames(error, places, body);
  return names.flatMap((name) => changesFor(name, error.message, places, avoided));
}

/** Changes that leave out every signature of a history; empty when there is none, or the error is about something else. */
export function findForeignSignatures(error: FerryError, json: JsonObject): readonly string[] {
  const { kind, message } = error;
  if (kind !== 'client_fault' || !SAYS_SIGNATURE.test(message)) return [];
  if (!SAYS_INVALID.test(message) || SAYS_UNKNOWN.test(message)) return [];
  const places = membersIn(json);
  const paths = SIGNED.flatMap((name) => [...(places.get(name)?.keys() ?? [])]);
  // What is inside of another one goes with it.
  return paths.filter((path) => !paths.some((outer) => path.startsWith(`${outer}.`)));
}

const SAYS_SIGNATURE =
  /signature|encrypted[ _]content|reasoning[ _]details|thinking[ _]block|thought|签名|加密|signatur|verschlüsselt/i;
const SAYS_INVALID =
  /invalid|corrupt|mismatch|not valid|could not be|cannot be (?:verified|decrypted|modified|used)|verif|decrypt|tamper|malformed|bad |belongs to|无效|校验|验证|不匹配|解密|ungültig|beschädigt|nicht (?:gültig|entschlüsselt|geprüft)/i;

/** The member itself is refused, with any content. */
const SAYS_UNKNOWN =
  /unknown|unrecogni[sz]ed|unexpected|unsupported|not (?:supported|permitted|allowed)|extra (?:input|field)|additional propert|cannot find/i;

function refusedNames(error: FerryError, places: Places, body: unknown): readonly string[] {
  const found = placesIn(body, error);
  const fromPlaces = found.flatMap(({ path, type, message }) => {
    const isInside = path[0] !== undefined && (path[0] === 'messages' || path.length > 1);
    const name = isInside ? path.findLast((part) => places.has(part)) : undefined;
    if (name === undefined) return [];
    const isLast = path.at(-1) === name;
    return isLast || isRefusal(name, message ?? error.message, type) ? [name] : [];
  });
  if (fromPlaces.length > 0) return [...new Set(fromPlaces)];
  const names = [...places].filter(([, paths]) => isRemovable(paths)).map(([name]) => name);
  return listedNames(error.message, names).filter((name) => isRefusal(name, error.message, error.code));
}

/** Whether members of a name are more than what a conversation consists of. */
function isRemovable(paths: ReadonlyMap<string, boolean>): boolean {
  if (paths.size === 0) return true;
  for (const [path, hasNull] of paths) if (hasNull || !CORE.has(path)) return true;
  return false;
}

function isRefusal(name: string, text: string, code: string | null): boolean {
  const verdict = readVerdict({ name, value: undefined, text, code, isStream: false });
  return verdict.kind !== 'mistake' && (name.includes('_') || (verdict.kind === 'drop' && verdict.isCertain));
}

function changesFor(name: string, text: string, places: Places, avoided: readonly string[]): string[] {
  const changes: string[] = [];
  for (const [path, hasNull] of places.get(name) ?? []) {
    if (CORE.has(path)) {
      // Its absence is no better than its null, which has rewrites of its own.
      if (hasNull && path !== 'messages.content') changes.push(`${path}(=null)`);
      continue;
    }
    const other = path === `messages.${name}` ? REASONING[name] : undefined;
    const rename = `${path}>${other}`;
    const isRenamed = avoided.some((change) => change === rename || change === `messages.${other}>${name}`);
    const isUnwanted = other === undefined || isRenamed || avoided.includes(`messages.${other}`);
    changes.push(isUnwanted || SAYS_REMOVE.test(text) ? path : rename);
  }
  // Sent under its other name, it is refused under that one.
  const renamed = `messages.${REASONING[name]}>${name}`;
  if (avoided.includes(renamed) && changes.length === 0) changes.push(`messages.${name}`);
  return changes;
}

/** Not under another name either. */
const SAYS_REMOVE = /\bremove|\bdelete|\bomit|not be (?:included|sent|passed)|移除|删除|不要|entfernen/i;

/** The members of messages by their names; of tools and of a system prompt in parts only the marker for caches. */
function membersIn(json: JsonObject): Places {
  const places: Places = new Map();
  collect(json.messages, 'messages', places, MAX_DEPTH, false);
  for (const name of ['tools', 'system', 'input']) collect(json[name], name, places, MAX_DEPTH, true);
  // A renamed member is there under its other name.
  const reasoning = places.get('reasoning_content') ?? places.get('reasoning');
  if (reasoning !== undefined) {
    for (const name of Object.keys(REASONING)) if (!places.has(name)) places.set(name, new Map());
  }
  return places;
}

function collect(value: unknown, path: string, places: Places, depth: number, isMarkerOnly: boolean): void {
  if (depth === 0 || typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const element of value.slice(0, MAX_ELEMENTS))
      if (typeof element === 'object') collect(element, path, places, depth, isMarkerOnly);
    return;
  }
  for (const [name, member] of Object.entries(value)) {
    const inside = `${path}.${name}`;
    if (!/^[\w-]{1,64}$/.test(name)) continue;
    if (!isMarkerOnly || name === MARKER) {
      const known = places.get(name) ?? new Map<string, boolean>();
      known.set(inside, known.get(inside) === true || member === null);
      places.set(name, known);
    }
    // What a tool takes has names of its own.
    if (name !== 'parameters' && name !== 'input_schema' && isJsonOrList(member))
      collect(member, inside, places, depth - 1, isMarkerOnly);
  }
}

function isJsonOrList(value: unknown): boolean {
  return isJsonObject(value) || Array.isArray(value);
}
