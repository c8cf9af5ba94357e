import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InterimResponses } from '../../src/upstream/transport/interim-responses.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
const UPGRADE = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n';

/** What a reader gets that asks again whenever it was told that there is nothing. */
function readAll(pieces: readonly string[]): string {
  const interim = new InterimResponses();
  interim.expectAnswer();
  const waiting = pieces.map((piece) => Buffer.from(piece));
  let seen = '';
  while (waiting.length > 0) {
    const piece = waiting.shift() as Buffer;
    const queue: (Buffer | null)[] = [piece, null];
    const read = (): Buffer | null => queue.shift() ?? null;
    seen += (interim.isDue ? interim.readPast(read) : read())?.toString() ?? '';
  }
  return seen;
}

for (const [what, announced, left] of [
  ['100 Continue', CONTINUE, ''],
  ['several', HINTS + CONTINUE + CONTINUE, ''],
  ['none', '', ''],
  ['101, which is not ours to skip', UPGRADE, UPGRADE],
] as const) {
  test(`announcements before an answer are skipped, in whatever pieces they come: ${what}`, () => {
    const all = announced + ANSWER;
    for (let size = 1; size <= all.length; size++) {
      const pieces = all.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      assert.equal(readAll(pieces), left + ANSWER, `pieces of ${size}`);
    }
  });
}

test('what looks like an announcement within an answer is part of it', () => {
  assert.equal(readAll([ANSWER, CONTINUE]), ANSWER + CONTINUE);
});

test('an announcement without an end is left to the parser', () => {
  const endless = `HTTP/1.1 102 Processing\r\nx: ${'a'.repeat(70_000)}`;
  assert.equal(readAll([endless]), endless);
});
