import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { RawClient } from '../helpers/raw-client.ts';

test('requests that are refused before their body arrived leave no data on the connection', async () => {
  await using gateway = await Gateway.start({
    authorization: 'client-key',
    dbtype: 'none',
    upstreams: [{ name: 'one', endpoint: 'http://127.0.0.1:1/v1', sk: 'upstream-key' }],
  });
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const client = await RawClient.connect(gateway.port);
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n';
  // Node warns at the eleventh listener of one kind.
  for (let request = 0; request < 12; request++) {
    client.send(head);
    assert.equal((await client.answer()).status, 401);
    client.send('{}');
  }
  client.close();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  assert.deepEqual(
    warnings.map(({ message }) => message),
    [],
  );
});
