import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../src/lib/secret.ts';
import { Metrics } from '../../src/observability/metrics.ts';
import { sampleRecord } from '../request-log/sample-record.ts';
import { ownMetrics, series } from './series.ts';

test('states are read when the text is made: inflight, upstreams, records, lost log lines', async () => {
  let upstreams = [
    { upstream: 'chat', isUp: true, isCooling: false, waiting: 0, rates: [{ model: 'm', perSecond: 3 }] },
  ];
  let written = 5;
  const metrics = ownMetrics({
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
  upstreams = [{ upstream: 'other', isUp: false, isCooling: true, waiting: 2, rates: [] }];
  written = 6;
  assert.deepEqual(await series(metrics, 'upstream_up'), ['tokenferry_upstream_up{upstream="other"} 0']);
  assert.deepEqual(await series(metrics, 'upstream_cooling'), [
    'tokenferry_upstream_cooling{upstream="other"} 1',
  ]);
  assert.deepEqual(await series(metrics, 'records_written_total'), ['tokenferry_records_written_total 6']);
});

test('token sources show their remaining lifetime and their state, and events are counted', async () => {
  let state = 'fresh';
  const metrics = ownMetrics({
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

test('a callback that throws loses its own gauge and not the whole text', async () => {
  const metrics = ownMetrics({
    tokenGauges: () => {
      throw new Error('a manager is being replaced');
    },
  });
  metrics.requests.acceptRecords([sampleRecord()]);
  assert.equal((await series(metrics, 'requests_total')).length, 1);
});

test('reloads are counted by result, from zero', async () => {
  const metrics = ownMetrics();
  metrics.configReloaded('failed');
  assert.deepEqual(await series(metrics, 'config_reload_total'), [
    'tokenferry_config_reload_total{result="ok"} 0',
    'tokenferry_config_reload_total{result="failed"} 1',
  ]);
});

test('records that wait in a batch are counted before the text is made', async () => {
  const metrics: Metrics = ownMetrics({ beforeText: () => metrics.requests.acceptRecords([sampleRecord()]) });
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

test('no secret is in the text, wherever a client put it', async () => {
  const secrets = new SecretRegistry();
  const secret = 'sk-secret"value\\93hd7';
  secrets.add(secret);
  const metrics = ownMetrics({ secrets });
  const facts = { id: secret, path: `/v1/${secret}`, userAgent: secret, errorMessage: secret };
  metrics.requests.acceptRecords([
    sampleRecord({ ...facts, model: secret, isKnownModel: false }),
    sampleRecord({ ...facts, model: secret, isKnownModel: true }),
  ]);
  const text = await metrics.text();
  assert.ok(text.includes('model="[redacted]"'));
  assert.ok(!text.includes('93hd7'));
});
