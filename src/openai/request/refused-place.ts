import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { ownSpelling } from './named-parameter.ts';

/** One place of a request that an error is about. */
export interface RefusedPlace {
  /** Names of members from the top level down, without indexes: `messages`, `content`, `cache_control`. */
  readonly path: readonly string[];
  /** The validator's name for the fault, such as `extra_forbidden`; null: none. */
  readonly type: string | null;
  readonly message: string | null;
}

/** Errors nested in errors are followed so far, and so many places are read. */
const MAX_DEPTH = 6;
const MAX_PLACES = 50;

/** What names the request itself in front of the names of its members. */
const ROOTS: ReadonlySet<string> = new Set(['body', 'request', 'parameters', 'parameter', '$', '#', '']);

/**
 * The places that an error's JSON lists in the form of any validator: pydantic's `loc`, Ajv's `instancePath`, zod's `path` and
 * `keys`, JSON:API's `source.pointer`, OpenAI's `param`, errors by parameter; also `loc` in a text, as vLLM prints it. Without a
 * JSON, and where it lists none: the `param` of the error. `names`: parameters of the request.
 */
export function placesIn(
  body: unknown,
  error: FerryError,
  names: readonly string[] = [],
): readonly RefusedPlace[] {
  const found: Found = { places: [], names };
  collect(body, found, MAX_DEPTH);
  const { places } = found;
  if (places.length === 0) places.push(...placesInText(error.message));
  if (places.length === 0 && error.param !== null) {
    for (const param of error.param.split(LISTED))
      places.push({ path: pathOf(param), type: error.code, message: error.message });
  }
  return places.filter(({ path }) => path.length > 0);
}

const LISTED = /\s*[,;]\s*/;

interface Found {
  readonly places: RefusedPlace[];
  /** Parameters of the request: only of these a member's name is a place. */
  readonly names: readonly string[];
}

function collect(value: unknown, found: Found, depth: number): void {
  const { places } = found;
  if (depth === 0 || places.length >= MAX_PLACES) return;
  if (Array.isArray(value)) {
    for (const entry of value) collect(entry, found, depth - 1);
    return;
  }
  if (!isJsonObject(value)) return;
  places.push(...placesOf(value));
  for (const [name, member] of Object.entries(value)) {
    // What the client sent, repeated.
    if (ECHOES.has(name)) continue;
    places.push(...placesUnder(name, member, found.names));
    if (typeof member === 'object') collect(member, found, depth - 1);
    else if (typeof member === 'string' && /^\s*[[{]/.test(member)) collectText(member, found, depth - 1);
  }
}

/** Names of lists that have refused parameters, and of those that have the others. */
const LIST_OF_REFUSED = /param|field|keys?$|propert|argument|unsupported|unknown|invalid|extra|unrecogni/i;
const LIST_OF_OTHERS =
  /(?<!un|in|not_?)(?:supported|allowed|valid(?!ation)|known|expected|accepted)|required|missing/i;

/**
 * Places by the name of a member: errors by parameter (`{"errors":{"user":["Unknown field."]}}`, Rails, Laravel, Django,
 * marshmallow, .NET's `$.user`), and lists of parameters (`{"unsupported_parameters":["user","seed"]}`).
 */
function placesUnder(name: string, member: unknown, names: readonly string[]): RefusedPlace[] {
  if (!Array.isArray(member) || !member.every((text) => typeof text === 'string')) return [];
  const path = pathOf(name);
  const own = ownSpelling(path[0] ?? '', names);
  if (own !== null) return [{ path: [own, ...path.slice(1)], type: null, message: member.join('; ') }];
  if (!LIST_OF_REFUSED.test(name) || LIST_OF_OTHERS.test(name)) return [];
  return member
    .filter((text) => names.includes(text))
    .map((text) => ({ path: [text], type: name, message: null }));
}

const ECHOES: ReadonlySet<string> = new Set(['input', 'ctx', 'data', 'request', 'body', 'value', 'received']);

function collectText(text: string, found: Found, depth: number): void {
  try {
    collect(JSON.parse(text), found, depth);
  } catch {
    found.places.push(...placesInText(text));
  }
}

/** The places that one object of an error names; empty: none. */
function placesOf(object: JsonObject): RefusedPlace[] {
  const type = firstText(object, ['type', 'code', 'keyword', 'rule', 'reason']);
  const message = firstText(object, ['msg', 'message', 'detail', 'description', 'title', 'error']);
  const place = (path: readonly string[]): RefusedPlace => ({ path, type, message });
  const at = listOf(object.loc) ?? listOf(object.path) ?? listOf(object.location);
  if (Array.isArray(object.keys) && at !== null) {
    return object.keys.filter((key) => typeof key === 'string').map((key) => place([...at, key]));
  }
  if (at !== null && (at.length > 0 || message !== null)) return [place(at)];
  const pointer = firstText(object, [
    'instancePath',
    'dataPath',
    'pointer',
    'instance_path',
    'loc',
    'location',
  ]);
  const additional = isJsonObject(object.params) ? object.params.additionalProperty : undefined;
  if (typeof additional === 'string') return [place([...pathOf(pointer ?? ''), additional])];
  if (pointer !== null) return [place(pathOf(pointer))];
  const named = firstText(object, ['param', 'parameter', 'field', 'fieldName', 'property', 'argument']);
  if (named !== null) return named.split(LISTED).map((name) => place(pathOf(name)));
  // RFC 7807's `invalid-params`; a member `path` is the URL's at web servers.
  const other = message === null && type === null ? null : firstText(object, ['name', 'path']);
  return other === null || /^\/|:\/\//.test(other) ? [] : [place(pathOf(other))];
}

function firstText(object: JsonObject, names: readonly string[]): string | null {
  for (const name of names) {
    const value = object[name];
    if (typeof value === 'string' && value !== '') return value;
  }
  return null;
}

/** `["body", "messages", 0, "role"]` → `messages`, `role`; null for anything but a list of names and indexes. */
function listOf(value: unknown): string[] | null {
  if (!Array.isArray(value) || !value.every((part) => typeof part === 'string' || typeof part === 'number'))
    return null;
  return withoutRoot(value.map(String));
}

/** `messages[0].role`, `/messages/0/role`, `body -> user` and `$.user` as names. */
function pathOf(text: string): string[] {
  return withoutRoot(text.split(/\s*->\s*|[./[\]'"`]+/).map((part) => part.trim()));
}

function withoutRoot(parts: readonly string[]): string[] {
  const names = parts.filter((part) => part !== '' && !/^\d+$/.test(part));
  return names[0] !== undefined && ROOTS.has(names[0].toLowerCase()) ? names.slice(1) : names;
}

/** Lists of pydantic as Python and Rust print them: `'loc': ('body', 'store'), 'msg': 'Extra inputs are not permitted'`. */
const PRINTED = /['"]loc['"]\s*:\s*[[(]([^\])]{1,300})[\])]/g;

function placesInText(text: string): RefusedPlace[] {
  return [...text.matchAll(PRINTED)].slice(0, MAX_PLACES).map((match) => {
    const around = text.slice(Math.max(0, match.index - 80), match.index + match[0].length + 200);
    return {
      path: listOf((match[1] ?? '').split(',').map((part) => part.trim().replace(/^['"]|['"]$/g, ''))) ?? [],
      type: /['"]type['"]\s*:\s*['"]([\w.]+)['"]/.exec(around)?.[1] ?? null,
      message: /['"]msg['"]\s*:\s*(?:'([^']*)'|"([^"]*)")/.exec(around)?.slice(1).find(Boolean) ?? null,
    };
  });
}
