import { isJsonObject } from '../../../lib/json/json-object.ts';

/** Whether logprobs are those of any token. */
export function hasLogprobs(logprobs: unknown): boolean {
  return (
    isJsonObject(logprobs) && Object.values(logprobs).some((list) => Array.isArray(list) && list.length > 0)
  );
}

/** The logprobs of several chunks: their lists (chat's `content`, completions' `tokens` and so on) one after the other. */
export function joinLogprobs(before: unknown, added: unknown): unknown {
  if (added === null) return before;
  if (!isJsonObject(before) || !isJsonObject(added)) return added;
  const joined: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(added)) {
    const known = before[name];
    if (Array.isArray(known) && Array.isArray(value)) joined[name] = [...known, ...value];
    else if (value !== null || known === undefined) joined[name] = value;
  }
  return joined;
}
