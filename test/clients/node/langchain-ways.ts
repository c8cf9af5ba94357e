/** What `ChatOpenAI` of `@langchain/openai` is asked in the same way, whichever API it speaks. */
import { QUESTION, type Reading, type Task, TOOLS } from '../protocol.ts';
import type { Way } from './program.ts';

// The packages are there only after `npm run install:clients`, so their types are not relied on.
const packages = { openai: '@langchain/openai' };
const { ChatOpenAI } = await import(packages.openai);

/** The part of a message that does not depend on the API. */
export interface Message {
  readonly text: string;
  readonly usage_metadata?: { input_tokens: number; output_tokens: number; total_tokens: number };
  readonly tool_calls?: readonly { id?: string; name: string; args: unknown }[];
  readonly invalid_tool_calls?: readonly unknown[];
}

interface ChatModel<Said extends Message> {
  invoke(input: unknown): Promise<Said>;
  stream(input: unknown): Promise<AsyncIterable<Said & { concat(other: Said): Said }>>;
}

/** What each of the package's classes needs to know. */
export function connectionOf({ model, key, url }: Task) {
  return { model, apiKey: key, maxRetries: 0, configuration: { baseURL: url } };
}

export function chatModelOf<Said extends Message>(task: Task, options: object): ChatModel<Said> {
  const model = new ChatOpenAI({ ...connectionOf(task), ...options });
  return task.tools ? model.bindTools(TOOLS) : model;
}

/** Usage and calls; text, reasoning and finish stand elsewhere in each API. */
export function readMessage(message: Message, reading: Reading): void {
  const usage = message.usage_metadata;
  if (usage !== undefined)
    reading.usage.push({
      prompt: usage.input_tokens,
      completion: usage.output_tokens,
      total: usage.total_tokens,
    });
  for (const { id = '', name, args } of message.tool_calls ?? [])
    reading.calls.push({ id, name, arguments: JSON.stringify(args) });
  if ((message.invalid_tool_calls ?? []).length > 0) throw new Error('invalid tool calls');
}

/** The stream, its chunks added up as applications do, and the whole answer. */
export function chatWays<Said extends Message>(
  modelOf: (task: Task) => ChatModel<Said>,
  read: (message: Said, reading: Reading) => void,
): { readonly stream: Way; readonly whole: Way } {
  return {
    stream: async (task, reading) => {
      let sum: (Said & { concat(other: Said): Said }) | undefined;
      for await (const chunk of await modelOf(task).stream(QUESTION)) {
        sum = sum === undefined ? chunk : (sum.concat(chunk) as typeof chunk);
        reading.text = String(sum.text);
      }
      if (sum !== undefined) read(sum, reading);
    },
    whole: async (task, reading) => read(await modelOf(task).invoke(QUESTION), reading),
  };
}
