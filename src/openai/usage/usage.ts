import { isJsonObject, numberFrom } from '../../lib/json/json-object.ts';

/** Tokens of one answer; integers, the total is always the sum. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  /** Other members of the upstream's usage object that clients can read (details, cost), under its own names. */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

const PROMPT_NAMES = [
  'prompt_tokens',
  'input_tokens',
  'prompt_eval_count',
  'promptTokens',
  'inputTokens',
  'promptTokenCount',
  'inputTokenCount',
];
const COMPLETION_NAMES = [
  'completion_tokens',
  'output_tokens',
  'eval_count',
  'completionTokens',
  'outputTokens',
  'candidatesTokenCount',
  'outputTokenCount',
];
const TOTAL_NAMES = ['total_tokens', 'totalTokens', 'totalTokenCount'];
/** Beyond it a number is no count. */
const MOST_TOKENS = 1e15;
const OWN_NAMES = new Set([...PROMPT_NAMES, ...COMPLETION_NAMES, ...TOTAL_NAMES]);
const DETAIL_NAMES = new Set([
  'prompt_tokens_details',
  'completion_tokens_details',
  'input_tokens_details',
  'output_tokens_details',
]);

/**
 * Reads the usage object of any vendor: OpenAI's names, Responses' and Anthropic's, Ollama's, Gemini's, Bedrock's; numbers as
 * strings or floats; a missing part is total minus the other. Null when it says nothing. `before`: what was told earlier.
 */
export function readUsage(raw: unknown, before: Usage | null = null): Usage | null {
  if (Array.isArray(raw)) return readUsage(raw.at(-1), before);
  if (!isJsonObject(raw)) return null;
  const prompt = firstCount(raw, PROMPT_NAMES);
  const completion = firstCount(raw, COMPLETION_NAMES);
  const total = firstCount(raw, TOTAL_NAMES);
  if (prompt === null && completion === null && total === null) return null;
  // Without a total a missing part is what an earlier report said.
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
    if (count !== null && count >= 0 && count < MOST_TOKENS) return Math.round(count);
  }
  return null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
