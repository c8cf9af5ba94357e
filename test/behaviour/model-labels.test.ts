import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

test('ids in paths of requests without a model do not use up the labels of models', async () => {
  await using model = await StandInModel.start({
    intercept: (request, response) => {
      if (request.method !== 'GET') return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"id":"file-1","object":"file"}');
      return true;
    },
  });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone' }],
  });
  // More than the names that are learned beside the configured ones.
  for (let count = 0; count < 210; count++) {
    const response = await fetch(`${gateway.url}/v1/files/file-${count}`);
    assert.equal(response.status, 200, await response.text());
  }
  const answer = await gateway.post('/v1/chat/completions', { model: 'real-model', messages: [] });
  assert.equal(answer.status, 200, await answer.text());
  const metrics = await gateway.metrics();
  assert.match(metrics, /tokenferry_requests_total\{[^}]*model="real-model"/);
  assert.doesNotMatch(metrics, /model="\/v1\/files/);
});
