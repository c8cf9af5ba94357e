import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

test('tokens of 2 s at 50 requests a second: no failure, no rejection, no more issuer calls than allowed', async () => {
  const seconds = 10;
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: 2_000 });
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token), wordDelayMs: 5 });
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp', allow: ['m'] }],
  });
  const failures: string[] = [];
  const ask = async (index: number): Promise<void> => {
    const response =
      index % 3 === 0
        ? await gateway.post('/v1/embeddings', { model: 'm', input: `text ${index}` })
        : await gateway.post('/v1/chat/completions', {
            model: 'm',
            stream: index % 3 === 1,
            messages: [{ role: 'user', content: 'hello' }],
          });
    const text = await response.text();
    if (response.status !== 200 || text.includes('"error"')) failures.push(text);
  };
  const startedMs = performance.now();
  const requests: Promise<void>[] = [];
  for (let index = 0; index < seconds * 50; index++) {
    requests.push(ask(index));
    await sleep(Math.max(0, startedMs + (index + 1) * 20 - performance.now()));
  }
  await Promise.all(requests);
  const elapsedSeconds = (performance.now() - startedMs) / 1000;
  assert.deepEqual(failures, []);
  assert.equal(model.refused, 0);
  assert.ok(issuer.issuedCount >= elapsedSeconds / 2, 'tokens really ended meanwhile');
  const bound = elapsedSeconds / (0.4 * 2) + 2;
  assert.ok(issuer.callCount <= bound, `${issuer.callCount} calls, at most ${bound}`);
});

test('a token revoked during 50 requests: 50 times 401, one renewal, 50 successes', async () => {
  await using issuer = await ScriptedIssuer.start();
  const held: (() => void)[] = [];
  let isHolding = true;
  await using model = await StandInModel.start({
    reply: 'all is well',
    intercept: (request, response) => {
      if (!isHolding) return false;
      held.push(() => {
        response.writeHead(issuer.isLive(request.token) ? 500 : 401, { 'content-type': 'application/json' });
        response.end('{"error":{"message":"the access token has ended"}}');
      });
      if (held.length === 50) {
        isHolding = false;
        issuer.revoke(request.token);
        for (const refuse of held) refuse();
      }
      return true;
    },
  });
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp', allow: ['m'] }],
  });
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      index % 2 === 0
        ? gateway.post('/v1/embeddings', { model: 'm', input: 'a' })
        : gateway.post('/v1/chat/completions', { model: 'm', stream: index % 4 === 1, messages: [] }),
    ),
  );
  for (const response of answers) {
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.doesNotMatch(text, /"error"/);
  }
  assert.equal(held.length, 50);
  assert.equal(issuer.callCount, 2, 'the first token and one renewal');
  assert.equal(model.received.length, 100);
});

test('an issuer that is down at the start: the service starts, reports it, waits at most max_wait, and recovers', async () => {
  await using issuer = await ScriptedIssuer.start({ status: 503 });
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  await using gateway = await Gateway.start({
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '600ms' } } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp', allow: ['m'] }],
  });
  const body = { model: 'm', messages: [] };
  const startedMs = performance.now();
  const response = await gateway.post('/v1/chat/completions', body);
  const elapsedMs = performance.now() - startedMs;
  assert.equal(response.status, 503);
  assert.equal(errorIn(await response.text()).code, 'upstream_auth_unavailable');
  assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d?$/);
  assert.ok(elapsedMs < 600 + 5_000, `${elapsedMs} ms`);
  assert.match((await gateway.readiness()).degraded.join(), /token corp: missing/);
  issuer.defaults({ status: 200 });
  let status = 503;
  for (let tries = 0; tries < 20 && status !== 200; tries++) {
    const next = await gateway.post('/v1/chat/completions', body);
    await next.text();
    status = next.status;
    if (status !== 200) await sleep(200);
  }
  assert.equal(status, 200);
  assert.deepEqual((await gateway.readiness()).degraded, []);
  assert.equal(model.refused, 0);
});
