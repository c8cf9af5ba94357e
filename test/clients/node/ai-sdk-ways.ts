/** What every model of Vercel's AI SDK is asked in the same way, whichever API it speaks. */
import { QUESTION, type Reading, type Task, TOOLS } from '../protocol.ts';
import type { Way } from './program.ts';

// The packages are there only after `npm run install:clients`, so their types are not relied on.
const packages = { sdk: 'ai', openai: '@ai-sdk/openai' };
export const sdk = await import(packages.sdk);
export const { createOpenAI } = await import(packages.openai);

/** What `generateText` and `streamText` are given. */
function callOf(task: Task, model: unknown) {
  const tools = TOOLS.map(({ function: { name, parameters } }) => [
    name,
    sdk.tool({ description: name, inputSchema: sdk.jsonSchema(parameters) }),
  ]);
  return {
    model,
    prompt: QUESTION,
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

/** The stream and the whole answer of these models. */
export function textWays(modelOf: (task: Task) => unknown): { readonly stream: Way; readonly whole: Way } {
  return {
    stream: async (task, reading) => {
      const result = sdk.streamText({ ...callOf(task, modelOf(task)), onError: () => undefined });
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
      const result = await sdk.generateText(callOf(task, modelOf(task)));
      reading.text = result.text;
      reading.reasoning = result.reasoningText ?? '';
      reading.finish = result.finishReason;
      for (const call of result.toolCalls) readCall(call, reading);
      readUsage(result.usage, reading);
    },
  };
}

/** A second turn with the response to the first as the SDK itself keeps it, and the result of each tool. */
export function turnsWay(modelOf: (task: Task) => unknown, providerOptions: object = {}): Way {
  return async (task, reading) => {
    const { prompt, ...call } = { ...callOf({ ...task, tools: true }, modelOf(task)), providerOptions };
    const first = await sdk.generateText({ ...call, prompt });
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
    reading.text = (await sdk.generateText({ ...call, messages })).text;
  };
}
