/** Chat, completions, embeddings and models of the openai package: its iterator, its `.stream()` helper, whole replies. */
import { QUESTION, type Reading, type Task, TOOLS } from '../protocol.ts';
import { joinFragment } from './call-fragments.ts';
import { clientOf } from './openai-package.ts';
import { runProgram } from './program.ts';

type Chunk = import('openai').OpenAI.ChatCompletionChunk;
type Usage = import('openai').OpenAI.CompletionUsage;

function requestOf(task: Task) {
  return {
    model: task.model,
    messages: [{ role: 'user' as const, content: QUESTION }],
    ...(task.tools ? { tools: TOOLS } : {}),
    ...(task.choices === undefined ? {} : { n: task.choices }),
  };
}

function streamRequestOf(task: Task) {
  const options = task.includeUsage ? { stream_options: { include_usage: true } } : {};
  return { ...requestOf(task), stream: true as const, ...options };
}

function countsOf(usage: Usage): Reading['usage'][number] {
  return { prompt: usage.prompt_tokens, completion: usage.completion_tokens, total: usage.total_tokens };
}

/** As applications do it by hand: text and arguments joined by index. */
function readChunk(chunk: Chunk, reading: Reading): void {
  if (chunk.usage) reading.usage.push(countsOf(chunk.usage));
  for (const { delta, finish_reason: finish } of chunk.choices) {
    const { reasoning_content: reasoning } = delta as { reasoning_content?: string };
    reading.text += delta.content ?? '';
    reading.reasoning += reasoning ?? '';
    for (const call of delta.tool_calls ?? []) joinFragment(call.index, call, reading);
    if (finish) reading.finish = `${reading.finish ?? ''}${finish}`;
  }
}

type Whole = import('openai').OpenAI.ChatCompletion;

function readWhole(reply: Whole, reading: Reading): void {
  const choice = reply.choices[0];
  const message = choice?.message;
  reading.text = message?.content ?? '';
  reading.reasoning = (message as { reasoning_content?: string } | undefined)?.reasoning_content ?? '';
  reading.finish = choice?.finish_reason ?? null;
  if (reply.usage) reading.usage.push(countsOf(reply.usage));
  for (const call of message?.tool_calls ?? []) {
    if (call.type === 'function') reading.calls.push({ id: call.id, ...pick(call.function) });
  }
}

function pick({ name, arguments: text }: { name: string; arguments: string }) {
  return { name, arguments: text };
}

async function helped(task: Task, reading: Reading): Promise<void> {
  const client = clientOf(task);
  // Before 5.0 the helper lived under `beta`.
  const { chat } = 'stream' in client.chat.completions ? client : (client.beta as unknown as typeof client);
  const stream = chat.completions.stream(streamRequestOf(task));
  stream.on('content', (delta) => {
    reading.text += delta;
  });
  const whole = await stream.finalChatCompletion();
  reading.text = '';
  // Every version keeps only the last piece of a field that it does not know, so reasoning is not looked at.
  readWhole(whole, reading);
  reading.reasoning = '';
}

/** Text and finishes of each choice, by its index. */
async function choicesOfStream(task: Task, reading: Reading): Promise<void> {
  const said: { text: string; finish: string }[] = [];
  for await (const chunk of await clientOf(task).chat.completions.create(streamRequestOf(task))) {
    if (chunk.usage) reading.usage.push(countsOf(chunk.usage));
    for (const { index, delta, finish_reason: finish } of chunk.choices) {
      said[index] ??= { text: '', finish: '' };
      const known = said[index] as (typeof said)[number];
      known.text += delta.content ?? '';
      known.finish += finish ?? '';
    }
  }
  reading.value = said;
}

async function choicesOfWhole(task: Task, reading: Reading): Promise<void> {
  const reply = await clientOf(task).chat.completions.create(requestOf(task));
  if (reply.usage) reading.usage.push(countsOf(reply.usage));
  reading.value = reply.choices.map(({ index, message, finish_reason: finish }) => [
    index,
    message.content,
    finish,
  ]);
}

async function embed(task: Task, reading: Reading, format?: 'float' | 'base64'): Promise<void> {
  const reply = await clientOf(task).embeddings.create({
    model: task.model,
    input: [...(task.inputs ?? [])],
    ...(format === undefined ? {} : { encoding_format: format }),
  });
  reading.value = reply.data.map((item) => [item.index, item.embedding]);
  reading.usage.push({ prompt: reply.usage.prompt_tokens, completion: 0, total: reply.usage.total_tokens });
}

await runProgram({
  iterator: async (task, reading) => {
    const stream = await clientOf(task).chat.completions.create(streamRequestOf(task));
    for await (const chunk of stream) readChunk(chunk, reading);
  },
  helper: helped,
  whole: async (task, reading) =>
    readWhole(await clientOf(task).chat.completions.create(requestOf(task)), reading),
  completions: async (task, reading) => {
    const reply = await clientOf(task).completions.create({ model: task.model, prompt: 'It leaves' });
    reading.text = reply.choices[0]?.text ?? '';
    reading.finish = reply.choices[0]?.finish_reason ?? null;
    if (reply.usage) reading.usage.push(countsOf(reply.usage));
  },
  'choices-stream': choicesOfStream,
  choices: choicesOfWhole,
  embed,
  'embed-float': (task, reading) => embed(task, reading, 'float'),
  'embed-base64': (task, reading) => embed(task, reading, 'base64'),
  models: async (task, reading) => {
    const ids: string[] = [];
    for await (const model of clientOf(task).models.list()) ids.push(model.id);
    reading.value = ids;
  },
});
