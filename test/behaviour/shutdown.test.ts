import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { errorIn } from '../helpers/gateway.ts';
import { exchangeRaw, RawClient, rawPost } from '../helpers/raw-client.ts';
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

test('S135 SIGTERM: a running stream finishes, new requests get 503 and a time to wait, exit 0', async () => {
  const words = 'one two three four five six '.repeat(5).trim();
  await using model = await StandInModel.start({ reply: words, wordDelayMs: 120 });
  const service = await runService(config(model.url));
  const kept = await RawClient.connect(service.port);
  kept.send('GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  assert.equal((await kept.answer()).status, 200);
  const response = await fetch(`${service.url}/v1/chat/completions`, STREAM);
  const reading = response.text();
  service.signal('SIGTERM');
  await drains(service.port);
  const asked = model.received.length;
  for (const client of [kept, await RawClient.connect(service.port)]) {
    client.send(rawPost('/v1/chat/completions', '{"model":"m","messages":[]}'));
    const refused = await client.answer();
    assert.equal(refused.status, 503, refused.text);
    assert.equal(errorIn(refused.body).code, 'shutting_down');
    assert.equal(refused.headers['retry-after'], '1');
    assert.equal(refused.headers.connection, 'close');
  }
  assert.equal(model.received.length, asked);
  const stream = checkCanonicalStream(await reading);
  assert.equal(stream.error, null);
  assert.equal(stream.choices[0]?.content, words);
  assert.equal((await service.exited()).code, 0, service.output);
  await assert.rejects(RawClient.connect(service.port), 'nobody listens any more');
  await service.stop();
});

/** Waits until `/readyz` says that the service drains, which it does for as long as requests run. */
async function drains(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { status, body } = await exchangeRaw(port, 'GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    if (status === 503 && body.includes('draining')) return;
  }
  assert.fail('it never drains');
}

test('S135 a stream that outlasts shutdown_grace ends with the error event, exit 0', async () => {
  await using model = await StandInModel.start({ reply: 'word '.repeat(500), wordDelayMs: 50 });
  const service = await runService(config(model.url, { shutdown_grace: '400ms' }));
  const response = await fetch(`${service.url}/v1/chat/completions`, STREAM);
  const startedMs = performance.now();
  service.signal('SIGTERM');
  const stream = checkCanonicalStream(await response.text());
  assert.equal(stream.error?.code, 'shutting_down');
  assert.equal((await service.exited()).code, 0);
  assert.ok(performance.now() - startedMs < 15_000);
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
  assert.ok(performance.now() - startedMs < 15_000);
  assert.notEqual(code, 0);
  await reading;
  await service.stop();
});
