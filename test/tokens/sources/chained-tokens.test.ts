import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HttpSettings } from '../../../src/tokens/sources/http-request.ts';
import type { ChainedToken } from '../../../src/tokens/sources/token-source.ts';
import { ScriptedIssuer } from '../../helpers/scripted-issuer.ts';
import { makeSource } from '../../helpers/source-bench.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

/** The second step of a chain, and what it did with the tokens of the first. */
async function secondStep(t: TestContext, settings: Partial<HttpSettings> = {}) {
  const issuer = await ScriptedIssuer.start({ body: { token: 'abcdef' } });
  t.after(() => issuer.close());
  const clock = new VirtualClock();
  const log: string[] = [];
  let serial = 0;
  const chained = (): ChainedToken => {
    const token = `t${++serial}`;
    return {
      values: { token, sid: `s${serial}` },
      accept: () => void log.push(`accept ${token}`),
      refuse: () => void log.push(`refuse ${token}`),
      renew: async () => {
        log.push(`renew ${token}`);
        return chained();
      },
    };
  };
  const first = chained();
  const { acquire, failure } = makeSource(
    {
      type: 'http',
      url: `${issuer.origin}/{{urlencode(token)}}`,
      token: 'sso',
      chainedNames: ['sid'],
      headers: { 'X-Sid': '{{sid}}' },
      tokenAt: '/token',
      ...settings,
    },
    {
      clock,
      tokenOf: async (_, { force }) => {
        if (force) log.push('forced');
        return first;
      },
    },
  );
  return { issuer, clock, log, acquire, failure };
}

const REFUSED = { status: 401, body: { error: 'invalid_token' } };

test('a refused step renews the token before it and is repeated with its values', async (t) => {
  const { issuer, log, acquire } = await secondStep(t);
  issuer.script(REFUSED);
  assert.equal((await acquire()).value, 'abcdef');
  assert.deepEqual(log, ['renew t1', 'accept t2']);
  assert.deepEqual(
    issuer.calls.map(({ path, headers }) => [path, headers['x-sid']]),
    [
      ['/t1', 's1'],
      ['/t2', 's2'],
    ],
  );
});

test('a step that refuses the renewed token too renews no other one for five minutes, unless it succeeds meanwhile', async (t) => {
  const { issuer, clock, log, acquire, failure } = await secondStep(t);
  issuer.defaults(REFUSED);
  await failure();
  assert.deepEqual(log, ['renew t1', 'refuse t2']);
  await clock.advance(299_000);
  await failure();
  assert.equal(log.length, 2, log.join());
  await clock.advance(2_000);
  await failure();
  assert.deepEqual(log.slice(2), ['renew t1', 'refuse t3']);
  issuer.defaults({});
  await acquire();
  issuer.script(REFUSED);
  await acquire();
  assert.deepEqual(log.slice(4), ['accept t1', 'renew t1', 'accept t4']);
});

for (const [what, answer, isRefusal] of [
  ['a 404', { status: 404, body: 'no such ticket' }, true],
  ['a redirect', { status: 302, headers: { location: '/login' }, body: '' }, true],
  ['a 200 with a page', { headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>' }, true],
  ['a 200 without the token', { body: { code: 40101 } }, true],
  ['a 500', { status: 500, body: 'down' }, false],
  ['a 503', { status: 503 }, false],
  ['a 429', { status: 429 }, false],
] as const) {
  test(`${what} is ${isRefusal ? 'a' : 'no'} refusal of the token before`, async (t) => {
    const { issuer, log, acquire } = await secondStep(t);
    issuer.script(answer);
    await acquire().catch(() => undefined);
    assert.equal(log.includes('renew t1'), isRefusal, log.join());
  });
}

test('what `denied` names is a refusal with any status', async (t) => {
  const { issuer, log, acquire } = await secondStep(t, { denied: { status: 500 } });
  issuer.script({ status: 500, body: 'JWT expired' });
  await acquire();
  assert.deepEqual(log, ['renew t1', 'accept t2']);
});

test('a token that was renewed for a rejected one already is not renewed again when it is refused', async (t) => {
  const { issuer, log, failure } = await secondStep(t);
  issuer.defaults(REFUSED);
  await failure({ force: true, previousFingerprint: 'one' });
  assert.deepEqual(log, ['forced']);
});
