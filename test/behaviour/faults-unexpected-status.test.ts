import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { answering, giantHeaders, httpAnswer, RawUpstream, redirecting } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, KINDS, LIMITS, type Outcome, testFault } from './fault-rig.ts';

const ODD: Outcome = {
  status: 502,
  code: 'upstream_invalid_response',
  type: 'upstream_error',
  attempt: 'invalid_response',
  upstreamStatus: 599,
  counts: 'yes',
  withinMs: 300,
};

testFault('an unknown status', { script: () => answering(httpAnswer('{}', { status: 599 })) }, ODD);

testFault(
  'a redirect to another origin',
  { script: () => redirecting('http://elsewhere.invalid/v1/login') },
  { ...ODD, code: 'upstream_redirect', attempt: 'redirect', upstreamStatus: 302, shouldRetry: 'false' },
);

testFault(
  'something that is not HTTP',
  {
    script: () => async (connection) => {
      await connection.request();
      await connection.write('SSH-2.0-OpenSSH_9.6\r\n\r\n');
      connection.end();
    },
  },
  { ...ODD, upstreamStatus: null },
);

testFault(
  'headers larger than limits.header_bytes',
  { script: () => giantHeaders(100_000) },
  { ...ODD, upstreamStatus: null },
);

for (const kind of KINDS) {
  test(`${kind}: a redirect is never followed, so that the token is sent nowhere else`, async () => {
    await using target = await StandInModel.start();
    await using raw = await RawUpstream.start(redirecting(`${target.url}/chat/completions`, 307));
    await using gateway = await Gateway.start({
      ...LIMITS,
      upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
    });
    const { response } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 502);
    assert.equal(target.connections, 0);
  });
}

testFault(
  'a switch to another protocol (101)',
  {
    script: () =>
      answering('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
  },
  { ...ODD, upstreamStatus: null },
);

test('interim responses (100, 103) are skipped, requested or not', async () => {
  const body = JSON.stringify({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [1] }],
    model: 'm',
    usage: { prompt_tokens: 1, total_tokens: 1 },
  });
  const announced = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
  await using raw = await RawUpstream.start(async (connection) => {
    for (;;) {
      await connection.request();
      await connection.write(announced);
      await connection.write(`${announced}${httpAnswer(body)}`);
    }
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  for (let asked = 0; asked < 3; asked++) {
    const { response, text } = await ask(gateway, 'embeddings', 'm');
    assert.equal(response.status, 200, text);
  }
  assert.equal(raw.connections, 1, 'the connection is good for the next request');
});
