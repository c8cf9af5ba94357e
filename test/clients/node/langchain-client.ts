/** `@langchain/openai`. */
import { type Reading, type Task, TOOLS } from '../protocol.ts';
import { runProgram } from './program.ts';

// The packages are there only after `npm run install:clients`, so their types are not relied on.
const packages = { openai: '@langchain/openai' };
const { ChatOpenAI, OpenAIEmbeddings } = await import(packages.openai);

function modelOf(task: Task) {
  const model = new ChatOpenAI({
    model: task.model,
    apiKey: task.key,
    maxRetries: 0,
    streamUsage: task.includeUsage,
    configuration: { baseURL: task.url },
  });
  return task.tools ? model.bindTools(TOOLS) : model;
}

interface Message {
  readonly content: unknown;
  readonly additional_kwargs: { readonly reasoning_content?: string };
  readonly response_metadata: { readonly finish_reason?: string };
  readonly usage_metadata?: { input_tokens: number; output_tokens: number; total_tokens: number };
  readonly tool_calls?: readonly { id?: string; name: string; args: unknown }[];
  readonly invalid_tool_calls?: readonly unknown[];
}

function read(message: Message, reading: Reading): void {
  reading.text = String(message.content);
  reading.reasoning = message.additional_kwargs.reasoning_content ?? '';
  reading.finish = message.response_metadata.finish_reason ?? null;
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

await runProgram({
  stream: async (task, reading) => {
    let sum: (Message & { concat(other: Message): Message }) | undefined;
    for await (const chunk of await modelOf(task).stream('When does it leave?')) {
      sum = sum === undefined ? chunk : sum.concat(chunk);
      reading.text = String(sum?.content);
    }
    if (sum !== undefined) read(sum, reading);
  },
  whole: async (task, reading) => read(await modelOf(task).invoke('When does it leave?'), reading),
  embed: async (task, reading) => {
    const embeddings = new OpenAIEmbeddings({
      model: task.model,
      apiKey: task.key,
      maxRetries: 0,
      configuration: { baseURL: task.url },
    });
    reading.value = await embeddings.embedDocuments([...(task.inputs ?? [])]);
  },
});
