import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { describeListening } from '../../src/gateway/http-server.ts';
import { Gateway } from '../helpers/gateway.ts';

test('every interface: the URL that another machine uses and that of this one', () => {
  for (const host of ['', '0.0.0.0', '::']) {
    assert.equal(
      describeListening({ host, port: 8888 }, 'http', ''),
      `listening on port 8888 of every interface: http://${hostname()}:8888/v1 from other machines, http://127.0.0.1:8888/v1 from this one`,
    );
  }
});

test('a loopback address is for this machine only; another one is named as it is, with the base path', () => {
  for (const [host, url] of [
    ['127.0.0.1', 'http://127.0.0.1:8888'],
    ['localhost', 'http://localhost:8888'],
    ['::1', 'http://[::1]:8888'],
  ] as const)
    assert.equal(
      describeListening({ host, port: 8888 }, 'http', ''),
      `listening on ${url}/v1, for this machine only`,
    );
  assert.equal(
    describeListening({ host: '10.0.0.5', port: 80 }, 'https', '/agent/llm'),
    'listening on https://10.0.0.5:80/agent/llm/v1',
  );
});

test('a start without client keys warns that only this machine can connect; one with keys or noauth does not', async () => {
  const upstreams = [{ endpoint: 'http://127.0.0.1:9/v1', token: 'none' }];
  for (const [config, isWarned] of [
    [{ upstreams }, true],
    [{ upstreams, authorization: 'a-key' }, false],
    [{ upstreams, noauth: true }, false],
    [{ upstreams, clients: [{ name: 'ragflow', key: 'a-key' }] }, false],
  ] as const) {
    await using gateway = await Gateway.start(config);
    await gateway.end();
    assert.equal(gateway.log.includes('no client keys: only this machine can connect.'), isWarned);
    assert.match(gateway.log, /listening on http:\/\/127\.0\.0\.1:\d+\/v1, for this machine only/);
  }
});
