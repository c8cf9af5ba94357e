import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, LIMITS } from './fault-rig.ts';

test('#6 an issuer that is down for longer than a token’s lifetime: 503 with retry-after, nothing is sent without a token, recovery within 6 s', async () => {
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: 2_000 });
  await using model = await StandInModel.start({
    reply: 'all is well',
    isLive: (token) => issuer.isLive(token),
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '300ms' } } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  assert.equal((await ask(gateway, 'chat', 'm')).response.status, 200);
  issuer.defaults({ reset: 'before' });
  const awaySinceMs = performance.now();
  let refusals = 0;
  while (performance.now() - awaySinceMs < 6_000) {
    const { response, text, elapsedMs } = await ask(gateway, refusals % 2 === 0 ? 'chat' : 'stream', 'm');
    if (response.status !== 200) {
      refusals += 1;
      assert.equal(response.status, 503, text);
      assert.equal(errorIn(text).code, 'upstream_auth_unavailable');
      assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d?$/);
      assert.ok(elapsedMs < 300 + 5_000, `${elapsedMs} ms`);
    }
    await sleep(50);
  }
  assert.ok(refusals > 5, `${refusals} refusals`);
  assert.match((await gateway.readiness()).degraded.join(), /token corp: missing, \d+ failures?/);
  issuer.defaults({});
  const backSinceMs = performance.now();
  while ((await ask(gateway, 'chat', 'm')).response.status !== 200) await sleep(50);
  assert.ok(performance.now() - backSinceMs < 6_000, `${performance.now() - backSinceMs} ms`);
  assert.deepEqual(
    model.received.filter(({ token }) => token === ''),
    [],
  );
  assert.equal(model.refused, 0, 'no token was sent after its end');
  assert.match(
    gateway.log,
    /corp: issuer has failed \d+ times .*token still valid for|corp: no usable token/,
  );
});

test('#34 a token that expires in the middle of a stream does not affect it; the next request has the next token', async () => {
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: 600 });
  await using model = await StandInModel.start({
    reply: 'one two three four five six seven eight nine ten',
    wordDelayMs: 100,
    isLive: (token) => issuer.isLive(token),
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  const streaming = ask(gateway, 'stream', 'm');
  await until(() => model.received.length === 1, 'the stream began');
  const first = model.received[0]?.token ?? '';
  await until(() => !issuer.isLive(first), 'its token ended');
  assert.equal(model.open, 1, 'the stream goes on');
  const { response, text } = await ask(gateway, 'embeddings', 'm');
  assert.equal(response.status, 200, text);
  assert.notEqual(model.received[1]?.token, first);
  const streamed = await streaming;
  assert.equal(streamed.response.status, 200);
  checkCanonicalStream(streamed.text, { includeUsage: true });
  assert.match(streamed.text, /ten/);
  assert.equal(model.refused, 0);
});
