import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { RequestRecord } from '../../src/lib/request-record.ts';
import { appendRow, type ColumnValue } from '../../src/request-log/request-row.ts';
import { type RequestStore, type RowBatch, StoreError } from '../../src/request-log/request-store.ts';
import { failedRecord, requestById, sampleRecord } from './sample-record.ts';

/** Opens an empty store; what it needs is gone after the test. */
export type OpenStore = (t: TestContext) => Promise<RequestStore>;

export function batchOf(records: readonly RequestRecord[]): RowBatch {
  const values: ColumnValue[] = [];
  for (const record of records) appendRow(values, record);
  return { rows: records.length, values: JSON.stringify(values).slice(1, -1) };
}

/** What every store promises. Each store's own test calls this once and adds what only it can do. */
export function storeContract(name: string, open: OpenStore): void {
  const contract = (title: string, run: (store: RequestStore) => Promise<void>) =>
    test(`${name}: ${title}`, async (t) => {
      const store = await open(t);
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });

  contract('gives back every field of a request as it was written', async (store) => {
    const record = failedRecord({
      id: 'req_all',
      headers: { 'user-agent': 'curl "8"', 'x-request-id': '7' },
      body: '{"emoji":"🙂","quote":"\\"","nul":"\\u0000"}',
      response: 'zeile\n\u2028zeile',
      isStream: true,
      model: 'ünïcode/模型',
      requestBytes: 5_000_000_000,
    });
    assert.deepEqual(await store.insert(batchOf([record])), { written: 1, refused: 0 });
    const { isKnownModel, overheadMs, isUsageEstimated, ...kept } = record;
    assert.deepEqual(await requestById(store, 'req_all'), kept);
    assert.deepEqual([isKnownModel, overheadMs, isUsageEstimated], [true, 0.8, false]);
  });

  contract('rounds times to whole milliseconds', async (store) => {
    const attempt = {
      upstream: 'chat',
      outcome: 'ok',
      status: 200,
      elapsedMs: 1.6,
      tokenRenewed: false,
    } as const;
    await store.insert(batchOf([sampleRecord({ elapsedMs: 1.5, firstTokenMs: 0.4, attempts: [attempt] })]));
    const found = await requestById(store, 'req_sample');
    assert.deepEqual([found?.elapsedMs, found?.firstTokenMs, found?.attempts[0]?.elapsedMs], [2, 0, 2]);
  });

  contract('returns nothing for an id that was never written', async (store) => {
    assert.equal(await requestById(store, 'req_none'), null);
    assert.deepEqual(await store.recent({}, { limit: 10 }), { requests: [], next: null });
  });

  contract('gives the newest of several requests with one id, since clients may repeat it', async (store) => {
    await store.insert(
      batchOf([sampleRecord({ createdAtMs: 2_000, model: 'new' }), sampleRecord({ createdAtMs: 1_000 })]),
    );
    assert.equal((await requestById(store, 'req_sample'))?.model, 'new');
  });

  contract('pages through all requests, newest first, without gap or repetition', async (store) => {
    // Pairs share a millisecond, and pages end in the middle of pairs.
    const records = Array.from({ length: 11 }, (_, index) =>
      sampleRecord({
        id: `req_${String(index).padStart(2, '0')}`,
        createdAtMs: 1_000 + Math.floor(index / 2),
      }),
    );
    await store.insert(batchOf(records));
    const seen: string[] = [];
    let page = await store.recent({}, { limit: 3 });
    for (;;) {
      seen.push(...page.requests.map((request) => request.id));
      if (page.next === null) break;
      page = await store.recent({}, { limit: 3, after: page.next });
    }
    assert.deepEqual(seen, records.map((record) => record.id).reverse());
  });

  contract(
    'filters by time, outcome, client, model, upstream, path and status, all together',
    async (store) => {
      await store.insert(
        batchOf([
          sampleRecord({ id: 'old', createdAtMs: 1_000 }),
          sampleRecord({ id: 'plain', createdAtMs: 2_000 }),
          sampleRecord({
            id: 'dify',
            createdAtMs: 2_000,
            client: 'dify',
            model: 'bge',
            path: '/v1/embeddings',
          }),
          failedRecord({ id: 'failed', createdAtMs: 3_000 }),
        ]),
      );
      const ids = async (filter: Parameters<RequestStore['recent']>[0]) =>
        (await store.recent(filter, { limit: 10 })).requests.map((request) => request.id);
      assert.deepEqual(await ids({ sinceMs: 2_000, untilMs: 3_000 }), ['plain', 'dify']);
      assert.deepEqual(await ids({ onlyFailed: true }), ['failed']);
      assert.deepEqual(await ids({ outcome: 'upstream_error', status: 502, upstream: 'backup' }), ['failed']);
      assert.deepEqual(await ids({ client: 'dify', model: 'bge', path: '/v1/embeddings' }), ['dify']);
      assert.deepEqual(await ids({ client: 'dify', onlyFailed: true }), []);
    },
  );

  contract(
    'finds the rare requests of a client, model or upstream in pages, however old they are',
    async (store) => {
      const nowMs = Date.now();
      const ages = [0, 50, 90, 3_700, 90_000, 200_000, 200_001, 3_000_000, 40_000_000];
      const rare = ages.map((ageSeconds, index) =>
        sampleRecord({
          id: `rare_${index}`,
          createdAtMs: nowMs - ageSeconds * 1_000,
          client: 'rare',
          model: 'rare-m',
        }),
      );
      const others = ages.flatMap((ageSeconds, index) =>
        [-1, 0, 1].map((offset) =>
          sampleRecord({ id: `other_${index}_${offset}`, createdAtMs: nowMs - ageSeconds * 1_000 + offset }),
        ),
      );
      await store.insert(batchOf([...rare, ...others]));
      for (const filter of [
        { client: 'rare' },
        { model: 'rare-m' },
        { client: 'rare', model: 'rare-m', upstream: 'chat' },
      ]) {
        const seen: string[] = [];
        let page = await store.recent(filter, { limit: 2 });
        for (;;) {
          seen.push(...page.requests.map(({ id }) => id));
          if (page.next === null) break;
          page = await store.recent(filter, { limit: 2, after: page.next });
        }
        assert.deepEqual(
          seen,
          rare.map(({ id }) => id),
        );
      }
      assert.deepEqual(await store.recent({ client: 'nobody' }, { limit: 2 }), { requests: [], next: null });
      const since = await store.recent({ client: 'rare', sinceMs: nowMs - 4_000_000 }, { limit: 9 });
      assert.deepEqual(
        since.requests.map(({ id }) => id),
        ['rare_0', 'rare_1', 'rare_2', 'rare_3'],
      );
    },
  );

  contract('looks for a text in any case, and takes its wildcards for text', async (store) => {
    await store.insert(
      batchOf([
        sampleRecord({ id: 'req_plain' }),
        failedRecord({ id: 'req_failed', errorMessage: 'Timeout of 100% (stream_timeout)' }),
      ]),
    );
    const ids = async (text: string) =>
      (await store.recent({ text }, { limit: 9 })).requests.map(({ id }) => id);
    assert.deepEqual(await ids('TIMEOUT OF'), ['req_failed']);
    assert.deepEqual(await ids('100%'), ['req_failed']);
    assert.deepEqual(await ids('100% (stream_'), ['req_failed']);
    assert.deepEqual(await ids('1_0'), []);
    assert.deepEqual(await ids('%zebra%'), []);
    assert.equal((await ids('REQ_')).length, 2);
  });

  contract('gives a brief page without headers and bodies', async (store) => {
    await store.insert(
      batchOf([sampleRecord({ body: 'asked', response: 'said', headers: { 'user-agent': 'curl' } })]),
    );
    const [brief] = (await store.recent({}, { limit: 1, isBrief: true })).requests;
    assert.deepEqual(
      [brief?.body, brief?.response, brief?.headers, brief?.model],
      [null, null, null, 'gpt-4o'],
    );
  });

  contract('a search without time left gives what it found and a cursor that goes on', async (store) => {
    const records = Array.from({ length: 2_010 }, (_, index) =>
      sampleRecord({
        id: `req_${String(index).padStart(5, '0')}`,
        createdAtMs: 1_000 + index,
        path: '/v1/embeddings',
      }),
    );
    const wanted = sampleRecord({ id: 'req_wanted', createdAtMs: 1_000, path: '/v1/rerank' });
    for (let at = 0; at < records.length; at += 1_000)
      await store.insert(batchOf(records.slice(at, at + 1_000)));
    await store.insert(batchOf([wanted]));
    const first = await store.recent({ text: 'rerank' }, { limit: 5, budgetMs: 0 });
    assert.deepEqual(first.requests, []);
    assert.ok(first.next !== null);
    assert.equal(first.searchedUntilMs, first.next.createdAtMs);
    const second = await store.recent({ text: 'rerank' }, { limit: 5, budgetMs: 0, after: first.next });
    assert.deepEqual(
      second.requests.map(({ id }) => id),
      ['req_wanted'],
    );
    assert.equal(second.next, null);
  });

  contract(
    'sums requests, errors, tokens and times by steps, and by client, model or upstream',
    async (store) => {
      const hourMs = 3_600_000;
      const beginMs = Math.floor(Date.now() / hourMs) * hourMs - 2 * hourMs;
      const at = (offsetMs: number, facts: Parameters<typeof sampleRecord>[0] = {}) =>
        sampleRecord({ createdAtMs: beginMs + offsetMs, ...facts });
      await store.insert(
        batchOf([at(0), at(59_999, { firstTokenMs: 100 }), at(60_000, { model: 'bge', firstTokenMs: null })]),
      );
      await store.insert(
        batchOf([
          failedRecord({ createdAtMs: beginMs + 61_000 }),
          at(hourMs, { client: null }),
          at(0, { path: '/unknown' }),
        ]),
      );
      const untilMs = beginMs + 2 * hourMs;
      const sums = await store.series({ sinceMs: beginMs, untilMs, stepMs: 60_000, by: 'none' });
      assert.deepEqual(sums, [
        {
          atMs: beginMs,
          key: '',
          requests: 2,
          errors: 0,
          promptTokens: 400,
          completionTokens: 200,
          firstTokens: 2,
          firstTokenMs: 600,
          elapsedMs: 1626,
        },
        {
          atMs: beginMs + 60_000,
          key: '',
          requests: 2,
          errors: 1,
          promptTokens: 200,
          completionTokens: 100,
          firstTokens: 0,
          firstTokenMs: 0,
          elapsedMs: 813 + failedRecord().elapsedMs,
        },
        {
          atMs: beginMs + hourMs,
          key: '',
          requests: 1,
          errors: 0,
          promptTokens: 200,
          completionTokens: 100,
          firstTokens: 1,
          firstTokenMs: 500,
          elapsedMs: 813,
        },
      ]);
      const byModel = await store.series({ sinceMs: beginMs, untilMs, stepMs: 2 * hourMs, by: 'model' });
      assert.deepEqual(
        byModel.map(({ key, requests }) => [key, requests]),
        [
          ['bge', 1],
          ['gpt-4o', 4],
        ],
      );
      const byClient = await store.series({
        sinceMs: beginMs,
        untilMs,
        stepMs: 2 * hourMs,
        by: 'client',
        model: 'gpt-4o',
      });
      assert.deepEqual(
        byClient.map(({ key, requests }) => [key, requests]),
        [
          ['', 1],
          ['ragflow', 3],
        ],
      );
      assert.deepEqual(await store.series({ sinceMs: 0, untilMs: 60_000, stepMs: 60_000, by: 'none' }), []);
    },
  );

  contract('finds requests by several conditions together, whichever of them is rare', async (store) => {
    const nowMs = Date.now();
    const at = (minutes: number, facts: Parameters<typeof sampleRecord>[0] = {}) =>
      sampleRecord({ createdAtMs: nowMs - minutes * 60_000, ...facts });
    const failed = { status: 429, outcome: 'rate_limited' as const, errorCode: 'rate_limit_exceeded' };
    await store.insert(
      batchOf([
        ...Array.from({ length: 200 }, (_, index) => at(index * 90, { id: `plain_${index}` })),
        at(5, { id: 'partial', status: 206 }),
        at(9_000, { id: 'old_partial', status: 206, client: 'dify' }),
        at(30, { id: 'limited', ...failed }),
        at(4_000, { id: 'limited_dify', client: 'dify', model: 'bge', ...failed }),
        at(5_000, { id: 'broken', outcome: 'stream_broken', client: 'dify' }),
        at(12_000, { id: 'dify_bge', client: 'dify', model: 'bge' }),
      ]),
    );
    const ids = async (filter: Parameters<RequestStore['recent']>[0]) =>
      (await store.recent(filter, { limit: 5 })).requests.map(({ id }) => id);
    assert.deepEqual(await ids({ status: 206 }), ['partial', 'old_partial']);
    assert.deepEqual(await ids({ status: 206, client: 'dify' }), ['old_partial']);
    assert.deepEqual(await ids({ status: 204 }), []);
    assert.deepEqual(await ids({ status: 429 }), ['limited', 'limited_dify']);
    assert.deepEqual(await ids({ status: 429, model: 'bge', upstream: 'chat' }), ['limited_dify']);
    assert.deepEqual(await ids({ status: 429, onlyFailed: true, client: 'ragflow' }), ['limited']);
    assert.deepEqual(await ids({ status: 206, onlyFailed: true }), []);
    assert.deepEqual(await ids({ status: 200, onlyFailed: true }), ['broken']);
    assert.deepEqual(await ids({ outcome: 'stream_broken', status: 200, client: 'dify' }), ['broken']);
    assert.deepEqual(await ids({ outcome: 'rate_limited', client: 'dify' }), ['limited_dify']);
    assert.deepEqual(await ids({ client: 'dify', model: 'bge' }), ['limited_dify', 'dify_bge']);
    assert.deepEqual(await ids({ client: 'dify', model: 'bge', onlyFailed: true }), ['limited_dify']);
    assert.deepEqual(await ids({ client: 'dify', model: 'gpt-4o', outcome: 'ok' }), ['old_partial']);
    assert.deepEqual(await ids({ client: 'dify', sinceMs: nowMs - 4_500 * 60_000 }), ['limited_dify']);
  });

  contract('sums by one name are those by all names together', async (store) => {
    const hourMs = 3_600_000;
    const beginMs = Math.floor(Date.now() / hourMs) * hourMs - hourMs;
    const names = ['a', 'b', 'c'];
    const records = Array.from({ length: 60 }, (_, index) =>
      sampleRecord({
        createdAtMs: beginMs + index * 61_000,
        client: names[index % 3] ?? null,
        model: names[index % 2] ?? null,
        upstream: index % 5 === 0 ? null : 'chat',
        promptTokens: index,
      }),
    );
    await store.insert(batchOf(records.slice(0, 25)));
    await store.insert(batchOf(records.slice(25)));
    const times = { sinceMs: beginMs, untilMs: beginMs + 2 * hourMs, stepMs: 2 * hourMs };
    const sumsOf = async (query: Partial<Parameters<RequestStore['series']>[0]>) =>
      (await store.series({ ...times, by: 'none', ...query })).map(({ key, requests, promptTokens }) => [
        key,
        requests,
        promptTokens,
      ]);
    const expected = (keep: (record: (typeof records)[number]) => boolean) => {
      const kept = records.filter(keep);
      return [kept.length, kept.reduce((sum, { promptTokens }) => sum + (promptTokens ?? 0), 0)];
    };
    assert.deepEqual(await sumsOf({}), [['', ...expected(() => true)]]);
    assert.deepEqual(await sumsOf({ client: 'b' }), [['', ...expected(({ client }) => client === 'b')]]);
    assert.deepEqual(await sumsOf({ by: 'upstream' }), [
      ['', ...expected(({ upstream }) => upstream === null)],
      ['chat', ...expected(({ upstream }) => upstream === 'chat')],
    ]);
    assert.deepEqual(await sumsOf({ by: 'model', model: 'a' }), [
      ['a', ...expected(({ model }) => model === 'a')],
    ]);
    assert.deepEqual(await sumsOf({ by: 'model', client: 'c' }), [
      ['a', ...expected(({ client, model }) => client === 'c' && model === 'a')],
      ['b', ...expected(({ client, model }) => client === 'c' && model === 'b')],
    ]);
  });

  contract('takes a filter as a value and never as SQL', async (store) => {
    await store.insert(batchOf([sampleRecord({ model: "'; DROP TABLE tokenferry_requests; --" })]));
    const filter = { model: "'; DROP TABLE tokenferry_requests; --" };
    assert.equal((await store.recent(filter, { limit: 5 })).requests.length, 1);
    assert.equal((await store.recent({ client: "' OR '1'='1" }, { limit: 5 })).requests.length, 0);
  });

  contract('gives at most 1000 requests a page and at least one, whatever is asked', async (store) => {
    await store.insert(
      batchOf(Array.from({ length: 1_100 }, (_, index) => sampleRecord({ id: `req_${index}` }))),
    );
    assert.equal((await store.recent({}, { limit: 1_000_000 })).requests.length, 1_000);
    assert.equal((await store.recent({}, { limit: -5 })).requests.length, 1);
  });

  contract('deletes the oldest first, no more than asked, and says how many', async (store) => {
    const records = [5, 3, 1, 4, 2].map((time) =>
      sampleRecord({ id: `at_${time}`, createdAtMs: time * 1_000 }),
    );
    await store.insert(batchOf(records));
    assert.equal(await store.deleteBefore(4_000, 2), 2);
    assert.deepEqual(
      (await store.recent({}, { limit: 9 })).requests.map((r) => r.id),
      ['at_5', 'at_4', 'at_3'],
    );
    assert.equal(await store.deleteBefore(4_000, 2), 1);
    assert.equal(await store.deleteBefore(4_000, 2), 0);
  });

  contract('rejects every call after close with a StoreError', async (store) => {
    await store.close();
    await store.close();
    const isStoreError = (error: unknown) => error instanceof StoreError;
    await assert.rejects(store.insert(batchOf([sampleRecord()])), isStoreError);
    await assert.rejects(requestById(store, 'req_sample'), isStoreError);
    await assert.rejects(store.recent({}, { limit: 1 }), isStoreError);
    await assert.rejects(store.deleteBefore(1, 1), isStoreError);
  });
}
