import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { until } from '../helpers/gateway.ts';
import { runService } from '../helpers/run-service.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const STREAM = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'm', stream: true, messages: [] }),
};

const config = (url: string, more: object = {}) => ({
  dbtype: 'none',
  upstreams: [{ name: 'lone', endpoint: url, sk: 'key-of-lone', allow: ['m'] }],
  ...more,
});

test('SIGTERM: a running stream finishes, new requests are not served, exit 0', async () => {
  await using model = await StandInModel.start({ reply: 'one two three four five six', wordDelayMs: 120 });
  const service = await runService(config(model.url));
  const response = await fetch(`${service.url}/v1/chat/completions`, STREAM);
  const reading = response.text();
  service.signal('SIGTERM');
  await until(() => service.output.length > 0, 'it hears');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const refused = await fetch(`${service.url}/v1/models`, { headers: { connection: 'close' } }).then(
    ({ status }) => status,
    () => 0,
  );
  assert.ok(refused === 0 || refused === 503, String(refused));
  const stream = checkCanonicalStream(await reading);
  assert.equal(stream.error, null);
  assert.equal(stream.choices[0]?.content, 'one two three four five six');
  assert.equal((await service.exited()).code, 0, service.output);
  await service.stop();
});

test('a stream that outlasts shutdown_grace ends with the error event, exit 0', async () => {
  await using model = await StandInModel.start({ reply: 'word '.repeat(500), wordDelayMs: 50 });
  const service = await runService(config(model.url, { shutdown_grace: '400ms' }));
  const response = await fetch(`${service.url}/v1/chat/completions`, STREAM);
  const startedMs = performance.now();
  service.signal('SIGTERM');
  const stream = checkCanonicalStream(await response.text());
  assert.equal(stream.error?.code, 'shutting_down');
  assert.equal((await service.exited()).code, 0);
  assert.ok(performance.now() - startedMs < 3_000);
  await service.stop();
});

test('a second signal ends at once', async () => {
  await using model = await StandInModel.start({ reply: 'word '.repeat(500), wordDelayMs: 50 });
  const service = await runService(config(model.url, { shutdown_grace: '20s' }));
  const response = await fetch(`${service.url}/v1/chat/completions`, STREAM);
  const reading = response.text().catch(() => 'cut');
  service.signal('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 150));
  const startedMs = performance.now();
  service.signal('SIGTERM');
  const { code } = await service.exited();
  assert.ok(performance.now() - startedMs < 1_000);
  assert.notEqual(code, 0);
  await reading;
  await service.stop();
});
