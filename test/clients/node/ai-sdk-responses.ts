/** Vercel's AI SDK with the model that `openai('m')` makes, which speaks the Responses API. */
import type { Task } from '../protocol.ts';
import { createOpenAI, textWays, turnsWay } from './ai-sdk-ways.ts';
import { runProgram } from './program.ts';

function modelOf({ url, key, model }: Task) {
  return createOpenAI({ baseURL: url, apiKey: key })(model);
}

await runProgram({
  ...textWays(modelOf),
  turns: turnsWay(modelOf),
  'turns-unstored': turnsWay(modelOf, { openai: { store: false } }),
});
