import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../src/lib/secret.ts';
import { Metrics, type MetricsOptions } from '../../src/observability/metrics.ts';
import { failedRecord, sampleRecord } from '../request-log/sample-record.ts';

function quiet(options: MetricsOptions = {}): Metrics {
  return new Metrics({ hasProcessMetrics: false, ...options });
}

/** The lines of one metric, without comments. */
async function series(metrics: Metrics, name: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n');
  return lines.filter(
    (line) => line.startsWith(`tokenferry_${name}{`) || line.startsWith(`tokenferry_${name} `),
  );
}

test('a batch of requests is counted by path, client, model, upstream, outcome and status', async () => {
  const metrics = quiet();
  metrics.requests.acceptRecords([sampleRecord(), sampleRecord(), failedRecord()]);
  metrics.requests.acceptRecords([sampleRecord()]);
  const labels = 'path="/v1/chat/completions",client="ragflow",model="gpt-4o"';
  assert.deepEqual(await series(metrics, 'requests_total'), [
    `tokenferry_requests_total{${labels},upstream="chat",outcome="ok",status="200"} 3`,
    `tokenferry_requests_total{${labels},upstream="backup",outcome="upstream_error",status="502"} 1`,
  ]);
});

test('times go into histograms in seconds', async () => {
  const metrics = quiet();
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
  const metrics = quiet();
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

test('tokens are summed by client, model and kind, and what has none adds nothing', async () => {
  const metrics = quiet();
  metrics.requests.acceptRecords([sampleRecord(), sampleRecord({ completionTokens: null }), failedRecord()]);
  assert.deepEqual(await series(metrics, 'tokens_total'), [
    'tokenferry_tokens_total{client="ragflow",model="gpt-4o",kind="prompt"} 400',
    'tokenferry_tokens_total{client="ragflow",model="gpt-4o",kind="completion"} 100',
  ]);
});

test('every attempt counts, and a move to another upstream counts with its reason', async () => {
  const metrics = quiet();
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
  const metrics = quiet();
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

test('names that clients invent do not make series: paths, unknown models, too many models', async () => {
  const metrics = quiet();
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

test('what is missing has a label of its own', async () => {
  const metrics = quiet();
  metrics.requests.acceptRecords([sampleRecord({ client: null, model: null, upstream: null, attempts: [] })]);
  const [line] = await series(metrics, 'requests_total');
  assert.match(line ?? '', /client="none",model="none",upstream="none"/);
});

test('a clock that lies does not throw', async () => {
  const metrics = quiet();
  metrics.requests.acceptRecords([
    sampleRecord({ elapsedMs: Number.NaN, overheadMs: -5, firstTokenMs: Number.POSITIVE_INFINITY }),
  ]);
  assert.equal((await series(metrics, 'requests_total')).length, 1);
});

test('labels are escaped', async () => {
  const metrics = quiet();
  metrics.requests.acceptRecords([sampleRecord({ model: 'a"b\\c\nd' })]);
  assert.match((await series(metrics, 'requests_total'))[0] ?? '', /model="a\\"b\\\\c\\nd"/);
});

test('states are read when the text is made: inflight, upstreams, records, lost log lines', async () => {
  let upstreams = [{ upstream: 'chat', isUp: true, isCooling: false }];
  let written = 5;
  const metrics = quiet({
    upstreamGauges: () => upstreams,
    recordCounts: () => ({ written, dropped: 2, queued: 7 }),
    droppedLogLines: () => 3,
  });
  metrics.inflight(1);
  metrics.inflight(1);
  metrics.inflight(-1);
  assert.deepEqual(await series(metrics, 'inflight'), ['tokenferry_inflight 1']);
  assert.deepEqual(await series(metrics, 'upstream_up'), ['tokenferry_upstream_up{upstream="chat"} 1']);
  assert.deepEqual(await series(metrics, 'records_written_total'), ['tokenferry_records_written_total 5']);
  assert.deepEqual(await series(metrics, 'records_dropped_total'), ['tokenferry_records_dropped_total 2']);
  assert.deepEqual(await series(metrics, 'record_queue'), ['tokenferry_record_queue 7']);
  assert.deepEqual(await series(metrics, 'log_lines_dropped_total'), [
    'tokenferry_log_lines_dropped_total 3',
  ]);
  upstreams = [{ upstream: 'other', isUp: false, isCooling: true }];
  written = 6;
  assert.deepEqual(await series(metrics, 'upstream_up'), ['tokenferry_upstream_up{upstream="other"} 0']);
  assert.deepEqual(await series(metrics, 'upstream_cooling'), [
    'tokenferry_upstream_cooling{upstream="other"} 1',
  ]);
  assert.deepEqual(await series(metrics, 'records_written_total'), ['tokenferry_records_written_total 6']);
});

test('token sources show their life left and their state, and events are counted', async () => {
  let state = 'fresh';
  const metrics = quiet({
    tokenGauges: () => [
      {
        source: 'corp',
        remainingSeconds: 120.5,
        state,
        waiters: 2,
        served: { fresh: 9, renewing: 1, degraded: 0 },
      },
      { source: 'down', remainingSeconds: null, state: 'starved', consecutiveFailures: 4 },
    ],
  });
  metrics.tokens.acquired('corp', 'renewal', 'ok', 0.2);
  metrics.tokens.waited('corp', 1.5);
  metrics.tokens.rejected('corp', 401);
  metrics.tokens.replayed('corp', 'ok');
  metrics.tokens.sameReturned('corp');
  metrics.tokens.rejectedEarly('corp');
  metrics.tokens.clockJumped();
  metrics.tokens.issuerSkew('corp', -3);
  const text = await metrics.text();
  for (const line of [
    'token_remaining_seconds{source="corp"} 120.5',
    'token_remaining_seconds{source="down"} 0',
    'token_state{source="corp",state="fresh"} 1',
    'token_waiters{source="corp"} 2',
    'token_consecutive_failures{source="down"} 4',
    'token_served_total{source="corp",mode="fresh"} 9',
    'token_acquire_total{source="corp",trigger="renewal",outcome="ok"} 1',
    'token_acquire_seconds_sum{source="corp"} 0.2',
    'token_get_wait_seconds_count{source="corp"} 1',
    'token_rejections_total{source="corp",status="401"} 1',
    'token_replays_total{source="corp",outcome="ok"} 1',
    'token_same_returned_total{source="corp"} 1',
    'token_early_rejections_total{source="corp"} 1',
    'clock_jump_total 1',
    'issuer_clock_skew_seconds{source="corp"} -3',
  ]) {
    assert.ok(text.includes(`tokenferry_${line}\n`), line);
  }
  state = 'renewing';
  assert.deepEqual(
    (await series(metrics, 'token_state')).filter((line) => line.includes('corp')),
    ['tokenferry_token_state{source="corp",state="renewing"} 1'],
  );
});

test('a callback that throws costs its own gauge and not the page', async () => {
  const metrics = quiet({
    tokenGauges: () => {
      throw new Error('a manager is being replaced');
    },
  });
  metrics.requests.acceptRecords([sampleRecord()]);
  assert.equal((await series(metrics, 'requests_total')).length, 1);
});

test('reloads are counted by result, from zero', async () => {
  const metrics = quiet();
  metrics.configReloaded('failed');
  assert.deepEqual(await series(metrics, 'config_reload_total'), [
    'tokenferry_config_reload_total{result="ok"} 0',
    'tokenferry_config_reload_total{result="failed"} 1',
  ]);
});

test('what waits in a batch is counted before the text is made', async () => {
  const metrics: Metrics = quiet({ beforeText: () => metrics.requests.acceptRecords([sampleRecord()]) });
  assert.match((await series(metrics, 'requests_total'))[0] ?? '', / 1$/);
});

test('two instances do not share anything, and the process has its usual metrics', async () => {
  const first = new Metrics();
  const second = new Metrics();
  first.requests.acceptRecords([sampleRecord()]);
  assert.equal((await series(second, 'requests_total')).length, 0);
  const text = await second.text();
  assert.match(text, /^process_cpu_seconds_total /m);
  assert.match(text, /^nodejs_eventloop_lag_seconds /m);
  assert.match(second.contentType, /^text\/plain; version=0\.0\.4/);
});

test('no living secret is in the text, wherever a client put it', async () => {
  const secrets = new SecretRegistry();
  const secret = 'sk-secret"value\\93hd7';
  secrets.add(secret);
  const metrics = quiet({ secrets });
  const facts = { id: secret, path: `/v1/${secret}`, userAgent: secret, errorMessage: secret };
  metrics.requests.acceptRecords([
    sampleRecord({ ...facts, model: secret, isKnownModel: false }),
    sampleRecord({ ...facts, model: secret, isKnownModel: true }),
  ]);
  const text = await metrics.text();
  assert.ok(text.includes('model="[redacted]"'));
  assert.ok(!text.includes('93hd7'));
});
