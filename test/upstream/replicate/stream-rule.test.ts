import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStreamAllowed, pathBelow } from '../../../src/upstream/replicate/stream-rule.ts';

const allowed = (stream: string, endpoint: string): boolean =>
  isStreamAllowed(new URL(stream), new URL(endpoint));

test('a stream of Replicate may be at another host of replicate.com, over HTTPS', () => {
  const endpoint = 'https://api.replicate.com/v1';
  assert.ok(allowed('https://stream.replicate.com/v1/files/abc', endpoint));
  assert.ok(allowed('https://streaming.api.replicate.com/v1/p/abc', endpoint));
  for (const url of [
    'http://stream.replicate.com/x',
    'https://stream.replicate.com:8443/x',
    'https://replicate.com.evil.example/x',
    'https://evilreplicate.com/x',
    'https://169.254.169.254/latest',
    'https://user@stream.replicate.com/x',
  ])
    assert.ok(!allowed(url, endpoint), url);
});

test('a stream elsewhere is requested at the endpoint’s own origin alone', () => {
  const endpoint = 'http://10.0.0.1:9000/v1';
  assert.ok(allowed('http://10.0.0.1:9000/streams/1', endpoint));
  for (const url of ['http://10.0.0.1:9001/x', 'http://10.0.0.2:9000/x', 'https://stream.replicate.com/x'])
    assert.ok(!allowed(url, endpoint), url);
});

test('a URL of a prediction is requested with credentials only below the endpoint', () => {
  const endpoint = new URL('http://10.0.0.1:9000/v1/');
  assert.equal(pathBelow('http://10.0.0.1:9000/v1/predictions/1/cancel', endpoint), '/predictions/1/cancel');
  for (const url of [
    null,
    'predictions/1',
    'http://10.0.0.1:9000/v10/predictions/1',
    'http://10.0.0.1:9000/v1/../admin',
    'http://10.0.0.1:9001/v1/predictions/1',
    'https://10.0.0.1:9000/v1/predictions/1',
    'http://a:b@10.0.0.1:9000/v1/predictions/1',
  ])
    assert.equal(pathBelow(url, endpoint), null, String(url));
});
