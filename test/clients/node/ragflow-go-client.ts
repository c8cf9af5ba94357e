/**
 * RAGFlow's Go side, as its reader works: lines that start with `data:`, bad JSON is an
 * error, `[DONE]` or a finish is needed, fragments without an index are lost, ids and names are appended.
 * Written from the description, not copied.
 */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { type Reading, type Task, TOOLS } from '../protocol.ts';
import { joinFragment } from './call-fragments.ts';
import { runProgram } from './program.ts';

const MAX_LINE_BYTES = 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Also GET goes out with a body, which fetch would refuse. */
async function call(task: Task, method: string, path: string, body: object): Promise<Answer> {
  const json = JSON.stringify(body);
  const headers = {
    'content-type': 'application/json',
    // Go always sends it; Node would leave it out of a GET.
    'content-length': Buffer.byteLength(json),
    authorization: `Bearer ${task.key}`,
  };
  return new Promise((done, fail) => {
    const call = request(`${task.url}${path}`, { method, headers }, (response) => {
      text(response).then((read) => done({ status: response.statusCode ?? 0, body: read }), fail);
    });
    call.on('error', fail);
    call.end(json);
  });
}

async function good(task: Task, method: string, path: string, body: object): Promise<string> {
  const { status, body: read } = await call(task, method, path, body);
  if (status !== 200) throw Object.assign(new Error(read), { status });
  return read;
}

async function chat(task: Task, reading: Reading): Promise<void> {
  const body = await good(task, 'POST', '/chat/completions', {
    model: task.model,
    messages: [{ role: 'user', content: 'Hi' }],
    stream: true,
    stream_options: { include_usage: true },
    thinking: { type: 'disabled' },
    do_sample: true,
    ...(task.tools ? { tools: TOOLS } : {}),
  });
  let isDone = false;
  for (const line of body.split('\n')) {
    if (Buffer.byteLength(line) > MAX_LINE_BYTES) throw new Error('token too long');
    if (!line.startsWith('data:')) continue;
    const data = line.slice(5).trim();
    if (data === '[DONE]') {
      isDone = true;
      break;
    }
    readEvent(data, reading);
  }
  if (!isDone && reading.finish === null) throw new Error('stream ended before [DONE] or finish_reason');
}

// The Go reader looks at JSON of any shape.
function readEvent(data: string, reading: Reading): void {
  const event = JSON.parse(data);
  if (event.error) throw new Error(JSON.stringify(event.error));
  if (event.usage) {
    const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = event.usage;
    reading.usage.push({ prompt, completion, total });
  }
  const choice = event.choices?.[0];
  if (choice === undefined) return;
  reading.text += choice.delta?.content ?? '';
  reading.reasoning += choice.delta?.reasoning_content ?? '';
  if (choice.finish_reason) reading.finish = choice.finish_reason;
  for (const call of choice.delta?.tool_calls ?? []) {
    if (typeof call.index === 'number') joinFragment(call.index, call, reading);
  }
}

await runProgram({
  stream: chat,
  embed: async (task, reading) => {
    const read = await good(task, 'POST', '/embeddings', { model: task.model, input: task.inputs });
    reading.value = JSON.parse(read).data.map((item: { embedding: number[] }) => item.embedding);
  },
  models: async (task, reading) => {
    const read = await good(task, 'GET', '/models', {});
    reading.value = JSON.parse(read).data.map((item: { id: string }) => item.id);
  },
});
