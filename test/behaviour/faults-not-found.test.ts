import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { answering, httpAnswer, RawUpstream } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, LIMITS, type Outcome, testFault } from './fault-rig.ts';

const NO_MODEL = httpAnswer(
  '{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":"model_not_found"}}',
  { status: 404 },
);
const NO_PATH = httpAnswer('<html><head><title>404 Not Found</title></head></html>', {
  status: 404,
  headers: { 'content-type': 'text/html' },
});

const MISSING_MODEL: Outcome = {
  status: 404,
  code: 'model_not_found',
  type: 'not_found_error',
  shouldRetry: 'false',
  attempt: 'model_not_found',
  upstreamStatus: 404,
  outcome: 'client_error',
  counts: 'no',
  withinMs: 300,
};

testFault('404 for the model', { script: () => answering(NO_MODEL) }, MISSING_MODEL);

testFault(
  '404 for the path',
  { script: () => answering(NO_PATH) },
  {
    ...MISSING_MODEL,
    status: 502,
    code: 'upstream_not_found',
    type: 'upstream_error',
    attempt: 'path_not_found',
    outcome: 'upstream_error',
    // Upstreams that only chat have no embeddings.
    counts: 'yes_for_chat',
  },
);

test('an upstream that does not have a model is called last for it, and for no other model', async () => {
  await using raw = await RawUpstream.start(answering(NO_MODEL));
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [
      { name: 'without', endpoint: raw.url, sk: 'key-of-first', allow: ['m', 'n'] },
      { name: 'with', endpoint: model.url, sk: 'key-of-second', allow: ['m', 'n'] },
    ],
  });
  const attempts: (string | null)[] = [];
  for (const name of ['m', 'm', 'm', 'n']) {
    const { response } = await ask(gateway, 'chat', name);
    assert.equal(response.status, 200);
    attempts.push(response.headers.get('x-tokenferry-attempts'));
  }
  assert.deepEqual(attempts, ['2', '1', '1', '2']);
});

test('404s on passed-through paths do not count against the upstream', async () => {
  await using raw = await RawUpstream.start(answering(NO_PATH));
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone' }],
  });
  for (let asked = 0; asked < 5; asked++) {
    const response = await fetch(`${gateway.url}/v1/files/file-${asked}`);
    await response.text();
    assert.ok(response.status === 404 || response.status === 502, String(response.status));
  }
  assert.deepEqual((await gateway.readiness()).degraded, []);
});

test("a file that an upstream does not have is a 404 with the upstream's message", async () => {
  await using raw = await RawUpstream.start(
    answering(
      httpAnswer(
        '{"error":{"message":"No such File object: file-1","type":"invalid_request_error","param":"id","code":null}}',
        {
          status: 404,
        },
      ),
    ),
  );
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone' }],
  });
  const response = await fetch(`${gateway.url}/v1/files/file-1`);
  const text = await response.text();
  assert.equal(response.status, 404, text);
  assert.match(text, /No such File object/);
});
