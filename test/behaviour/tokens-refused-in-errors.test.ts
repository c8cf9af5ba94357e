import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn } from '../helpers/gateway.ts';
import type { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { ask, checkGood, KINDS } from './fault-rig.ts';
import { type TokenSceneOptions, withTokens } from './token-scene.ts';

/** A refusal that its status hides: gateways of many companies say 400, 403 or 500 and a number of their own. */
const REFUSAL = '{"code":40101,"msg":"token expired"}';
const NAMED = { reject: { body: { '/code': [40101] } } };

/** An upstream that says so of every token that `isGood` does not take. */
function refusingWith(status: number, isGood: (token: string, issuer: ScriptedIssuer) => boolean) {
  return {
    model: (issuer) => ({
      isLive: () => true,
      intercept: (request, response) => {
        if (isGood(request.token, issuer)) return false;
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(REFUSAL);
        return true;
      },
    }),
  } satisfies TokenSceneOptions;
}

for (const status of [400, 403, 500]) {
  test(`reject.body names a refused token behind a ${status}: it is renewed and the request replayed`, async () => {
    const options = refusingWith(status, (token, issuer) => issuer.isLive(token));
    await withTokens({ ...options, source: NAMED }, async ({ gateway, issuer }) => {
      for (const kind of KINDS) {
        await ask(gateway, kind, 'm');
        issuer.revokeAll();
        const calls = issuer.callCount;
        const { response, text } = await ask(gateway, kind, 'm');
        assert.equal(response.status, 200, text);
        checkGood(kind, text);
        assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
        assert.equal(issuer.callCount, calls + 1);
      }
    });
  });
}

for (const [what, status, source] of [
  ['reject.body behind a 400', 400, NAMED],
  ['reject.statuses with a 498', 498, { reject: { statuses: [401, 498] } }],
] as const) {
  test(`${what}, also of the renewed token, is the gateway's trouble and not the client's`, async () => {
    await withTokens({ ...refusingWith(status, () => false), source }, async ({ gateway }) => {
      for (const kind of KINDS) {
        const { response, text } = await ask(gateway, kind, 'm');
        assert.equal(response.status, 502, text);
        assert.equal(errorIn(text).code, 'upstream_auth_error');
        assert.equal(response.headers.get('x-should-retry'), 'false');
        const row = await gateway.rowOf(response.headers.get('x-request-id'));
        assert.deepEqual(
          row.attempts.map((attempt) => [attempt.outcome, attempt.status]),
          [['auth_rejected', status]],
        );
      }
    });
  });
}

test('an error that reject.body does not name keeps its own meaning', async () => {
  const source = { reject: { body: { '/code': [1] } } };
  await withTokens({ ...refusingWith(400, () => false), source }, async ({ gateway, issuer }) => {
    const { response, text } = await ask(gateway, 'chat', 'm');
    assert.equal(response.status, 400, text);
    assert.match(errorIn(text).message, /token expired/);
    assert.equal(issuer.callCount, 1);
  });
});
