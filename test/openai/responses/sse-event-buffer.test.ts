import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createParser } from 'eventsource-parser';
import { SseEventBuffer } from '../../../src/openai/responses/sse-event-buffer.ts';

const event = (type: string, more: object = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;

const usage = { input_tokens: 3, output_tokens: 4, total_tokens: 7 };
const RESPONSE = [
  ': hello\n\n',
  event('response.created', { sequence_number: 0, response: { usage: null } }),
  event('response.output_text.delta', { sequence_number: 1, delta: '"usage":{"input_tokens":9} – ü' }),
  event('response.completed', { sequence_number: 2, response: { status: 'completed', usage } }),
].join('');

const FORMS: Readonly<Record<string, string>> = {
  'line feeds': RESPONSE,
  'carriage returns with line feeds': RESPONSE.replaceAll('\n', '\r\n'),
  'carriage returns': RESPONSE.replaceAll('\n', '\r'),
  'several data lines': 'data: {\ndata:  "a": [1],\ndata:  "b": {}\ndata: }\n\ndata: [1]\n\ndata: [DONE]\n\n',
  'no blank lines': 'data: {"a":1}\ndata: {"b":[2]}\ndata:[DONE]\n',
  'comments within and between': ': a\ndata: {"a":1}\n: b\n\n: c\n\nid: 7\nretry: 5\n: d\ndata: {"b":2}\n\n',
};

/** What a reader gets of a text, [] for each event without JSON. */
function read(text: string): unknown[] {
  const read: unknown[] = [];
  const parser = createParser({
    onEvent: ({ data }) => read.push(data === '[DONE]' ? data : JSON.parse(data)),
  });
  parser.feed(text);
  return read;
}

/** Hands over so much of the text in pieces of a size; what was given out. */
function hand(events: SseEventBuffer, bytes: Buffer, size: number): string {
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const whole = events.take(bytes.subarray(at, at + size));
    if (whole !== null) out.push(whole);
  }
  return Buffer.concat(out).toString('utf8');
}

for (const [form, text] of Object.entries(FORMS)) {
  test(`a passed-through stream stays byte for byte, in any pieces: ${form}`, () => {
    for (const size of [1, 2, 3, 7, 64, 10_000]) {
      const events = new SseEventBuffer('responses');
      const out = hand(events, Buffer.from(text), size);
      assert.equal(out + (events.end() ?? ''), text, `pieces of ${size}`);
      assert.equal(events.end(), null);
    }
  });

  // A strict reader has one event of all that no blank line parts.
  if (form === 'no blank lines') continue;
  test(`wherever a stream is cut, the error is a separate event after complete ones: ${form}`, () => {
    const bytes = Buffer.from(text);
    const all = read(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      for (const size of [1, 5, 10_000]) {
        const events = new SseEventBuffer('responses');
        const out = hand(events, bytes.subarray(0, cut), size);
        assert.ok(text.startsWith(out));
        const told = read(`${out}${events.separator}data: {"error":{}}\n\n`);
        assert.deepEqual(told.at(-1), { error: {} }, `cut at ${cut}`);
        assert.deepEqual(told.slice(0, -1), all.slice(0, told.length - 1), `cut at ${cut}`);
      }
    }
  });
}

test('complete data is not delayed: comments, and data lines that are whole JSON', () => {
  const events = new SseEventBuffer('responses');
  const steps: readonly (readonly [piece: string, given: string | null])[] = [
    [': alive\n', ': alive\n'],
    ['data: {"a":', null],
    ['1}\n', 'data: {"a":1}\n'],
    ['data: {"b":2}\nda', 'data: {"b":2}\n'],
    ['ta: {"c":"}"', null],
    ['}\n\n', 'data: {"c":"}"}\n\n'],
    ['event: a\n', null],
    ['data: x\n', null],
    ['\n', 'event: a\ndata: x\n\n'],
    ['data: {"d":1}\r\n\r', 'data: {"d":1}\r\n'],
    ['\n', '\r\n'],
  ];
  for (const [piece, given] of steps)
    assert.equal(events.take(Buffer.from(piece))?.toString() ?? null, given, piece);
});

test('an event that is too long to buffer is passed on in pieces, and no error can be sent after it', () => {
  const events = new SseEventBuffer('responses');
  const piece = Buffer.alloc(1024 * 1024, 'A');
  let given = events.take(Buffer.from('data: {"b64_json":"'))?.length ?? 0;
  for (let count = 0; count < 20; count++) given += events.take(piece)?.length ?? 0;
  assert.equal(given, 20 * piece.length + 'data: {"b64_json":"'.length);
  assert.equal(events.canAppendError, false);
  assert.equal(events.take(Buffer.from('"}\n\n'))?.length, 4);
  assert.equal(events.end(), null);
});

test('the usage of a stream is that of its last event, wherever its pieces were cut', () => {
  const told = { promptTokens: 3, completionTokens: 4, totalTokens: 7 };
  for (const size of [1, 50, 10_000]) {
    const events = new SseEventBuffer('responses');
    hand(events, Buffer.from(RESPONSE), size);
    assert.deepEqual(events.usage, told);
  }
  for (const last of [
    event('response.incomplete', {
      response: { usage: { ...usage, input_tokens_details: { cached_tokens: 1 } } },
    }),
    `data: ${JSON.stringify({ type: 'image_generation.completed', b64_json: 'A'.repeat(99_999), usage })}\n\n`,
    `data: ${JSON.stringify({ usage, tools: [{ parameters: { properties: { usage: { type: 'string' } } } }] })}`,
    `data: {"type" : "response.completed", "response" : {"usage" : ${JSON.stringify(usage, null, 1).replaceAll('\n', ' ')}}}\n\n`,
  ]) {
    const events = new SseEventBuffer('responses');
    events.take(Buffer.from(event('response.created', { response: { usage: null } })));
    assert.equal(events.usage, null);
    events.take(Buffer.from(last));
    events.end();
    const { promptTokens, completionTokens, totalTokens } = events.usage ?? assert.fail(last.slice(0, 200));
    assert.deepEqual({ promptTokens, completionTokens, totalTokens }, told);
  }
});

test('a Responses stream is unfinished after an event that others must follow, and an error has the next sequence number', () => {
  for (const [last, isUnfinished] of [
    ['response.created', true],
    ['response.in_progress', true],
    ['response.output_item.added', true],
    ['response.output_text.delta', true],
    ['response.output_item.done', true],
    ['response.completed', false],
    ['response.incomplete', false],
    ['response.failed', false],
    ['response.cancelled', false],
  ] as const) {
    const events = new SseEventBuffer('responses');
    events.take(Buffer.from(event('response.created', { sequence_number: 0 })));
    events.take(
      Buffer.from(
        `${event('response.queued', { sequence_number: 6 })}${event(last, { sequence_number: 7 })}`,
      ),
    );
    events.take(Buffer.from(': keep-alive\n\n'));
    assert.equal(events.isUnfinished, isUnfinished, last);
    assert.equal(events.nextSequenceNumber, 8, last);
  }
  const pictures = new SseEventBuffer('responses');
  pictures.take(Buffer.from(event('image_generation.partial_image')));
  assert.equal(pictures.isUnfinished, false);
  assert.equal(pictures.nextSequenceNumber, 0);
});
