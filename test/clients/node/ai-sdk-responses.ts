/** Vercel's AI SDK with the model that `openai('m')` makes, which speaks the Responses API. */
import { type Reading, type Task, TOOLS } from '../protocol.ts';
import { runProgram } from './program.ts';

// The packages are there only after `npm run install:clients`, so their types are not relied on.
const packages = { sdk: 'ai', openai: '@ai-sdk/openai' };
const sdk = await import(packages.sdk);
const { createOpenAI } = await import(packages.openai);

function callOf(task: Task) {
  const tools = TOOLS.map(({ function: { name, parameters } }) => [
    name,
    sdk.tool({ description: name, inputSchema: sdk.jsonSchema(parameters) }),
  ]);
  return {
    model: createOpenAI({ baseURL: task.url, apiKey: task.key })(task.model),
    prompt: 'When does it leave?',
    maxRetries: 0,
    ...(task.tools ? { tools: Object.fromEntries(tools) } : {}),
  };
}

interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
}

function readUsage(usage: Usage, reading: Reading): void {
  reading.usage.push({ prompt: usage.inputTokens, completion: usage.outputTokens, total: usage.totalTokens });
}

interface ToolCall {
  readonly toolCallId: string;
  readonly toolName: string;
  readonly input: unknown;
}

function readCall({ toolCallId: id, toolName: name, input }: ToolCall, reading: Reading): void {
  reading.calls.push({ id, name, arguments: JSON.stringify(input) });
}

/** A second turn with the answer of the first as the SDK itself keeps it, and a tool's result. */
async function turns(task: Task, reading: Reading, providerOptions: object): Promise<void> {
  const { prompt, tools, ...call } = { ...callOf({ ...task, tools: true }), providerOptions };
  const first = await sdk.generateText({ ...call, tools, prompt });
  const results = first.toolCalls.map(({ toolCallId, toolName }: ToolCall) => ({
    type: 'tool-result',
    toolCallId,
    toolName,
    output: { type: 'text', value: 'sunny' },
  }));
  const messages = [
    { role: 'user', content: prompt },
    ...first.response.messages,
    ...(results.length > 0 ? [{ role: 'tool', content: results }] : []),
    { role: 'user', content: 'And then?' },
  ];
  const second = await sdk.generateText({ ...call, tools, messages });
  reading.text = second.text;
}

await runProgram({
  stream: async (task, reading) => {
    const result = sdk.streamText({ ...callOf(task), onError: () => undefined });
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') reading.text += part.text;
      if (part.type === 'reasoning-delta') reading.reasoning += part.text;
      if (part.type === 'tool-call') readCall(part, reading);
      if (part.type === 'error') throw part.error;
      if (part.type !== 'finish') continue;
      reading.finish = part.finishReason;
      readUsage(part.totalUsage, reading);
    }
  },
  whole: async (task, reading) => {
    const result = await sdk.generateText(callOf(task));
    reading.text = result.text;
    reading.reasoning = result.reasoningText ?? '';
    reading.finish = result.finishReason;
    for (const call of result.toolCalls) readCall(call, reading);
    readUsage(result.usage, reading);
  },
  turns: (task, reading) => turns(task, reading, {}),
  'turns-unstored': (task, reading) => turns(task, reading, { openai: { store: false } }),
});
