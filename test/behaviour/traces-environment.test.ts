import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runService } from '../helpers/run-service.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { TraceCollector } from '../helpers/trace-collector.ts';

/** One chat at a gateway of its own process, which is ended after it. Returns its output. */
async function chatWith(
  tracing: object,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  await using model = await StandInModel.start();
  const service = await runService(
    { noauth: true, dbtype: 'none', tracing, upstreams: [{ name: 'chat', endpoint: model.url, sk: 'sk-1' }] },
    { env },
  );
  const response = await fetch(`${service.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }),
  });
  assert.equal(response.status, 200, await response.text());
  const exitCode = await service.stop();
  return { output: service.output, exitCode };
}

test('the standard variables give endpoint, headers and resource', async () => {
  await using collector = await TraceCollector.start();
  const { exitCode } = await chatWith(
    { otlp: 'env' },
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.endpoint}/base`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=key-of-the-collector',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_SERVICE_NAME: 'llm-gateway',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,service.version=7',
    },
  );
  assert.equal(exitCode, 0);
  const [request] = collector.requests;
  assert.equal(request?.path, '/base/v1/traces');
  assert.equal(request.headers['x-collector-key'], 'key-of-the-collector');
  assert.equal(request.headers['content-encoding'], 'gzip');
  const { 'service.name': name, 'service.version': version } = collector.resource;
  assert.deepEqual([name, version], ['llm-gateway', '7']);
  assert.equal(collector.resource['deployment.environment.name'], 'staging');
  assert.equal(collector.resource['telemetry.sdk.name'], 'opentelemetry');
});

test('the endpoint of the configuration wins over that of the environment', async () => {
  await using collector = await TraceCollector.start();
  await chatWith(
    { otlp: `${collector.endpoint}/v1/traces` },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' },
  );
  assert.deepEqual(
    collector.requests.map(({ path }) => path),
    ['/v1/traces'],
  );
});

test('the environment alone switches nothing on', async () => {
  await using collector = await TraceCollector.start();
  const { output } = await chatWith({}, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
  assert.deepEqual(collector.requests, []);
  assert.ok(!output.includes('trace_id'));
});

test('a collector that is away: one line in the log, and the exit is in time', async () => {
  const { output, exitCode } = await chatWith({ otlp: 'http://127.0.0.1:9' }, {});
  assert.equal(exitCode, 0);
  const lines = output.split('\n').filter((line) => line.includes('tracing:'));
  assert.equal(lines.length, 1, output);
  assert.match(lines[0] ?? '', /2 spans lost: .*(?:ECONNREFUSED|before the shutdown)/);
});
