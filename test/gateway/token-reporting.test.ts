import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenReporting } from '../../src/gateway/token-reporting.ts';
import type { Logger } from '../../src/observability/logger.ts';
import { Metrics } from '../../src/observability/metrics.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';

const QUESTION = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

test('#13 an upstream that rejects every token is one warning per token and an entry of degraded, not a line per request', async () => {
  await using issuer = await ScriptedIssuer.start();
  await using model = await StandInModel.start({ isLive: () => false });
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  for (let request = 0; request < 30; request++) {
    const response = await gateway.post('/v1/chat/completions', QUESTION);
    assert.equal(response.status, 502);
    await response.text();
  }
  const { degraded } = await gateway.readiness();
  assert.match(
    degraded.join('\n'),
    /^token corp: upstreams reject new tokens too\. Check the scope, the audience/m,
  );
  assert.equal(issuer.callCount, 2);
  await gateway.end();
  const warnings = gateway.log.split('\n').filter((line) => /"level":"warn".*"event":"rejected"/.test(line));
  assert.equal(warnings.length, 2, warnings.join('\n'));
});

test('#3 a failing source is a warning once and then every minute, and at once after a recovery', () => {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const note = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  const logger = {
    debug: () => {},
    info: note('info'),
    warn: note('warn'),
    error: note('error'),
  } as unknown as Logger;
  const reporting = new TokenReporting(logger, new Metrics({ hasProcessMetrics: false }), clock);
  let failures = 0;
  const fail = (severity: 'transient' | 'credentials' = 'transient') => {
    failures += 1;
    reporting.report({
      ...{ kind: 'renewal_failed', source: 'corp', reason: 'demand', durationMs: 1, severity, failures },
      ...{ message: `token_url: refused, trace ${failures}`, remainingMs: null, nextAttemptInMs: 4_000 },
    });
  };
  for (let second = 0; second < 180; second += 4) {
    fail();
    clock.stall(4_000);
  }
  assert.equal(lines.length, 3, lines.join('\n'));
  fail('credentials');
  assert.equal(lines.length, 4, 'another kind of failure is news');
  const acquired = { durationMs: 1, lifeMs: 300_000, isExpiryKnown: true, isSame: false, issuerSkewMs: null };
  reporting.report({ kind: 'acquired', source: 'corp', reason: 'demand', ...acquired });
  fail();
  assert.match(lines.at(-1) ?? '', /^warn corp: /);
});

test('a message of a source is logged after its name, which appears once', async () => {
  await using issuer = await ScriptedIssuer.start({ status: 503, body: 'away' });
  await using gateway = await Gateway.start({
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '100ms' } } },
    upstreams: [{ name: 'lone', endpoint: 'http://127.0.0.1:9', token: 'corp' }],
  });
  await until(() => gateway.log.includes('issuer has failed'), 'the first failure');
  const { degraded } = await gateway.readiness();
  assert.match(
    degraded.join('\n'),
    /^token corp: missing, \d failures?: token_url: refused with status 503: text of 4/m,
  );
  await gateway.end();
  assert.match(gateway.log, /corp: issuer has failed once \(token_url: refused with status 503: text of 4/);
});

test('#17 valid tokens that are revoked early are reported in degraded as shared credentials', async () => {
  await using issuer = await ScriptedIssuer.start();
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  const ask = async () => {
    const response = await gateway.post('/v1/chat/completions', QUESTION);
    await response.text();
    return response.status;
  };
  assert.equal(await ask(), 200);
  assert.deepEqual((await gateway.readiness()).degraded, []);
  for (let round = 0; round < 2; round++) {
    issuer.revokeAll();
    assert.equal(await ask(), 200);
  }
  assert.match(
    (await gateway.readiness()).degraded.join('\n'),
    /^token corp: 2 working tokens were rejected long before they expire: does another client use the same/m,
  );
});
