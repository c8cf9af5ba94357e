import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, KINDS, LIMITS } from './fault-rig.ts';

const dead = async (maxWait: string) => ({
  type: 'oauth2',
  token_url: `${await refusingUrl()}/token`,
  client_id: 'app',
  client_secret: 'secret-of-the-app',
  refresh: { max_wait: maxWait },
});

const failing = await StandInModel.start({
  intercept: (_request, response) => {
    response.writeHead(500, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"out of order"}}');
    return true;
  },
});
test.after(() => failing.close());

const good = await StandInModel.start();
test.after(() => good.close());

for (const kind of KINDS) {
  test(`${kind}: a candidate with a token is called at once, before one without`, async () => {
    await using gateway = await Gateway.start({
      ...LIMITS,
      tokens: { dead: await dead('10s') },
      upstreams: [
        { name: 'without', endpoint: good.url, token: 'dead', allow: ['m'] },
        { name: 'with', endpoint: good.url, sk: 'key-of-with', allow: ['m'] },
      ],
    });
    const { response, elapsedMs } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'with');
    assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
    assert.ok(elapsedMs < 5_000, `${elapsedMs} ms`);
  });

  test(`${kind}: nothing left: 503 upstream_auth_unavailable with retry-after, within max_wait`, async () => {
    await using gateway = await Gateway.start({
      ...LIMITS,
      tokens: { dead: await dead('700ms') },
      upstreams: [{ name: 'lone', endpoint: good.url, token: 'dead', allow: ['m'] }],
    });
    const before = good.received.length;
    const { response, text, elapsedMs } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 503, text);
    assert.equal(errorIn(text).code, 'upstream_auth_unavailable');
    assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d?$/);
    assert.ok(elapsedMs < 700 + 5_000, `${elapsedMs} ms`);
    assert.equal(good.received.length, before, 'never without a token');
    assert.equal(response.headers.get('x-tokenferry-attempts'), '0', 'no upstream was called');
    assert.equal(response.headers.get('x-tokenferry-upstream'), null);
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.deepEqual(
      row.attempts.map(({ outcome, status }) => ({ outcome, status })),
      [{ outcome: 'token_unavailable', status: null }],
    );
    const { status, degraded } = await gateway.readiness();
    assert.equal(status, 503, 'not ready before its only source has had a token');
    assert.ok(!degraded.some((one) => one.includes('cooling')), degraded.join());
    assert.match(degraded.join(), /token dead: missing/);
  });

  test(`#8 ${kind}: the issuer rejects the credentials: 503 at once with the reason, retries in the background`, async () => {
    const issuer = await ScriptedIssuer.start({
      status: 401,
      body: { error: 'invalid_client', error_description: 'unknown client' },
    });
    test.after(() => issuer.close());
    await using gateway = await Gateway.start({
      ...LIMITS,
      tokens: { corp: { ...(await dead('20s')), token_url: issuer.tokenUrl } },
      upstreams: [{ name: 'lone', endpoint: good.url, token: 'corp', allow: ['m'] }],
    });
    for (let request = 0; request < 3; request++) {
      const { response, text, elapsedMs } = await ask(gateway, kind, 'm');
      assert.equal(response.status, 503, text);
      assert.equal(response.headers.get('x-tokenferry-attempts'), '0');
      const { code, message } = errorIn(text);
      assert.equal(code, 'upstream_auth_unavailable');
      assert.match(message, /no token from "corp".*status 401 \(invalid_client: "unknown client"\)/);
      assert.match(message, /auth: tokens\.corp\.client_secret\./);
      assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d?$/);
      assert.ok(elapsedMs < 10_000, `${elapsedMs} ms`);
    }
    assert.ok(issuer.calls.length <= 2, `${issuer.calls.length} calls`);
    await gateway.end();
    assert.match(gateway.log, /no usable token, requests fail at once: issuer has failed once/);
    assert.match(gateway.log, /Check client_id, client_secret and auth: tokens\.corp\.client_secret\./);
  });

  test(`${kind}: of two candidates only the one that was called is an attempt, whatever came first`, async () => {
    for (const names of [
      ['called', 'without'],
      ['without', 'called'],
    ]) {
      await using gateway = await Gateway.start({
        ...LIMITS,
        retry: { same_upstream: 0 },
        tokens: { dead: await dead('300ms') },
        upstreams: names.map((name) =>
          name === 'called'
            ? { name, endpoint: failing.url, token: 'none', allow: ['m'] }
            : { name, endpoint: good.url, token: 'dead', allow: ['m'] },
        ),
      });
      const { response, text } = await ask(gateway, kind, 'm');
      assert.ok(response.status >= 500, text);
      assert.equal(response.headers.get('x-tokenferry-attempts'), '1', text);
      assert.equal(response.headers.get('x-tokenferry-upstream'), 'called');
      const row = await gateway.rowOf(response.headers.get('x-request-id'));
      assert.equal(row.attempts.length, 2, 'the record has both');
    }
  });

  test(`${kind}: max_wait is for all candidates together, not for each`, async () => {
    await using gateway = await Gateway.start({
      ...LIMITS,
      tokens: { one: await dead('3s'), two: await dead('3s'), three: await dead('3s') },
      upstreams: ['one', 'two', 'three'].map((token) => ({
        name: token,
        endpoint: good.url,
        token,
        allow: ['m'],
      })),
    });
    const { response, elapsedMs } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 503);
    assert.ok(elapsedMs < 3_000 + 5_000, `${elapsedMs} ms`);
  });

  test(`${kind}: the deadline bounds the wait for a token`, async () => {
    await using gateway = await Gateway.start({
      ...LIMITS,
      deadline: '300ms',
      tokens: { dead: await dead('20s') },
      upstreams: [{ name: 'lone', endpoint: good.url, token: 'dead', allow: ['m'] }],
    });
    const { response, elapsedMs } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 503);
    assert.ok(elapsedMs < 300 + 5_000, `${elapsedMs} ms`);
  });
}
