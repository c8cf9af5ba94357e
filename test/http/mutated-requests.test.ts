import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { RawClient, rawPost } from '../helpers/raw-client.ts';
import { randomFrom } from '../helpers/seeded-random.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const CHAT = '{"model":"m","messages":[{"role":"user","content":"hello"}],"stream":false}';
const CHUNKED = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${CHAT.length.toString(16)}\r\n${CHAT}\r\n0\r\n\r\n`;

/** What is changed: a little of each kind of request, and two in one packet. */
const ORIGINALS = [
  rawPost('/v1/chat/completions', CHAT),
  rawPost('/v1/chat/completions', CHAT, ['Expect: 100-continue', 'Connection: keep-alive, X-A', 'X-A: 1']),
  CHUNKED,
  rawPost('/v1/embeddings', '{"model":"m","input":["a","b"]}') + rawPost('/v1/chat/completions', CHAT),
  rawPost('/v1/files', 'x'.repeat(40), ['Content-Encoding: gzip']),
  'GET /v1/models/org%2Fm?a=1&b=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}',
];
const PIECES = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  ':',
  ',',
  ';',
  '0',
  '-',
  '/..',
  '%2e',
  '"',
  '{',
  '\u00ff',
  'chunked',
];

function mutated(original: string, random: () => number): string {
  let text = original;
  const pick = (below: number): number => Math.floor(random() * below);
  for (let times = 1 + pick(3); times > 0; times--) {
    const at = pick(text.length);
    const length = 1 + pick(12);
    const piece = PIECES[pick(PIECES.length)] ?? '';
    const ways = [
      () => text.slice(0, at) + text.slice(at + length),
      () => text.slice(0, at) + piece + text.slice(at),
      () => text.slice(0, at) + piece + text.slice(at + 1),
      () => text.slice(0, at) + text.slice(at, at + 40) + text.slice(at),
      () => text.slice(0, at),
    ];
    text = ways[pick(ways.length)]?.() ?? text;
  }
  return text;
}

test('randomly damaged requests get no 5xx, and none reaches the upstream except as one complete request', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start(
    { dbtype: 'none', upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key', allow: ['m'] }] },
    {},
    { headersTimeoutMs: 200, bodyStallMs: 200 },
  );
  const random = randomFrom(20_261_121);
  const exchange = async (number: number): Promise<void> => {
    const bytes = mutated(ORIGINALS[number % ORIGINALS.length] ?? '', random);
    const client = await RawClient.connect(gateway.port);
    client.send(bytes);
    // What is complete is answered by now; what is not is ended by the limits above.
    for (let waits = 0; waits < 100 && !client.isClosed; waits++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (
        waits > 5 &&
        client.received.startsWith('HTTP/1.1 2') &&
        !client.received.startsWith('HTTP/1.1 204')
      )
        break;
    }
    client.close();
    for (const [, status] of client.received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm))
      assert.ok(Number(status) < 500, `${JSON.stringify(bytes)}: ${client.received}`);
  };
  for (let round = 0; round < 10; round++)
    await Promise.all(Array.from({ length: 30 }, (_, number) => exchange(round * 30 + number)));
  for (const { path, body, text, headers } of model.received) {
    assert.match(path, /^\/v1\/[\x21-\x7e]+$/);
    assert.doesNotMatch(path.split('?')[0] ?? '', /\/(?:\.|%2e){1,2}(?:\/|$)|\\|;|%3b|%5c/i);
    assert.equal(body.model, 'm', text);
    assert.equal(headers.authorization, 'Bearer upstream-key');
    assert.equal(headers['content-encoding'] ?? 'absent', 'absent');
  }
  assert.ok(model.received.length > 20, `${model.received.length} were whole`);
  assert.equal((await gateway.post('/v1/chat/completions', CHAT)).status, 200);
  assert.deepEqual((await gateway.readiness()).degraded, []);
  assert.doesNotMatch(gateway.log, /internal error|defect of tokenferry/);
});
