/** openai for Node: 8 workers that embed. argv: base URL, key, calls, texts of one call, workers. Prints a JSON result. */
import OpenAI from 'openai';

const [baseURL = '', apiKey = '', calls = '0', batch = '1', workers = '8'] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey });
const input = Array.from({ length: Number(batch) }, (_, index) => `text ${index}`);
let left = Number(calls);
let served = 0;
let failed = 0;
let firstError = '';

async function work(): Promise<void> {
  while (left > 0) {
    left -= 1;
    try {
      const { data } = await client.embeddings.create({ model: 'm', input });
      if (data.length !== input.length) throw new Error(`${data.length} vectors`);
      served += 1;
    } catch (error) {
      failed += 1;
      firstError ||= String(error);
    }
  }
}

await Promise.all(Array.from({ length: Number(workers) }, work));
console.log(JSON.stringify({ served, failed, firstError }));
