import assert from 'node:assert/strict';
import { test } from 'node:test';
import { samplerFromEnvironment } from '../../../src/observability/tracing/samplers.ts';
import { type SpanLoss, Tracing, tracesUrl } from '../../../src/observability/tracing/tracing.ts';
import { TraceCollector } from '../../helpers/trace-collector.ts';
import { until } from '../../helpers/until.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';
import { sampleRecord } from '../../request-log/sample-record.ts';

const REQUEST = {
  method: 'POST',
  path: '/v1/chat/completions',
  headers: {},
  createdAtMs: Date.UTC(2026, 0, 1),
  startedMonoMs: 0,
};

function open(endpoint: string): {
  readonly tracing: Tracing;
  readonly clock: VirtualClock;
  readonly losses: SpanLoss[];
  /** One request without attempts, which is one span. */
  trace(): void;
} {
  const clock = new VirtualClock();
  const losses: SpanLoss[] = [];
  const tracing = new Tracing({
    endpoint,
    version: '1.0.0',
    hostname: 'node-1',
    scheme: 'http',
    clock,
    scrub: (text) => text.replaceAll('living-secret', '[redacted]'),
    onLoss: (loss) => void losses.push(loss),
  });
  return {
    tracing,
    clock,
    losses,
    trace: () => tracing.begin(REQUEST)?.finish(sampleRecord({ model: 'living-secret' })),
  };
}

test('secrets in texts of clients are redacted', async () => {
  await using collector = await TraceCollector.start();
  const { tracing, trace } = open(collector.endpoint);
  trace();
  await tracing.close(10_000);
  assert.equal(collector.spans[0]?.attributes['tokenferry.model'], '[redacted]');
  assert.deepEqual(tracing.stats(), { exported: 1, dropped: 0 });
});

test('so many spans wait for a collector that hangs; the others are lost and reported once a minute', async () => {
  await using collector = await TraceCollector.start();
  collector.respond = () => undefined;
  const { tracing, clock, losses, trace } = open(collector.endpoint);
  for (let count = 0; count < 5_000; count++) trace();
  assert.deepEqual(tracing.stats(), { exported: 0, dropped: 5_000 - 4_096 });
  assert.deepEqual(losses, [{ spans: 1, reason: '4096 spans wait for the collector' }]);
  await clock.advance(61_000);
  trace();
  assert.deepEqual(losses[1], { spans: 5_000 - 4_096, reason: '4096 spans wait for the collector' });
  const closing = tracing.close(1_000);
  await until(() => collector.requests.length > 0, 'the first batch');
  await clock.advance(1_000);
  await closing;
  assert.equal(tracing.stats().dropped, 5_001);
});

test('a request to an open path is not traced', () => {
  const { tracing } = open('http://127.0.0.1:9');
  for (const path of ['/livez', '/metrics', '/v1/metrics'])
    assert.equal(tracing.begin({ ...REQUEST, path }), null);
});

test('the endpoint gets /v1/traces unless it has it', () => {
  const cases = {
    'http://collector:4318': 'http://collector:4318/v1/traces',
    'http://collector:4318/': 'http://collector:4318/v1/traces',
    'https://otlp.example/api/otel': 'https://otlp.example/api/otel/v1/traces',
    'https://otlp.example/v1/traces': 'https://otlp.example/v1/traces',
    'https://otlp.example/v1/traces/': 'https://otlp.example/v1/traces/',
    'https://otlp.example/x?tenant=1': 'https://otlp.example/x/v1/traces?tenant=1',
  };
  for (const [endpoint, url] of Object.entries(cases)) assert.equal(tracesUrl(endpoint), url);
});

test('the sampler is that of the environment, else parents decide and roots are sampled', () => {
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{}, /^ParentBased\{root=AlwaysOnSampler/],
    [{ OTEL_TRACES_SAMPLER: 'unknown' }, /^ParentBased\{root=AlwaysOnSampler/],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, /^AlwaysOffSampler/],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }, /^TraceIdRatioBased\{0\.25\}/],
    [
      { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '7' },
      /^ParentBased\{root=TraceIdRatioBased\{1\}/,
    ],
  ];
  for (const [env, name] of cases) assert.match(samplerFromEnvironment(env).toString(), name);
});
