/** Vercel's AI SDK with its provider for Anthropic. */
import type { Task } from '../protocol.ts';
import { textWays, turnsWay } from './ai-sdk-ways.ts';
import { runProgram } from './program.ts';

// The package is there only after `npm run install:clients`, so its types are not relied on.
const name: string = '@ai-sdk/anthropic';
const { createAnthropic } = await import(name);

function modelOf({ url, key, model }: Task) {
  return createAnthropic({ baseURL: url, apiKey: key })(model);
}

await runProgram({ ...textWays(modelOf), turns: turnsWay(modelOf) });
