/** `@langchain/openai` with `useResponsesApi`. */
import { type Reading, type Task, TOOLS } from '../protocol.ts';
import { runProgram } from './program.ts';

// The packages are there only after `npm run install:clients`, so their types are not relied on.
const packages = { openai: '@langchain/openai', messages: '@langchain/core/messages' };
const { ChatOpenAI } = await import(packages.openai);
const { HumanMessage, ToolMessage } = await import(packages.messages);

function modelOf(task: Task) {
  const model = new ChatOpenAI({
    model: task.model,
    apiKey: task.key,
    maxRetries: 0,
    useResponsesApi: true,
    configuration: { baseURL: task.url },
  });
  return task.tools ? model.bindTools(TOOLS) : model;
}

interface Message {
  readonly text: string;
  readonly additional_kwargs: { readonly reasoning?: { readonly summary?: readonly { text: string }[] } };
  readonly response_metadata: {
    readonly status?: string;
    readonly incomplete_details?: { readonly reason: string } | null;
  };
  readonly usage_metadata?: { input_tokens: number; output_tokens: number; total_tokens: number };
  readonly tool_calls?: readonly { id?: string; name: string; args: unknown }[];
}

function read(message: Message, reading: Reading): void {
  const { status, incomplete_details: details } = message.response_metadata;
  reading.text = message.text;
  reading.reasoning = (message.additional_kwargs.reasoning?.summary ?? []).map(({ text }) => text).join('');
  reading.finish = details?.reason ?? status ?? null;
  const usage = message.usage_metadata;
  if (usage !== undefined)
    reading.usage.push({
      prompt: usage.input_tokens,
      completion: usage.output_tokens,
      total: usage.total_tokens,
    });
  for (const { id = '', name, args } of message.tool_calls ?? [])
    reading.calls.push({ id, name, arguments: JSON.stringify(args) });
}

await runProgram({
  stream: async (task, reading) => {
    let sum: (Message & { concat(other: Message): Message }) | undefined;
    for await (const chunk of await modelOf(task).stream('When does it leave?')) {
      sum = sum === undefined ? chunk : sum.concat(chunk);
      reading.text = String(sum?.text);
    }
    if (sum !== undefined) read(sum, reading);
  },
  whole: async (task, reading) => read(await modelOf(task).invoke('When does it leave?'), reading),
  /** A second turn: the message goes back as it is, with what the tools gave. */
  turns: async (task, reading) => {
    const model = modelOf({ ...task, tools: true });
    const question = new HumanMessage('When does it leave?');
    const first: Message = await model.invoke([question]);
    const results = (first.tool_calls ?? []).map(
      ({ id }) => new ToolMessage({ content: 'sunny', tool_call_id: id }),
    );
    read(await model.invoke([question, first, ...results, new HumanMessage('And then?')]), reading);
  },
});
