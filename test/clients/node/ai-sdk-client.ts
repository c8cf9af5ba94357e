/** Vercel's AI SDK over `@ai-sdk/openai-compatible`, or over `@ai-sdk/openai` when that is the first argument. */
import { type Reading, type Task, TOOLS } from '../protocol.ts';
import { runProgram } from './program.ts';

// The packages are there only after `npm run install:clients`, so their types are not relied on.
const packages = { sdk: 'ai', compatible: '@ai-sdk/openai-compatible', openai: '@ai-sdk/openai' };
const sdk = await import(packages.sdk);
const { createOpenAICompatible } = await import(packages.compatible);
const { createOpenAI } = await import(packages.openai);

function providerOf({ url, key, includeUsage }: Task) {
  if (process.argv[2] === '@ai-sdk/openai') return createOpenAI({ baseURL: url, apiKey: key });
  return createOpenAICompatible({ name: 'ferry', baseURL: url, apiKey: key, includeUsage });
}

function modelOf(task: Task) {
  const provider = providerOf(task);
  return process.argv[2] === '@ai-sdk/openai' ? provider.chat(task.model) : provider.chatModel(task.model);
}

function callOf(task: Task) {
  const tools = TOOLS.map(({ function: { name, parameters } }) => [
    name,
    sdk.tool({ description: name, inputSchema: sdk.jsonSchema(parameters) }),
  ]);
  return {
    model: modelOf(task),
    prompt: 'When does it leave?',
    maxRetries: 0,
    ...(task.tools ? { tools: Object.fromEntries(tools) } : {}),
  };
}

interface Usage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly totalTokens?: number;
}

function readUsage(usage: Usage, reading: Reading): void {
  const { inputTokens: prompt, outputTokens: completion, totalTokens: total } = usage;
  if (prompt !== undefined && completion !== undefined && total !== undefined)
    reading.usage.push({ prompt, completion, total });
}

interface ToolCall {
  readonly toolCallId: string;
  readonly toolName: string;
  readonly input: unknown;
}

function readCall({ toolCallId: id, toolName: name, input }: ToolCall, reading: Reading): void {
  reading.calls.push({ id, name, arguments: JSON.stringify(input) });
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
  embed: async (task, reading) => {
    const provider = providerOf(task);
    const model = provider.embeddingModel(task.model);
    const result = await sdk.embedMany({ model, values: [...(task.inputs ?? [])], maxRetries: 0 });
    reading.value = result.embeddings;
    const { tokens } = result.usage;
    if (Number.isFinite(tokens)) reading.usage.push({ prompt: tokens, completion: 0, total: tokens });
  },
});
