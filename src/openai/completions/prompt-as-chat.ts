import { FerryError } from '../../lib/errors/ferry-error.ts';

/** The part of an adaptation's plan that turns a prompt into a chat. */
interface ChatPlan {
  readonly set: Map<string, string | ((old: string) => string)>;
  readonly remove: Set<string>;
  readonly rename: Map<string, string>;
  readonly dropped: string[];
}

/** What /completions has and a chat has not; at these values it means nothing and is left out. */
const MEANINGLESS: Readonly<Record<string, readonly unknown[]>> = {
  suffix: [null, ''],
  echo: [null, false],
  best_of: [null, 1],
};

/**
 * Wraps the prompt of /completions into one user message, for upstreams that only chat (S107). Throws
 * FerryError `invalid_request` for what a chat cannot do: token ids, several prompts, suffix, echo, best_of.
 */
export function planPromptAsChat(plan: ChatPlan, json: Readonly<Record<string, unknown>>): void {
  for (const [name, values] of Object.entries(MEANINGLESS)) {
    if (!Object.hasOwn(json, name)) continue;
    if (!values.includes(json[name])) throw impossible(name, `"${name}" is not possible with this model`);
    plan.remove.add(name);
  }
  // A number there, a boolean here, and responses of another shape.
  if (Object.hasOwn(json, 'logprobs')) {
    plan.remove.add('logprobs');
    if (json.logprobs !== null) plan.dropped.push('logprobs');
  }
  const { prompt } = json;
  const isList = Array.isArray(prompt);
  const text: unknown = isList && prompt.length === 1 ? prompt[0] : prompt;
  if (typeof text !== 'string') throw impossible('prompt', 'The prompt must be one text with this model');
  // The text's own bytes: `["…"]` loses its brackets, a string goes in as it is.
  plan.set.set('prompt', (old) => `[{"role":"user","content":${isList ? old.slice(1, -1) : old}}]`);
  plan.rename.set('prompt', 'messages');
}

function impossible(param: string, message: string): FerryError {
  return new FerryError('invalid_request', { message: `${message}: it only supports chats.`, param });
}
