import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SseItem, SseReader } from '../../../src/lib/sse/sse-reader.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

function itemsOf(pieces: readonly string[], maxEventLength = 1_000): { items: SseItem[]; reader: SseReader } {
  const reader = new SseReader({ maxEventLength });
  const items = pieces.flatMap((piece) => reader.push(piece));
  return { items: [...items, ...reader.end()], reader };
}

const event = (data: string, name?: string): SseItem => ({ kind: 'event', data, name });

test('events of one line, of several, with a name, and without a space are events', () => {
  const text = 'data: {"a":1}\n\nevent: x\ndata: one\ndata: two\n\ndata:three\n\n';
  assert.deepEqual(itemsOf([text]).items, [event('{"a":1}'), event('one\ntwo', 'x'), event('three')]);
});

test('any pieces and any line ends give the same events', () => {
  const text =
    ': hi\n\ndata: a\n\nevent: x\ndata: {"b":\ndata: 2}\n\nid: 1\ndata: c\n\nnonsense\n\ndata: [DONE]\n\n';
  const expected = itemsOf([text]).items;
  assert.equal(expected.length, 5);
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomFrom(seed);
    const all = text.replaceAll('\n', ['\n', '\r\n', '\r'][seed % 3] as string);
    const pieces: string[] = [];
    for (let at = 0; at < all.length; ) {
      const end = at + 1 + Math.floor(random() * 9);
      pieces.push(all.slice(at, end));
      at = end;
    }
    assert.deepEqual(itemsOf(pieces).items, expected, JSON.stringify(pieces));
  }
});

test('an event is given with the piece that completes it, also one without a blank line behind its JSON', () => {
  const reader = new SseReader({ maxEventLength: 100 });
  assert.deepEqual(reader.push('data: {"a"'), []);
  assert.deepEqual(reader.push(':1}\n'), [event('{"a":1}')]);
  assert.deepEqual(reader.push('data: {"b":2}\n\ndata: {"c"'), [event('{"b":2}')]);
});

test('the end marker ends its event though no line end follows', () => {
  const reader = new SseReader({ maxEventLength: 100 });
  assert.deepEqual(reader.push('data: a\n\ndata: [DONE]'), [event('a'), event('[DONE]')]);
});

test('an event beyond the maximum sets hasOverflowed, whatever its pieces, and nothing is read after it', () => {
  for (const pieces of [
    [`data: ${'x'.repeat(11)}\n\n`],
    ['data: xxxxxx', 'xxxxxxxxxxx', '\n\n'],
    ['data: x\n'.repeat(12)],
  ]) {
    const { items, reader } = itemsOf(['data: a\n\n', ...pieces, 'data: b\n\n'], 10);
    assert.deepEqual(items, [event('a')]);
    assert.ok(reader.hasOverflowed);
  }
});

test('repairs are reported, and only where lines were repaired', () => {
  const repairs: string[] = [];
  const reader = new SseReader({ maxEventLength: 100, onRepair: (repair) => repairs.push(repair) });
  reader.push('data: {"a":1}\n\n: hi\n\nevent: x\ndata: {"b":2}\n\n');
  assert.deepEqual(repairs, []);
  reader.push('data: {"a":1}\ndata: {"b":2}\n\n');
  reader.push('{"c":3}\n\nDATA: x\n\n');
  assert.deepEqual(repairs, ['sse_missing_blank_line', 'sse_missing_data_field', 'sse_field_name_case']);
});
