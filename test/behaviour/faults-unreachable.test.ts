import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import {
  httpAnswer,
  nonsense,
  RawUpstream,
  refusingUrl,
  resetAfterRequest,
  resetAtOnce,
  staleAfter,
} from '../helpers/raw-upstream.ts';
import { ask, LIMITS, type Outcome, testFault } from './fault-rig.ts';

const UNREACHABLE: Outcome = {
  status: 502,
  code: 'upstream_unreachable',
  type: 'upstream_error',
  attempt: 'unreachable',
  upstreamStatus: null,
  counts: 'cools_at_once',
  withinMs: 300,
};

testFault('an upstream that refuses connections', { endpoint: await refusingUrl() }, UNREACHABLE);

testFault('an upstream that resets connections at once', { script: () => resetAtOnce }, UNREACHABLE);

testFault(
  'an upstream that resets after it read the request',
  { script: () => resetAfterRequest },
  UNREACHABLE,
);

testFault(
  'an upstream that closes without a response',
  {
    script: () => async (connection) => {
      await connection.request();
      connection.end();
    },
  },
  UNREACHABLE,
);

testFault(
  'a name that does not resolve',
  { endpoint: 'http://no-such-host.invalid/v1' },
  { ...UNREACHABLE, withinMs: 2_000, says: /DNS/ },
);

const plain = await RawUpstream.start(nonsense);
testFault('an upstream without TLS', { endpoint: plain.tlsUrl }, { ...UNREACHABLE, says: /TLS/ });
test.after(() => plain.close());

// 192.0.2.0/24 (RFC 5737) is nobody's; where the network refuses it at once, that is unreachable just as well.
testFault(
  'an upstream that accepts no connection in time',
  { endpoint: 'http://192.0.2.1:9/v1', kinds: ['chat'] },
  { ...UNREACHABLE, withinMs: 1_200 },
);

const EMBEDDING = JSON.stringify({
  object: 'list',
  data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
  model: 'm',
  usage: { prompt_tokens: 1, total_tokens: 1 },
});

test('a pooled connection that was closed meanwhile causes no failure: the request is sent once more', async () => {
  await using upstream = await RawUpstream.start(staleAfter(httpAnswer(EMBEDDING)));
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: upstream.url, sk: 'key-of-lone', allow: ['alone'] }],
  });
  for (let asked = 0; asked < 4; asked++) {
    const { response, text } = await ask(gateway, 'embeddings', 'alone');
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
  }
  assert.deepEqual((await gateway.readiness()).degraded, []);
  assert.equal(upstream.connections, 4);
});

test('many pooled connections dropped at once cause no failure: the second try has a new connection', async () => {
  const many = 12;
  let arrived = 0;
  let letGo = (): void => undefined;
  const allThere = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  await using upstream = await RawUpstream.start(async (connection) => {
    await connection.request();
    arrived += 1;
    if (arrived === many) letGo();
    // Together, so that each of the first requests needs a connection of its own.
    await allThere;
    await connection.write(httpAnswer(EMBEDDING));
    await connection.request();
    connection.reset();
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: upstream.url, sk: 'key-of-lone', allow: ['alone'] }],
  });
  const askAll = () => Promise.all(Array.from({ length: many }, () => ask(gateway, 'embeddings', 'alone')));
  await askAll();
  for (const { response, text } of await askAll()) {
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
  }
  assert.deepEqual((await gateway.readiness()).degraded, []);
});
