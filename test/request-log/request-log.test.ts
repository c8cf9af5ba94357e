import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '../../src/lib/clock.ts';
import { SecretRegistry } from '../../src/lib/secret.ts';
import type { RequestLogEvent } from '../../src/request-log/record-writer.ts';
import { createRequestLog, type RequestLogSettings } from '../../src/request-log/request-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { failedRecord, requestById, sampleRecord } from './sample-record.ts';

function openLog(t: TestContext, settings: Partial<RequestLogSettings> = {}, secrets = new SecretRegistry()) {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const events: RequestLogEvent[] = [];
  const log = createRequestLog(
    { type: 'sqlite', path, queueRows: 10_000, retentionMs: 0, maxBodyBytes: 1_000, ...settings },
    { clock, secrets, random: () => 0.5, onEvent: (event) => events.push(event) },
  );
  t.after(() => log.close());
  return { log, path, clock, events };
}

test('every row of a burst is in the store after close, though the queue was never waited for', async (t) => {
  const { log } = openLog(t);
  for (let batch = 0; batch < 50; batch++)
    log.acceptRecords(Array(100).fill(sampleRecord({ id: `req_${batch}` })));
  await log.close();
  assert.deepEqual(log.stats(), { written: 5_000, dropped: 0, queued: 0 });
});

test('what is written after close is dropped and counted', async (t) => {
  const { log } = openLog(t);
  await log.close();
  await log.close();
  log.acceptRecords([sampleRecord()]);
  assert.deepEqual(log.stats(), { written: 0, dropped: 1, queued: 0 });
});

test('bodies are stored by record.content, redacted and cut', async (t) => {
  const body = `{"to":"ann@corp.example","image":"data:image/png;base64,${'A'.repeat(4_000)}","key":"sk-${'a'.repeat(40)}"}`;
  const contents = { none: [null, null], errors: [null, 'kept'], all: ['kept', 'kept'] } as const;
  for (const [content, expected] of Object.entries(contents)) {
    const { log } = openLog(t, { content: content as 'none' | 'errors' | 'all' });
    log.acceptRecords([sampleRecord({ id: 'ok', body }), failedRecord({ id: 'failed', body })]);
    const bodies = [(await requestById(log, 'ok'))?.body, (await requestById(log, 'failed'))?.body];
    const kept = '{"to":"[email]","image":"[data image/png 3000 bytes]","key":"[redacted]"}';
    assert.deepEqual(
      bodies,
      expected.map((what) => (what === 'kept' ? kept : null)),
      content,
    );
  }
});

test('own patterns redact beside the built-in ones, and a broken one fails at the start', async (t) => {
  const { log } = openLog(t, { content: 'all', redact: ['EMP-\\d{6}'] });
  log.acceptRecords([sampleRecord({ response: 'employee EMP-123456, EMP-654321' })]);
  assert.equal((await requestById(log, 'req_sample'))?.response, 'employee [redacted], [redacted]');
  assert.throws(() => openLog(t, { redact: ['('] }), SyntaxError);
});

test('a pattern with catastrophic backtracking blocks the store and not the gateway', async (t) => {
  const { log } = openLog(t, { content: 'all', redact: ['^(a+)+$'] });
  log.acceptRecords([sampleRecord({ body: `${'a'.repeat(26)}b` })]);
  log.acceptRecords([sampleRecord()]);
  assert.equal(log.stats().written, 0, 'the pattern is still running, and nothing waited for it');
});

test('only the named headers are stored, and never one with credentials', async (t) => {
  const { log } = openLog(t, { keepHeaders: ['user-agent', 'authorization', 'cookie'] });
  const headers = { 'user-agent': 'curl/8', authorization: 'Bearer abc', cookie: 'a=b', 'x-other': '1' };
  log.acceptRecords([sampleRecord({ headers })]);
  assert.deepEqual((await requestById(log, 'req_sample'))?.headers, { 'user-agent': 'curl/8' });
});

test('a record is kept when its model, client and path are all included', async (t) => {
  const { log } = openLog(t, {
    include: { models: ['gpt-4*', 'bge.m3'], clients: ['rag*'], paths: ['/v1/chat/**'] },
  });
  log.acceptRecords([
    sampleRecord({ id: 'kept' }),
    sampleRecord({ id: 'model', model: 'bge-m3' }),
    sampleRecord({ id: 'dot', model: 'bgexm3' }),
    sampleRecord({ id: 'client', client: null }),
    sampleRecord({ id: 'path', path: '/v1/embeddings' }),
  ]);
  assert.deepEqual(
    (await log.recent({}, { limit: 9 })).requests.map((r) => r.id),
    ['kept'],
  );
});

test('sampling leaves out successful requests and never a failed one', async (t) => {
  const { log } = openLog(t, { include: { sample: 0.4 } });
  log.acceptRecords([sampleRecord(), failedRecord({ id: 'failed' })]);
  assert.deepEqual(
    (await log.recent({}, { limit: 9 })).requests.map((r) => r.id),
    ['failed'],
  );
  assert.deepEqual(log.stats(), { written: 1, dropped: 0, queued: 0 });
});

test('inserts have a minimum pause, and a query does not wait for it', async (t) => {
  const { log, clock } = openLog(t);
  log.acceptRecords([sampleRecord({ id: 'first' })]);
  await until(() => log.stats().written === 1, 'the first row is written');
  log.acceptRecords([sampleRecord({ id: 'second' })]);
  log.acceptRecords([sampleRecord({ id: 'third' })]);
  assert.equal(log.stats().queued, 2);
  assert.equal((await requestById(log, 'third'))?.id, 'third');
  log.acceptRecords([sampleRecord({ id: 'fourth' })]);
  assert.equal(log.stats().queued, 1);
  await clock.advance(500);
  await until(() => log.stats().written === 4, 'the fourth row is written');
});

test('no secret is in any column, with any data of clients and upstreams', async (t) => {
  const secrets = new SecretRegistry();
  const secret = 'tok"with\\quotes-93hd7';
  const plain = 'eyJhbGciOiJub25lIn0.c2VjcmV0LXRva2Vu.x';
  secrets.add(secret);
  secrets.add(plain);
  const { log, path } = openLog(t, { content: 'all' }, secrets);
  for (const value of [secret, plain]) {
    const attempt = {
      upstream: 'chat',
      outcome: 'auth_rejected',
      status: 401,
      elapsedMs: 1,
      tokenRenewed: false,
      detail: `sent ${value}`,
    } as const;
    log.acceptRecords([
      failedRecord({
        id: value,
        path: `/v1/${value}`,
        model: value,
        userAgent: value,
        errorMessage: `invalid key ${value}`,
        upstreamModel: value,
        attempts: [attempt],
        headers: { 'user-agent': value },
        body: JSON.stringify({ key: value }),
        response: `echo ${value}`,
      }),
    ]);
  }
  await log.close();
  for (const file of readdirSync(join(path, '..'))) {
    const bytes = readFileSync(join(path, '..', file)).toString('latin1');
    for (const value of [secret, plain, JSON.stringify(secret).slice(1, -1), '93hd7']) {
      assert.ok(!bytes.includes(value), `${file} holds ${value}`);
    }
  }
});

test('a secret of digits that also occurs in numbers loses no row', async (t) => {
  const secrets = new SecretRegistry();
  secrets.add('123456');
  secrets.add('null,null');
  const { log } = openLog(t, {}, secrets);
  log.acceptRecords([
    sampleRecord({ requestBytes: 9_123_456, userAgent: 'key 123456' }),
    sampleRecord({ id: 'other' }),
  ]);
  const found = await requestById(log, 'req_sample');
  assert.deepEqual([found?.requestBytes, found?.userAgent], [9_123_456, 'key [redacted]']);
  assert.equal((await requestById(log, 'other'))?.attempts.length, 1);
});

test('type none keeps nothing, makes no file and loses nothing', async (t) => {
  const { log, path } = openLog(t, { type: 'none' });
  log.acceptRecords([sampleRecord()]);
  assert.deepEqual(log.stats(), { written: 0, dropped: 0, queued: 0 });
  assert.deepEqual(await log.recent({}, { limit: 1 }), { requests: [], next: null });
  await log.close();
  assert.ok(!existsSync(path));
});

test('an open request log does not keep the process alive, and close writes before the process ends', async (t) => {
  const directory = temporaryDirectory(t);
  const script = (close: string) => `
    import { createRequestLog } from './src/request-log/request-log.ts';
    import { systemClock } from './src/lib/clock.ts';
    import { SecretRegistry } from './src/lib/secret.ts';
    import { sampleRecord } from './test/request-log/sample-record.ts';
    const log = createRequestLog(
      { type: 'sqlite', path: ${JSON.stringify(join(directory, 'db.sqlite'))}, queueRows: 10, retentionMs: 1e6, maxBodyBytes: 10 },
      { clock: systemClock, secrets: new SecretRegistry(), random: Math.random, onEvent: () => {} });
    log.acceptRecords([sampleRecord()]);
    ${close}`;
  const run = (code: string) =>
    promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', code], {
      timeout: 10_000,
    });
  await run(script(''));
  await run(script('await log.close(); console.log = () => {};'));
  const log = createRequestLog(
    { type: 'sqlite', path: join(directory, 'db.sqlite'), queueRows: 10, retentionMs: 0, maxBodyBytes: 10 },
    { clock: systemClock, secrets: new SecretRegistry(), random: Math.random, onEvent: () => {} },
  );
  t.after(() => log.close());
  assert.ok((await log.recent({}, { limit: 10 })).requests.length >= 1);
});

test('while pages search and sum, thousands of rows are written and none is lost', async (t) => {
  const { log, clock } = openLog(t);
  const models = ['gpt-4o', 'bge-m3', 'qwen3'];
  const accepted = 6_000;
  const asks: Promise<unknown>[] = [];
  const sinceMs = clock.wallMs() - (clock.wallMs() % 3_600_000);
  for (let batch = 0; batch < accepted / 100; batch++) {
    const records = Array.from({ length: 100 }, (_, index) =>
      sampleRecord({
        id: `req_${batch}_${index}`,
        createdAtMs: clock.wallMs() + batch,
        model: models[index % 3] ?? null,
      }),
    );
    log.acceptRecords(records);
    // Three pages; what they ask for is answered by another thread than the one that inserts.
    if (batch % 20 === 0)
      asks.push(
        log.recent({ model: 'bge-m3' }, { limit: 50, isBrief: true, budgetMs: 150 }),
        log.recent({ text: 'zebra' }, { limit: 50, isBrief: true, budgetMs: 150 }),
        log.series({ sinceMs, untilMs: sinceMs + 3_600_000, stepMs: 60_000, by: 'model' }),
      );
  }
  await Promise.all(asks);
  const sums = await log.series({ sinceMs, untilMs: sinceMs + 3_600_000, stepMs: 3_600_000, by: 'model' });
  assert.deepEqual(
    sums.map(({ key, requests }) => [key, requests]),
    [
      ['bge-m3', 1_980],
      ['gpt-4o', 2_040],
      ['qwen3', 1_980],
    ],
  );
  await log.close();
  assert.deepEqual(log.stats(), { written: accepted, dropped: 0, queued: 0 });
});
