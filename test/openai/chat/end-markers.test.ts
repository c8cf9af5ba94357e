import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatStream } from '../../../src/openai/chat/chat-stream.ts';
import {
  DONE,
  optionsFor,
  PLAIN,
  ROLE,
  read,
  reply,
  STOP,
  sse,
  stream,
  text,
  USAGE,
  usageChunk,
} from '../upstream-bytes.ts';

const HELLO = sse(ROLE, text('Hello'), text(' world'));

test('end markers of a server’s own end a response that has no finish reason', () => {
  for (const mark of ['[END]', '[done]', 'EOF', '<eof>', '"finished"', '[FINISH]', 'complete', 'Stop']) {
    assert.equal(stream(`${HELLO}data: ${mark}\n\n`).text, PLAIN, mark);
  }
});

test('an event whose name, type, status or flag means the end does, too', () => {
  for (const event of [
    'event: done\ndata: \n\n',
    'event: end\ndata: {}\n\n',
    'event: message_end\ndata: {"id":"x"}\n\n',
    'data: {"type":"done"}\n\n',
    'data: {"event":"message_end","metadata":{"note":"words"}}\n\n',
    'data: {"status":"finished"}\n\n',
    'data: {"done":true}\n\n',
  ]) {
    assert.equal(stream(HELLO + event).text, PLAIN, event);
  }
});

test('usage after such a marker is still read', () => {
  const { usage, choices } = read(`${HELLO}data: [END]\n\n${sse(usageChunk(USAGE), DONE)}`, {
    includeUsage: true,
  });
  assert.equal(choices[0]?.content, 'Hello world');
  assert.equal(usage?.completion_tokens, 2);
});

test('text after a marker means that it was not the end, and a marker without text is not a response', () => {
  const early = read(`${sse(ROLE, text('Hello'))}data: {"status":"finished"}\n\n${sse(text(' world'))}`);
  assert.equal(early.choices[0]?.content, 'Hello world');
  assert.equal(early.failure?.kind, 'disconnected');
  assert.notEqual(read('event: done\ndata: {}\n\n').failure, null);
  assert.notEqual(read(`${sse(ROLE)}event: done\ndata: {}\n\n`).failure, null);
});

test('a response with an unknown end marker may end although the connection stays open', () => {
  const open = new ChatStream(optionsFor());
  open.push(Buffer.from(HELLO));
  assert.equal(open.canEnd, false);
  open.push(Buffer.from('data: [END]\n\n'));
  assert.equal(open.canEnd, true);
});

test('Q45 JSON that was built by hand is repaired: line ends in strings, trailing commas, words of Python', () => {
  const odd = PLAIN.replace('"Hello"', '"Hello\t\u0001"')
    .replaceAll('}]}', '},]}')
    .replaceAll('null', 'None');
  assert.equal(read(odd).choices[0]?.content, 'Hello\t\u0001 world');
  const brokenLine = PLAIN.replace('Hello', 'Hel\nlo');
  assert.equal(read(brokenLine).choices[0]?.content, 'Hel\nlo world');
  const whole = JSON.stringify({
    choices: [{ index: 0, message: { content: 'a|b, ]' }, finish_reason: 'stop' }],
  });
  assert.equal(
    reply(whole.replace('|', '\n').replace('}]}', '},]}')).json.choices[0].message.content,
    'a\nb, ]',
  );
});

test('text within strings is never repaired', () => {
  const said = 'None, NaN, True, ] and , } stay';
  const odd = sse(ROLE, text(said), STOP).replaceAll('null', 'None');
  assert.equal(read(odd + sse(DONE)).choices[0]?.content, said);
});

test('a repair of a hostile megabyte costs one pass', () => {
  for (const body of [
    `{"a":${','.repeat(500_000)}`,
    `{"a":"${'\n'.repeat(500_000)}`,
    `{"a":${', '.repeat(500_000)}NaN`,
  ]) {
    assert.notEqual(read(`data: ${body.replaceAll('\n', '\t')}\n\n`).failure, null);
  }
});
