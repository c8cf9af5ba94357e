import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { chunkFrame } from '../helpers/chunk-frame.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { RawClient, rawPost } from '../helpers/raw-client.ts';
import { chunkedHead, httpChunk, RawUpstream } from '../helpers/raw-upstream.ts';
import { runService } from '../helpers/run-service.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const MEBIBYTE = 1024 * 1024;
const STREAM = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] });

const ROLE = chunkFrame({ role: 'assistant', content: '' });
const END = httpChunk(`${chunkFrame({}, 'stop')}data: [DONE]\n\n`) + httpChunk('');

test('S59 an event reaches the client before the upstream sends the next one', async () => {
  const words = Array.from({ length: 100 }, (_, position) => `word-${position};`);
  const heard = words.map(() => Promise.withResolvers<void>());
  await using raw = await RawUpstream.start(async (connection) => {
    connection.socket.setNoDelay(true);
    await connection.request();
    await connection.write(chunkedHead() + httpChunk(ROLE));
    for (const [position, word] of words.entries()) {
      await connection.write(httpChunk(chunkFrame({ content: word })));
      await heard[position]?.promise;
    }
    await connection.write(END);
  });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const response = await gateway.post('/v1/chat/completions', STREAM);
  let text = '';
  let count = 0;
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += piece;
    while (count < words.length && text.includes(words[count] ?? '')) {
      heard[count]?.resolve();
      count += 1;
    }
  }
  assert.equal(checkCanonicalStream(text).choices[0]?.content, words.join(''));
});

test('S59 an event in pieces is sent when its blank line is there, and not before', async () => {
  const halves = Promise.withResolvers<void>();
  const whole = chunkFrame({ content: 'halved' });
  await using raw = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(chunkedHead() + httpChunk(ROLE + chunkFrame({ content: 'first' })));
    await connection.write(httpChunk(whole.slice(0, -10)));
    await halves.promise;
    await connection.write(httpChunk(whole.slice(-10)));
  });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const client = await RawClient.connect(gateway.port);
  client.send(rawPost('/v1/chat/completions', STREAM));
  await until(() => client.received.includes('first'), 'the first event', 10_000);
  await sleep(30);
  assert.doesNotMatch(client.received, /halved/);
  halves.resolve();
  await until(() => client.received.includes('halved'), 'the second event', 10_000);
  client.close();
});

test('S66 a reader that is slow holds 200 MB back at their upstream, and the gateway stays small', async () => {
  const text = 'x'.repeat(16_000);
  const chunk = httpChunk(chunkFrame({ content: text }));
  const count = Math.ceil(200_000_000 / chunk.length);
  let takenBytes = 0;
  await using raw = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(chunkedHead() + httpChunk(ROLE));
    for (let sent = 0; sent < count; sent++) {
      await connection.write(chunk);
      takenBytes += chunk.length;
    }
    await connection.write(END);
  });
  const service = await runService({
    dbtype: 'none',
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  try {
    const before = residentBytes(service.pid);
    const client = await RawClient.connect(service.port);
    let readBytes = 0;
    let isSlow = true;
    let tail = '';
    client.socket.removeAllListeners('data');
    client.socket.on('data', (bytes) => {
      readBytes += bytes.length;
      tail = (tail + bytes.subarray(-40).toString('latin1')).slice(-40);
      if (isSlow) {
        client.socket.pause();
        setTimeout(() => client.socket.resume(), 10);
      }
    });
    client.send(rawPost('/v1/chat/completions', STREAM));
    for (let looks = 0; looks < 10; looks++) {
      await sleep(100);
      // Four socket buffers of the kernel (up to some MiB each on loopback) and our own 128 KiB.
      assert.ok(takenBytes - readBytes < 32 * MEBIBYTE, `${takenBytes} taken, ${readBytes} read`);
      assert.ok(residentBytes(service.pid) - before < 64 * MEBIBYTE, 'resident memory');
    }
    isSlow = false;
    await until(() => tail.includes('data: [DONE]'), 'all of it once the reader is quick', 60_000);
    assert.ok(takenBytes >= 200_000_000);
    assert.ok(readBytes > count * text.length, `${readBytes} read`);
    assert.ok(residentBytes(service.pid) - before < 160 * MEBIBYTE, 'resident memory at the end');
    client.close();
  } finally {
    await service.stop();
  }
});

/** The memory of a process that is in use now. */
function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

test('S130 two hundred concurrent streams do not mix, also when a fifth of the clients disconnects, and nothing leaks', async () => {
  await using model = await StandInModel.start({
    reply: ({ messages }) => `${messages?.[0]?.content} `.repeat(30).trim(),
    firstDelayMs: 20,
    wordDelayMs: 10,
    quirks: { usageInEachChunk: true },
  });
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const leaves = new Set(shuffled(200).slice(0, 40));
  const ids = new Set<string>();
  const streams = Array.from({ length: 200 }, async (_, number) => {
    const body = {
      model: 'm',
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: 'user', content: `client-${number}-says` }],
    };
    const leaving = new AbortController();
    const init = { signal: leaving.signal, headers: { 'x-request-id': `request-${number}` } };
    const response = await gateway.post('/v1/chat/completions', body, init);
    assert.equal(response.headers.get('x-request-id'), `request-${number}`);
    if (leaves.has(number)) {
      const reader = response.body?.getReader();
      await reader?.read();
      leaving.abort();
      return;
    }
    const stream = checkCanonicalStream(await response.text(), { includeUsage: true });
    assert.equal(stream.error, null);
    assert.equal(stream.choices[0]?.content, `client-${number}-says `.repeat(30).trim());
    assert.equal(stream.usage?.completion_tokens, 30);
    ids.add(response.headers.get('x-request-id') ?? '');
  });
  await Promise.all(streams);
  assert.equal(ids.size, 160);
  await until(() => model.open === 0, 'no upstream call is left', 20_000);
  await until(() => gateway.rows().length === 200, 'every record', 20_000);
  const rows = gateway.rows();
  assert.equal(rows.filter(({ outcome }) => outcome === 'ok').length, 160);
  assert.equal(rows.filter(({ outcome }) => outcome === 'client_gone').length, 40);
  for (const row of rows.filter(({ outcome }) => outcome === 'ok')) assert.equal(row.completion_tokens, 30);
  assert.match(await gateway.metrics(), /^tokenferry_inflight 1$/m, 'only the one for the metrics');
  assert.deepEqual((await gateway.readiness()).degraded, []);
  await until(() => model.openConnections <= 160, 'those that were left are closed', 20_000);
  await gateway.end();
  await until(() => model.openConnections === 0, 'no socket is left', 20_000);
});

/** 0 … count-1 in a random order. */
function shuffled(count: number): number[] {
  return Array.from({ length: count }, (_, number) => ({ number, order: Math.random() }))
    .sort((one, other) => one.order - other.order)
    .map(({ number }) => number);
}
