import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { chunk, DONE, ROLE, STOP, sse, stream, text, USAGE } from '../upstream-bytes.ts';

/** The official client, answered with what a `ChatStream` makes of these upstream bytes. */
function clientOf(upstream: string): OpenAI {
  const body = stream(upstream, { includeUsage: true }).text;
  const headers = { 'content-type': 'text/event-stream; charset=utf-8' };
  return new OpenAI({ apiKey: 'k', maxRetries: 0, fetch: async () => new Response(body, { headers }) });
}

const REQUEST = { model: 'm', messages: [], stream: true, stream_options: { include_usage: true } } as const;

const opening = (index: number | undefined, id: string, name: string, args: unknown) => ({
  index,
  id,
  type: 'function',
  function: { name, arguments: args },
});

/** Upstreams that the client alone cannot read, or reads wrongly. */
const UPSTREAMS: Readonly<Record<string, string>> = {
  canonical: sse(
    ROLE,
    text('Hello'),
    text(' world'),
    STOP,
    { ...chunk({}), choices: [], usage: USAGE },
    DONE,
  ),
  'empty data': `data: \n\n${sse(ROLE, text('Hello world'), STOP, DONE)}`,
  'event: ping without data': `event: ping\n\n${sse(ROLE, text('Hello world'), STOP, DONE)}`,
  'wrapped comment': `data: : keepalive\n\n${sse(ROLE, text('Hello world'), STOP, DONE)}`,
  'no blank lines': sse(ROLE, text('Hello world'), STOP, DONE).replaceAll('\n\n', '\n'),
  'invalid JSON in one event': sse(ROLE, text('Hello'), '{oops', text(' world'), STOP, DONE),
  'JSON body': JSON.stringify({ choices: [{ message: { content: 'Hello world' }, finish_reason: 'stop' }] }),
  NDJSON: [text('Hello'), text(' world'), STOP].map((object) => JSON.stringify(object)).join('\n'),
  'no role, no index, no finish': sse({ choices: [{ delta: { content: 'Hello world' } }] }, DONE),
  'role null, choices missing': sse(
    { id: 'x' },
    chunk({ role: null, content: 'Hello world' }),
    { usage: USAGE },
    STOP,
    DONE,
  ),
  'finish twice': sse(ROLE, chunk({ content: 'Hello world' }, 'stop'), STOP, STOP, DONE),
};

for (const [name, upstream] of Object.entries(UPSTREAMS)) {
  test(`S132 the openai client, raw and with its helper, reads: ${name}`, async () => {
    let raw = '';
    const reasons = [];
    for await (const event of await clientOf(upstream).chat.completions.create({
      ...REQUEST,
      messages: [],
    })) {
      raw += event.choices[0]?.delta.content ?? '';
      if (event.choices[0]?.finish_reason) reasons.push(event.choices[0].finish_reason);
    }
    assert.deepEqual([raw, reasons], ['Hello world', ['stop']]);
    const helped = await clientOf(upstream)
      .chat.completions.stream({ ...REQUEST, messages: [] })
      .finalChatCompletion();
    assert.equal(helped.choices[0]?.message.content, 'Hello world');
    assert.ok((helped.usage?.total_tokens ?? 0) > 0);
  });
}

test('S132 the openai client reads tool calls that came without index, repeated and as objects', async () => {
  const upstream = sse(
    chunk({ tool_calls: [opening(undefined, 'a', 'f', { x: 1 }), opening(undefined, 'b', 'g', '{"y"')] }),
    chunk({ tool_calls: [opening(undefined, 'b', 'g', ':2}')] }),
    STOP,
    DONE,
  );
  const helped = await clientOf(upstream)
    .chat.completions.stream({ ...REQUEST, messages: [] })
    .finalChatCompletion();
  assert.deepEqual(
    helped.choices[0]?.message.tool_calls?.map((call) => call.type === 'function' && call.function.arguments),
    ['{"x":1}', '{"y":2}'],
  );
  assert.equal(helped.choices[0]?.finish_reason, 'tool_calls');
});

test('S92 S132 the openai client raises the error of a stream that broke, with its text', async () => {
  const events = await clientOf(sse(ROLE, text('Hel'))).chat.completions.create({ ...REQUEST, messages: [] });
  let raw = '';
  await assert.rejects(async () => {
    for await (const event of events) raw += event.choices[0]?.delta.content ?? '';
  }, /closed the connection before its response was complete/);
  assert.equal(raw, 'Hel');
});
