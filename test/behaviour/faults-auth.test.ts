import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { answering, httpAnswer, type RawScript, RawUpstream } from '../helpers/raw-upstream.ts';
import type { StandInOptions } from '../helpers/stand-in-model.ts';
import { ask, checkGood, KINDS, LIMITS, type Outcome, testFault } from './fault-rig.ts';
import { withTokens } from './token-scene.ts';

const refusing = (status: number): RawScript =>
  answering(
    httpAnswer(
      '{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}',
      {
        status,
        headers: { 'www-authenticate': 'Bearer realm="inside"' },
      },
    ),
  );

const REFUSED: Outcome = {
  status: 502,
  code: 'upstream_auth_error',
  type: 'upstream_error',
  shouldRetry: 'false',
  attempt: 'auth_rejected',
  upstreamStatus: 401,
  counts: 'yes',
  withinMs: 300,
};

testFault('status 401 for a static key', { script: () => refusing(401) }, REFUSED);

testFault(
  'status 403',
  { script: () => answering(httpAnswer('{"error":{"message":"not for you"}}', { status: 403 })) },
  { ...REFUSED, attempt: 'forbidden', upstreamStatus: 403, counts: 'no' },
);

for (const status of [401, 403]) {
  testFault(
    `status ${status} under sk: asis`,
    { script: () => refusing(status), upstream: { sk: 'asis' } },
    {
      status,
      code: 'invalid_api_key',
      shouldRetry: 'false',
      says: /^Incorrect API key provided/,
      attempt: 'auth_passed_through',
      upstreamStatus: status,
      outcome: 'client_error',
      nextCandidate: false,
      counts: 'no',
      withinMs: 300,
    },
  );
}

for (const kind of KINDS) {
  test(`${kind}: a 401 renews the token and replays once, within the same attempt`, async () => {
    await withTokens({}, async ({ gateway, issuer, model }) => {
      await ask(gateway, kind, 'm');
      issuer.revokeAll();
      const { response, text } = await ask(gateway, kind, 'm');
      assert.equal(response.status, 200, text);
      checkGood(kind, text);
      assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
      assert.equal(model.refused, 1);
      assert.equal(issuer.callCount, 2);
      const row = await gateway.rowOf(response.headers.get('x-request-id'));
      assert.deepEqual(
        row.attempts.map(({ outcome, token_renewed }) => ({ outcome, token_renewed })),
        [{ outcome: 'ok', token_renewed: true }],
      );
    });
  });

  test(`${kind}: a renewed token that is rejected too is 502 upstream_auth_error after one replay`, async () => {
    await withTokens({ model: () => ({ isLive: () => false }) }, async ({ gateway, issuer, model }) => {
      const { response, text } = await ask(gateway, kind, 'm');
      assert.equal(response.status, 502, text);
      assert.equal(errorIn(text).code, 'upstream_auth_error');
      assert.equal(response.headers.get('x-should-retry'), 'false');
      assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
      assert.equal(model.refused, 2, 'the request and its one replay');
      assert.equal(issuer.callCount, 2);
    });
  });
}

test('a 403 that reject names is a rejected token: renewed and replayed', async () => {
  let refusals = 0;
  const intercept: StandInOptions['intercept'] = (_request, response) => {
    if (refusals > 0) return false;
    refusals += 1;
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"token expired"}}');
    return true;
  };
  const source = { reject: { statuses: [401, 403] } };
  await withTokens(
    { source, model: () => ({ isLive: () => true, intercept }) },
    async ({ gateway, issuer }) => {
      const { response, text } = await ask(gateway, 'chat', 'm');
      assert.equal(response.status, 200, text);
      assert.equal(issuer.callCount, 2);
    },
  );
});

test('a client never sees the headers with which an upstream asks for credentials', async () => {
  await using upstream = await RawUpstream.start(refusing(401));
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: upstream.url, sk: 'asis', allow: ['m'] }],
  });
  const { response } = await ask(gateway, 'chat', 'm');
  assert.equal(response.headers.get('www-authenticate'), null);
});
