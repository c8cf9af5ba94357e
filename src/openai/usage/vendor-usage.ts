import { isJsonObject, type JsonObject, numberFrom } from '../../lib/json/json-object.ts';
import { readUsage, type Usage } from './usage.ts';

/** Members that are counts themselves: AWS (`amazon-bedrock-invocationMetrics`), Gemini, gateways. */
const COUNTS = /(?:invocation_?metrics|usage_?metadata|token_?usage|billed_units|^usage)$/i;

/**
 * The usage that a chunk or reply without one of its own carries in a member of its vendor: an object with `usage` inside
 * (Groq's `x_groq`, `meta`, `metadata`), or counts (`amazon-bedrock-invocationMetrics`, llama.cpp's `timings`). Null when
 * there is none that gives both counts: half of one may be about something else.
 */
export function usageBeside(reply: JsonObject): Usage | null {
  for (const name in reply) {
    const member = reply[name];
    if (!isJsonObject(member)) continue;
    const found = usageIn(name, member);
    if (found !== null) return found;
  }
  return null;
}

function usageIn(name: string, member: JsonObject): Usage | null {
  if (name === 'timings') return usageOfTimings(member);
  if (COUNTS.test(name)) return countsAlone(member);
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
