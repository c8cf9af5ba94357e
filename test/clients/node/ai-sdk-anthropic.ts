/** Vercel's AI SDK with its provider for Anthropic. */
import type { Task } from '../protocol.ts';
import { callOf, sdk, type ToolCall, textWays } from './ai-sdk-ways.ts';
import { runProgram } from './program.ts';

// The package is there only after `npm run install:clients`, so its types are not relied on.
const name: string = '@ai-sdk/anthropic';
const { createAnthropic } = await import(name);

function modelOf({ url, key, model }: Task) {
  return createAnthropic({ baseURL: url, apiKey: key })(model);
}

await runProgram({
  ...textWays(modelOf),
  /** A second turn with the answer of the first as the SDK itself keeps it, and a tool's result. */
  turns: async (task, reading) => {
    const { prompt, ...call } = callOf({ ...task, tools: true }, modelOf(task));
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
  },
});
