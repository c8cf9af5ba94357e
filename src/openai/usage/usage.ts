import { isJsonObject, type JsonObject, numberFrom } from '../../lib/json/json-object.ts';
import { USAGE_MEMBERS, USAGE_NAMES } from '../vendors/member-names.ts';

/** Tokens of one response; integers, the total is always the sum. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  /** Other members of the upstream's usage object that clients can read (details, cost), under its own names. */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** Beyond it a number is no count. */
const MAX_TOKENS = 1e15;
const OWN_NAMES = new Set<string>([...USAGE_NAMES.prompt, ...USAGE_NAMES.completion, ...USAGE_NAMES.total]);
const DETAIL_NAMES = new Set([
  'prompt_tokens_details',
  'completion_tokens_details',
  'input_tokens_details',
  'output_tokens_details',
]);

/**
 * Reads the usage object of any vendor: OpenAI's names, Responses' and Anthropic's, Ollama's, Gemini's, Bedrock's; numbers as
 * strings or floats; a missing part is total minus the other. Null when it has no count. `before`: an earlier report of the same response.
 */
export function readUsage(raw: unknown, before: Usage | null = null): Usage | null {
  if (Array.isArray(raw)) return readUsage(raw.at(-1), before);
  if (!isJsonObject(raw)) return null;
  const prompt = firstCount(raw, USAGE_NAMES.prompt);
  const completion = firstCount(raw, USAGE_NAMES.completion);
  const total = firstCount(raw, USAGE_NAMES.total);
  if (prompt === null && completion === null && total === null) return null;
  // Without a total a missing part is what an earlier report had.
  const [oldPrompt, oldCompletion] =
    total === null && before !== null ? [before.promptTokens, before.completionTokens] : [0, 0];
  const promptTokens = prompt ?? Math.max(oldPrompt, (total ?? 0) - (completion ?? 0));
  const completionTokens = completion ?? Math.max(oldCompletion, (total ?? 0) - promptTokens);
  const extensions = extensionsOf(raw);
  return {
    promptTokens,
    completionTokens,
    totalTokens: promptTokens + completionTokens,
    ...(extensions && { extensions }),
  };
}

/** Whether a usage object can be sent as it is: integers, a right total, details that are objects or absent. */
export function isCanonicalUsage(raw: unknown): boolean {
  if (!isJsonObject(raw)) return false;
  const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = raw;
  if (!isCount(prompt) || !isCount(completion) || total !== prompt + completion) return false;
  for (const name of DETAIL_NAMES) {
    if (name in raw && !isJsonObject(raw[name])) return false;
  }
  return true;
}

/** The usage object that clients get. */
export function usageToWire(usage: Usage): Record<string, unknown> {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.totalTokens,
    ...usage.extensions,
  };
}

/**
 * The usage that a chunk or response without one of its own carries in a member of its vendor: an object with `usage` inside
 * (Groq's `x_groq`, `meta`, `metadata`), or counts (`amazon-bedrock-invocationMetrics`, llama.cpp's `timings`). Null when
 * there is none that gives both counts: half of one may be about something else.
 */
export function usageInVendorMember(response: JsonObject): Usage | null {
  for (const name in response) {
    const member = response[name];
    if (!isJsonObject(member)) continue;
    const found = usageIn(name, member);
    if (found !== null) return found;
  }
  return null;
}

function usageIn(name: string, member: JsonObject): Usage | null {
  if (name === 'timings') return usageOfTimings(member);
  if (USAGE_MEMBERS.test(name)) return countsAlone(member);
  const inside = member.usage ?? member.tokens ?? member.billed_units;
  return isJsonObject(inside) && countsAlone(inside) !== null ? readUsage(inside) : null;
}

/** Without the vendor's other numbers (latencies), which clients would not look for in a usage. */
function countsAlone(raw: JsonObject): Usage | null {
  const usage = readUsage(raw);
  if (usage === null || usage.promptTokens === 0 || usage.completionTokens === 0) return null;
  const { promptTokens, completionTokens, totalTokens } = usage;
  return { promptTokens, completionTokens, totalTokens };
}

/** llama.cpp: `prompt_n` counts what had to be read, `cache_n` what was still in its cache. */
function usageOfTimings(timings: JsonObject): Usage | null {
  const prompt_tokens = (numberFrom(timings.prompt_n) ?? 0) + (numberFrom(timings.cache_n) ?? 0);
  return countsAlone({ prompt_tokens, completion_tokens: timings.predicted_n });
}

function extensionsOf(raw: Record<string, unknown>): Record<string, unknown> | null {
  let extensions: Record<string, unknown> | null = null;
  for (const [name, value] of Object.entries(raw)) {
    if (OWN_NAMES.has(name) || value === null || value === undefined) continue;
    if (DETAIL_NAMES.has(name) && !isJsonObject(value)) continue;
    extensions ??= {};
    extensions[name] = value;
  }
  return extensions;
}

function firstCount(raw: Record<string, unknown>, names: readonly string[]): number | null {
  for (const name of names) {
    const count = numberFrom(raw[name]);
    if (count !== null && count >= 0 && count < MAX_TOKENS) return Math.round(count);
  }
  return null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
