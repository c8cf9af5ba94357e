import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';

/** `added` put into `known`: objects member by member, everything else in place of what was there. */
export function mergeMembers(known: JsonObject | null, added: JsonObject): JsonObject {
  if (known === null) return added;
  const merged: Record<string, unknown> = { ...known };
  for (const [name, value] of Object.entries(added)) {
    const before = known[name];
    merged[name] = isJsonObject(before) && isJsonObject(value) ? mergeMembers(before, value) : value;
  }
  return merged;
}

/**
 * Members that OpenAI does not know of all deltas so far, and of one more, as the message of a whole response has them:
 * lists one after the other (`annotations`, `images`), with the fragments of one entry joined.
 */
export function joinDeltas(known: JsonObject, added: JsonObject): JsonObject {
  const joined: Record<string, unknown> = { ...known };
  for (const [name, value] of Object.entries(added)) {
    const before = joined[name];
    if (Array.isArray(before) && Array.isArray(value)) joined[name] = joinEntries(before, value);
    else if (isJsonObject(before) && isJsonObject(value)) joined[name] = mergeMembers(before, value);
    else joined[name] = value;
  }
  return joined;
}

/** What entries of `reasoning_details` (OpenRouter) and `thinking_blocks` (LiteLLM) have in pieces. */
const PIECES = ['text', 'summary', 'data', 'thinking'];

function joinEntries(known: readonly unknown[], added: readonly unknown[]): unknown[] {
  const entries = [...known];
  for (const entry of added) {
    const last = entries.at(-1);
    if (isJsonObject(entry) && isJsonObject(last) && continues(entry, last))
      entries[entries.length - 1] = joinEntry(last, entry);
    else entries.push(entry);
  }
  return entries;
}

/** Whether an entry is one more fragment of the last: of its type and place, and no id or signature of another one. */
function continues(entry: JsonObject, last: JsonObject): boolean {
  if (typeof entry.type !== 'string' || entry.type !== last.type || entry.index !== last.index) return false;
  if (!PIECES.some((name) => typeof last[name] === 'string')) return false;
  if (typeof last.signature === 'string' && last.signature !== '' && entry.index === undefined) return false;
  return entry.id === undefined || entry.id === null || last.id == null || entry.id === last.id;
}

function joinEntry(last: JsonObject, entry: JsonObject): JsonObject {
  const joined: Record<string, unknown> = { ...last };
  for (const [name, value] of Object.entries(entry)) {
    const before = joined[name];
    if (PIECES.includes(name) && typeof before === 'string' && typeof value === 'string')
      joined[name] = before + value;
    else if (value !== null && value !== '') joined[name] = value;
  }
  return joined;
}
