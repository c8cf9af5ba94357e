/** Vercel's AI SDK over `@ai-sdk/openai-compatible`, or over `@ai-sdk/openai` when that is the first argument. */
import type { Task } from '../protocol.ts';
import { createOpenAI, sdk, textWays } from './ai-sdk-ways.ts';
import { runProgram } from './program.ts';

// The package is there only after `npm run install:clients`, so its types are not relied on.
const packages = { compatible: '@ai-sdk/openai-compatible' };
const { createOpenAICompatible } = await import(packages.compatible);

const isOpenAI = process.argv[2] === '@ai-sdk/openai';

function providerOf({ url, key, includeUsage }: Task) {
  if (isOpenAI) return createOpenAI({ baseURL: url, apiKey: key });
  return createOpenAICompatible({ name: 'ferry', baseURL: url, apiKey: key, includeUsage });
}

function modelOf(task: Task) {
  const provider = providerOf(task);
  return isOpenAI ? provider.chat(task.model) : provider.chatModel(task.model);
}

await runProgram({
  ...textWays(modelOf),
  embed: async (task, reading) => {
    const provider = providerOf(task);
    const model = provider.embeddingModel(task.model);
    const result = await sdk.embedMany({ model, values: [...(task.inputs ?? [])], maxRetries: 0 });
    reading.value = result.embeddings;
    const { tokens } = result.usage;
    if (Number.isFinite(tokens)) reading.usage.push({ prompt: tokens, completion: 0, total: tokens });
  },
});
