/** `messages` of Anthropic's package: its iterator, its `.stream()` helper, whole messages, counts, images. */
import { QUESTION, type Reading, type Task, TOOLS } from '../protocol.ts';
import { runProgram } from './program.ts';

// The package is there only after `npm run install:clients`, so its types are not relied on.
const name: string = '@anthropic-ai/sdk';
const { default: Anthropic } = await import(name);

/** A white point. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

// biome-ignore lint/suspicious/noExplicitAny: JSON of the API, looked at by the program.
type Json = any;

function clientOf({ url, key }: Task): Json {
  return new Anthropic({ baseURL: url.replace(/\/v1$/, ''), apiKey: key, maxRetries: 0, timeout: 20_000 });
}

function requestOf({ model, tools }: Task): Json {
  const own = TOOLS.map(({ function: { name: called, parameters, strict } }) => ({
    name: called,
    description: called,
    input_schema: parameters,
    strict,
  }));
  return {
    model,
    max_tokens: 500,
    messages: [{ role: 'user', content: QUESTION }],
    ...(tools ? { tools: own } : {}),
  };
}

function readMessage(message: Json, reading: Reading): void {
  const of = (type: string): Json[] => message.content.filter((block: Json) => block.type === type);
  reading.text = of('text')
    .map(({ text }) => text)
    .join('');
  reading.reasoning = of('thinking')
    .map(({ thinking }) => thinking)
    .join('');
  reading.calls = of('tool_use').map(({ id, name: called, input }) => ({
    id,
    name: called,
    arguments: JSON.stringify(input),
  }));
  reading.finish = message.stop_reason;
  const { input_tokens: prompt, output_tokens: completion } = message.usage;
  reading.usage = [{ prompt, completion, total: prompt + completion }];
}

await runProgram({
  /** By hand, as applications do without the helper. */
  iterator: async (task, reading) => {
    const stream = await clientOf(task).messages.create({ ...requestOf(task), stream: true });
    let message: Json = null;
    const inputs: string[] = [];
    for await (const event of stream) {
      if (event.type === 'message_start') message = { ...event.message, content: [] };
      if (event.type === 'content_block_start') message.content[event.index] = { ...event.content_block };
      if (event.type === 'content_block_delta') {
        const { delta, index } = event;
        if (delta.type === 'text_delta') message.content[index].text += delta.text;
        if (delta.type === 'thinking_delta') message.content[index].thinking += delta.thinking;
        if (delta.type === 'input_json_delta') inputs[index] = (inputs[index] ?? '') + delta.partial_json;
        if (delta.type === 'text_delta') reading.text += delta.text;
      }
      if (event.type === 'content_block_stop' && inputs[event.index] !== undefined)
        message.content[event.index].input = JSON.parse(inputs[event.index] ?? '');
      if (event.type === 'message_delta') message = { ...message, ...event.delta, usage: event.usage };
    }
    readMessage(message, reading);
  },
  helper: async (task, reading) => {
    const stream = clientOf(task).messages.stream(requestOf(task));
    stream.on('text', (text: string) => {
      reading.text += text;
    });
    readMessage(await stream.finalMessage(), reading);
  },
  whole: async (task, reading) => {
    readMessage(await clientOf(task).messages.create(requestOf(task)), reading);
  },
  /** A second turn: the content goes back as it is, with what the tools gave. */
  turns: async (task, reading) => {
    const request = requestOf({ ...task, tools: true });
    const first = await clientOf(task).messages.stream(request).finalMessage();
    const results = first.content.flatMap(({ type, id }: Json) =>
      type === 'tool_use' ? [{ type: 'tool_result', tool_use_id: id, content: 'sunny' }] : [],
    );
    const messages = [
      ...request.messages,
      { role: 'assistant', content: first.content },
      { role: 'user', content: [...results, { type: 'text', text: 'And then?' }] },
    ];
    readMessage(await clientOf(task).messages.create({ ...request, messages }), reading);
  },
  image: async (task, reading) => {
    const source = { type: 'base64', media_type: 'image/png', data: PNG };
    const content = [
      { type: 'image', source },
      { type: 'text', text: QUESTION },
    ];
    const request = { ...requestOf(task), messages: [{ role: 'user', content }] };
    readMessage(await clientOf(task).messages.create(request), reading);
  },
  count: async (task, reading) => {
    const { max_tokens: _, ...request } = requestOf({ ...task, tools: true });
    reading.value = (await clientOf(task).messages.countTokens(request)).input_tokens;
  },
  models: async (task, reading) => {
    const ids: string[] = [];
    for await (const { id } of clientOf(task).models.list({ limit: 7 })) ids.push(id);
    reading.value = ids;
  },
});
