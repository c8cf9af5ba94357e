/** The openai package of the version that is the program's first argument: `openai-client.ts openai-6.9.0`. */
import type { Task } from '../protocol.ts';

const name: string = process.argv[2] ?? 'openai-latest';
// Types are those of the latest version.
const { default: OpenAI, toFile } = (await import(name)) as typeof import('openai');

export { toFile };

export function clientOf({ url, key }: Task) {
  return new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 20_000 });
}
