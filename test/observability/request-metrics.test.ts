import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failedRecord, sampleRecord } from '../request-log/sample-record.ts';
import { ownMetrics, series } from './series.ts';

test('a batch of requests is counted by path, client, model, upstream, outcome and status', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([sampleRecord(), sampleRecord(), failedRecord()]);
  metrics.requests.acceptRecords([sampleRecord()]);
  const labels = 'path="/v1/chat/completions",client="ragflow",model="gpt-4o"';
  assert.deepEqual(await series(metrics, 'requests_total'), [
    `tokenferry_requests_total{${labels},upstream="chat",outcome="ok",status="200"} 3`,
    `tokenferry_requests_total{${labels},upstream="backup",outcome="upstream_error",status="502"} 1`,
  ]);
});

test('times go into histograms in seconds', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([
    sampleRecord({ elapsedMs: 1_500, overheadMs: 0.8, firstTokenMs: 400 }),
    failedRecord(),
  ]);
  const text = await metrics.text();
  const chat = 'path="/v1/chat/completions",model="gpt-4o",upstream="chat"';
  assert.ok(text.includes(`tokenferry_request_seconds_bucket{le="1",${chat}} 0`));
  assert.ok(text.includes(`tokenferry_request_seconds_bucket{le="2.5",${chat}} 1`));
  assert.ok(text.includes(`tokenferry_request_seconds_sum{${chat}} 1.5`));
  assert.ok(text.includes('tokenferry_first_token_seconds_sum{model="gpt-4o",upstream="chat"} 0.4'));
  assert.ok(text.includes('tokenferry_overhead_seconds_bucket{le="0.001",path="/v1/chat/completions"} 2'));
});

test('a histogram has the form that Prometheus demands: cumulated buckets up to +Inf, sum and count', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([0.4, 1.5, 70_000].map((overheadMs) => sampleRecord({ overheadMs })));
  const text = await metrics.text();
  const lines = text.split('\n').filter((line) => line.startsWith('tokenferry_overhead_seconds'));
  const bounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, '+Inf'];
  const counts = [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3];
  const path = 'path="/v1/chat/completions"';
  assert.deepEqual(lines, [
    ...bounds.map((le, at) => `tokenferry_overhead_seconds_bucket{le="${le}",${path}} ${counts[at]}`),
    `tokenferry_overhead_seconds_sum{${path}} ${0.0004 + 0.0015 + 70}`,
    `tokenferry_overhead_seconds_count{${path}} 3`,
  ]);
  assert.match(text, /^# TYPE tokenferry_overhead_seconds histogram$/m);
});

test('tokens are summed by client, model, upstream and kind, and a request without any adds nothing', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([sampleRecord(), sampleRecord({ completionTokens: null }), failedRecord()]);
  assert.deepEqual(await series(metrics, 'tokens_total'), [
    'tokenferry_tokens_total{client="ragflow",model="gpt-4o",upstream="chat",kind="prompt"} 400',
    'tokenferry_tokens_total{client="ragflow",model="gpt-4o",upstream="chat",kind="completion"} 100',
  ]);
});

test('every attempt counts, and a move to another upstream counts with its reason', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([failedRecord(), failedRecord(), sampleRecord()]);
  assert.deepEqual(await series(metrics, 'attempts_total'), [
    'tokenferry_attempts_total{upstream="chat",outcome="unreachable"} 2',
    'tokenferry_attempts_total{upstream="backup",outcome="auth_rejected"} 2',
    'tokenferry_attempts_total{upstream="chat",outcome="ok"} 1',
  ]);
  assert.deepEqual(await series(metrics, 'failovers_total'), [
    'tokenferry_failovers_total{from="chat",to="backup",reason="unreachable"} 2',
  ]);
});

test('a second try at the same upstream is no failover', async () => {
  const metrics = ownMetrics();
  const attempt = {
    upstream: 'chat',
    outcome: 'retryable_status',
    status: 503,
    elapsedMs: 1,
    tokenRenewed: false,
  } as const;
  metrics.requests.acceptRecords([
    sampleRecord({ attempts: [attempt, { ...attempt, outcome: 'ok', status: 200 }] }),
  ]);
  assert.deepEqual(await series(metrics, 'failovers_total'), []);
});

test('names that clients invent create no series: paths, unknown models, too many models', async () => {
  const metrics = ownMetrics();
  for (let count = 0; count < 2_000; count++) {
    metrics.requests.acceptRecords([
      sampleRecord({ path: `/v1/invented/${count}` }),
      sampleRecord({ model: `invented-${count}`, isKnownModel: false }),
      sampleRecord({ model: `gpt-${count}`, isKnownModel: true }),
    ]);
  }
  const lines = await series(metrics, 'requests_total');
  assert.ok(lines.length <= 503, String(lines.length));
  assert.ok(lines.some((line) => line.includes('path="other"') && line.endsWith(' 2000')));
  assert.ok(lines.some((line) => line.includes('model="other"') && line.endsWith(' 3501')));
});

test('a missing value is the label `none`', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([sampleRecord({ client: null, model: null, upstream: null, attempts: [] })]);
  const [line] = await series(metrics, 'requests_total');
  assert.match(line ?? '', /client="none",model="none",upstream="none"/);
});

test('durations that are no positive finite numbers do not throw', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([
    sampleRecord({ elapsedMs: Number.NaN, overheadMs: -5, firstTokenMs: Number.POSITIVE_INFINITY }),
  ]);
  assert.equal((await series(metrics, 'requests_total')).length, 1);
});

test('labels are escaped', async () => {
  const metrics = ownMetrics();
  metrics.requests.acceptRecords([sampleRecord({ model: 'a"b\\c\nd' })]);
  assert.match((await series(metrics, 'requests_total'))[0] ?? '', /model="a\\"b\\\\c\\nd"/);
});
