import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { InterimResponses } from '../../src/upstream/transport/connections.ts';

const RESPONSE = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
const UPGRADE = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n';

/** What a reader gets whose listener comes after ours, as undici's. */
async function readAll(pieces: readonly string[]): Promise<string> {
  const socket = new Readable({ read: () => undefined });
  new InterimResponses(socket).expectResponse();
  let seen = '';
  socket.on('readable', () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) seen += chunk;
  });
  for (const piece of pieces) {
    socket.push(Buffer.from(piece));
    await turn();
  }
  return seen;
}

for (const [what, interim, left] of [
  ['100 Continue', CONTINUE, ''],
  ['several', HINTS + CONTINUE + CONTINUE, ''],
  ['none', '', ''],
  ['101, which is not ours to skip', UPGRADE, UPGRADE],
] as const) {
  test(`interim responses before a response are skipped, in any pieces: ${what}`, async () => {
    const all = interim + RESPONSE;
    for (let size = 1; size <= all.length; size++) {
      const pieces = all.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      assert.equal(await readAll(pieces), left + RESPONSE, `pieces of ${size}`);
    }
  });
}

test('text that looks like an interim response within a response is part of it', async () => {
  assert.equal(await readAll([RESPONSE, CONTINUE]), RESPONSE + CONTINUE);
});

test('an interim response without an end is left to the parser', async () => {
  const endless = `HTTP/1.1 102 Processing\r\nx: ${'a'.repeat(70_000)}`;
  assert.equal(await readAll([endless]), endless);
});
