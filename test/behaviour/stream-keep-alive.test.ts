import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { load, MINIMAL } from '../config/config-text.ts';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { chunkFrame } from '../helpers/chunk-frame.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { RawClient, rawPost } from '../helpers/raw-client.ts';
import { chunkedHead, httpChunk, type RawConnection, RawUpstream } from '../helpers/raw-upstream.ts';

const STREAM = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] });

const event = (delta: object, finish: string | null = null) => httpChunk(chunkFrame(delta, finish));
const ROLE = event({ role: 'assistant', content: '' });
const END = event({}, 'stop') + httpChunk('data: [DONE]\n\n') + httpChunk('');

/** Everything between the head and the end of a chunked answer. */
function bodyOf(received: string): string {
  const parts = received.slice(received.indexOf('\r\n\r\n') + 4).split('\r\n');
  return parts.filter((_, position) => position % 2 === 1).join('');
}

/** A stream whose upstream says something only when the test tells it to. */
async function withStream(
  config: object,
  use: (stream: { client: RawClient; say: (bytes: string) => Promise<void> }) => Promise<void>,
): Promise<void> {
  const connected = Promise.withResolvers<RawConnection>();
  await using raw = await RawUpstream.start(async (connection) => {
    await connection.request();
    connected.resolve(connection);
  });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    keep_alive_comments: 0,
    ...config,
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', STREAM));
  const connection = await connected.promise;
  await use({ client, say: (bytes) => connection.write(bytes) });
  client.close();
}

test('S36 the headers of a stream are sent with its first content, not with the upstream’s headers or role', async () => {
  await withStream({}, async ({ client, say }) => {
    await say(chunkedHead() + ROLE);
    await sleep(50);
    assert.equal(client.received, '', 'another upstream may still take over');
    await say(event({ content: 'word' }));
    await until(() => client.received.includes('word'), 'the content', 10_000);
    const head = client.received.slice(0, client.received.indexOf('\r\n\r\n')).toLowerCase();
    assert.match(head, /^http\/1\.1 200 ok/);
    assert.match(head, /content-type: text\/event-stream; charset=utf-8/);
    assert.match(head, /cache-control: no-cache, no-transform/);
    assert.match(head, /x-accel-buffering: no/);
    assert.match(head, /transfer-encoding: chunked/);
    assert.doesNotMatch(head, /content-length|content-encoding/);
  });
});

test('S36 S42 S129 a slow upstream: headers after early_headers, then comments, then the response', async () => {
  await withStream({ early_headers: '30ms', keep_alive_comments: '20ms' }, async ({ client, say }) => {
    await until(
      () => client.received.includes('\r\n\r\n'),
      'headers without any word of the upstream',
      10_000,
    );
    assert.match(client.received, /^HTTP\/1\.1 200 OK/);
    await until(() => bodyOf(client.received).length > 20, 'comments', 10_000);
    assert.match(bodyOf(client.received), /^(?:: keep-alive\n\n)+$/, 'nothing but comments');
    await say(chunkedHead() + ROLE + event({ content: 'late' }) + END);
    await until(() => client.received.endsWith('0\r\n\r\n'), 'the end', 10_000);
    const stream = checkCanonicalStream(bodyOf(client.received));
    assert.equal(stream.choices[0]?.content, 'late');
  });
});

test('S41 a comment is `: keep-alive` in a block of its own, never glued to an event', async () => {
  await withStream({ keep_alive_comments: '20ms' }, async ({ client, say }) => {
    await say(chunkedHead() + ROLE);
    for (const word of ['one', ' two', ' three']) {
      await say(event({ content: word }));
      const isQuiet = () => bodyOf(client.received).split(word)[1]?.endsWith(': keep-alive\n\n') === true;
      await until(isQuiet, 'a comment in the silence', 10_000);
    }
    await say(END);
    await until(() => client.received.endsWith('0\r\n\r\n'), 'the end', 10_000);
    const blocks = bodyOf(client.received).split('\n\n');
    assert.equal(blocks.pop(), '');
    for (const block of blocks) assert.ok(block === ': keep-alive' || /^data: \S[^\n]*$/.test(block), block);
    assert.ok(blocks.filter((block) => block.startsWith(':')).length >= 3);
  });
});

test('S42 comments are sent every 15 s by default, and 0 turns them off', async () => {
  assert.equal(load(MINIMAL).config.keep_alive_comments, 15_000);
  await withStream({ keep_alive_comments: 0 }, async ({ client, say }) => {
    await say(chunkedHead() + ROLE + event({ content: 'word' }));
    await until(() => client.received.includes('word'), 'the content', 10_000);
    await sleep(50);
    await say(END);
    await until(() => client.received.endsWith('0\r\n\r\n'), 'the end', 10_000);
    assert.doesNotMatch(client.received, /keep-alive\n/);
  });
});

test('S43 keep_alive_chunks sends events with empty choices in silences, of the same id, never before content or within reasoning', async () => {
  await withStream({ early_headers: '10ms', keep_alive_chunks: '20ms' }, async ({ client, say }) => {
    const quiet = (): number => bodyOf(client.received).split('"choices":[]').length - 1;
    await until(() => client.received.includes('\r\n\r\n'), 'the headers', 10_000);
    await sleep(50);
    assert.equal(bodyOf(client.received), '', 'nothing before the identity of the answer is known');
    await say(chunkedHead() + ROLE + event({ reasoning_content: 'hm' }));
    await until(() => client.received.includes('hm'), 'the reasoning', 10_000);
    await sleep(50);
    assert.equal(quiet(), 0, 'none within reasoning');
    await say(event({ content: 'data: {' }));
    await until(() => quiet() >= 2, 'one after each silence', 10_000);
    await say(event({ content: ' word' }) + END);
    await until(() => client.received.endsWith('0\r\n\r\n'), 'the end', 10_000);
    const body = bodyOf(client.received);
    assert.match(body, /"finish_reason":"stop"\}\]\}\n\ndata: \[DONE\]\n\n$/, 'none after the finish');
    const quietOnes = body.match(/data: [^\n]*"choices":\[\]\}\n\n/g) ?? [];
    assert.deepEqual(JSON.parse(quietOnes[0]?.slice('data: '.length) ?? ''), {
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [],
    });
    const stream = checkCanonicalStream(body.replaceAll(quietOnes[0] ?? '', ''));
    assert.equal(stream.choices[0]?.content, 'data: { word');
    assert.equal(stream.choices[0]?.reasoning, 'hm');
  });
});

test('S43 by default no event without content is sent', async () => {
  assert.equal(load(MINIMAL).config.keep_alive_chunks, 0);
});
