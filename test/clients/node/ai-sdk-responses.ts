/** Vercel's AI SDK with the model that `openai('m')` makes, which speaks the Responses API. */
import type { Reading, Task } from '../protocol.ts';
import { callOf, createOpenAI, sdk, type ToolCall, textWays } from './ai-sdk-ways.ts';
import { runProgram } from './program.ts';

function modelOf({ url, key, model }: Task) {
  return createOpenAI({ baseURL: url, apiKey: key })(model);
}

/** A second turn with the answer of the first as the SDK itself keeps it, and a tool's result. */
async function turns(task: Task, reading: Reading, providerOptions: object): Promise<void> {
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
  const second = await sdk.generateText({ ...call, messages });
  reading.text = second.text;
}

await runProgram({
  ...textWays(modelOf),
  turns: (task, reading) => turns(task, reading, {}),
  'turns-unstored': (task, reading) => turns(task, reading, { openai: { store: false } }),
});
