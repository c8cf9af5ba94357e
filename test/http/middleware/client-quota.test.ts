import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientQuotas } from '../../../src/http/middleware/client-quota.ts';
import type { ClientIdentity } from '../../../src/routing/routed-request.ts';
import { errorIn, Gateway, until } from '../../helpers/gateway.ts';
import { StandInModel, type StandInOptions } from '../../helpers/stand-in-model.ts';

/** A gateway with the client `limited` (key `k-limited`) and a client without limits (key `k-free`). */
async function withClients(
  limits: object,
  use: (gateway: Gateway, model: StandInModel) => Promise<void>,
  options: StandInOptions = {},
  config: object = {},
): Promise<void> {
  await using model = await StandInModel.start(options);
  await using gateway = await Gateway.start({
    clients: [
      { name: 'limited', key: 'k-limited', ...limits },
      { name: 'free', key: 'k-free' },
    ],
    upstreams: [{ name: 'only', endpoint: model.url, sk: 'upstream-key' }],
    ...config,
  });
  await use(gateway, model);
}

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };

function chat(gateway: Gateway, key: string, extra: object = {}, init: RequestInit = {}): Promise<Response> {
  return gateway.post(
    '/v1/chat/completions',
    { ...CHAT, ...extra },
    { ...init, headers: { authorization: `Bearer ${key}` } },
  );
}

async function refused(response: Response, says: RegExp): Promise<void> {
  const text = await response.text();
  assert.equal(response.status, 429, text);
  const error = errorIn(text);
  assert.equal(error.code, 'rate_limit_exceeded');
  assert.equal(error.type, 'rate_limit_error');
  assert.match(error.message, says);
}

function limitsTold(response: Response, kind: 'requests' | 'tokens'): (string | null)[] {
  return ['limit', 'remaining', 'reset'].map((what) => response.headers.get(`x-ratelimit-${what}-${kind}`));
}

test('a client gets rpm requests a minute and 429 with the time to wait after them', async () => {
  await withClients({ rpm: 2 }, async (gateway, model) => {
    const first = await chat(gateway, 'k-limited');
    assert.equal(first.status, 200);
    assert.deepEqual(limitsTold(first, 'requests'), ['2', '1', '60s']);
    assert.deepEqual(limitsTold(first, 'tokens'), [null, null, null]);
    await first.text();
    await (await chat(gateway, 'k-limited', { stream: true })).text();
    const third = await chat(gateway, 'k-limited');
    assert.equal(limitsTold(third, 'requests')[1], '0');
    const retryAfter = Number(third.headers.get('retry-after'));
    assert.ok(retryAfter > 50 && retryAfter <= 60, String(retryAfter));
    assert.ok(Number(third.headers.get('retry-after-ms')) <= retryAfter * 1000);
    await refused(third, /limited" is limited to 2 requests a minute \(rpm\)/);
    assert.equal(model.received.length, 2, 'the refused request reached no upstream');
    const row = await gateway.rowOf(third.headers.get('x-request-id'));
    assert.equal(row.outcome, 'rate_limited');
    assert.equal(row.client, 'limited');
    const other = await chat(gateway, 'k-free');
    assert.equal(other.status, 200, 'the limit is that of one client');
    assert.deepEqual(limitsTold(other, 'requests'), [null, null, null]);
    await other.text();
  });
});

test('lists of models do not count against the limits', async () => {
  await withClients({ rpm: 1 }, async (gateway) => {
    await (await chat(gateway, 'k-limited')).text();
    const models = await fetch(`${gateway.url}/v1/models`, {
      headers: { authorization: 'Bearer k-limited' },
    });
    assert.equal(models.status, 200);
    await models.text();
  });
});

for (const stream of [false, true]) {
  const how = stream ? 'stream that did not ask for it' : 'whole answer';
  test(`tokens a minute are counted from the usage of a ${how}`, async () => {
    await withClients(
      { tpm: 5 },
      async (gateway) => {
        const first = await chat(gateway, 'k-limited', { stream });
        assert.equal(first.status, 200);
        assert.deepEqual(limitsTold(first, 'tokens'), ['5', '5', '0s']);
        const text = await first.text();
        if (stream) assert.doesNotMatch(text, /"usage":\{/, 'usage is taken out again for the client');
        const second = await chat(gateway, 'k-limited', { stream });
        assert.equal(limitsTold(second, 'tokens')[1], '0');
        await refused(second, /5 tokens a minute \(tpm\)/);
      },
      { reply: 'six words that are far too many' },
      { dbtype: 'none' },
    );
  });
}

test('a stream whose client disconnected counts the tokens up to then', async () => {
  await withClients(
    { tpm: 3 },
    async (gateway, model) => {
      const leaving = new AbortController();
      const first = await chat(gateway, 'k-limited', { stream: true }, { signal: leaving.signal });
      const reader = first.body?.getReader();
      for (let words = 0; words < 5; words++) await reader?.read();
      leaving.abort();
      await until(() => model.aborted === 1, 'the upstream call ends');
      await refused(await chat(gateway, 'k-limited'), /tpm/);
    },
    { reply: 'one two three four five six seven eight nine ten', wordDelayMs: 20 },
  );
});

test('max_concurrency requests run at once; the slot of a finished or disconnected one is free again', async () => {
  await withClients(
    { max_concurrency: 1 },
    async (gateway, model) => {
      const running = chat(gateway, 'k-limited');
      await until(() => model.open === 1, 'the first one runs');
      await refused(await chat(gateway, 'k-limited'), /limited to 1 request at once \(max_concurrency\)/);
      assert.equal((await running).status, 200);
      const leaving = new AbortController();
      const left = chat(gateway, 'k-limited', {}, { signal: leaving.signal }).catch(() => null);
      await until(() => model.open === 1, 'the next one runs');
      leaving.abort();
      await left;
      await until(() => model.aborted === 1, 'its upstream call ends');
      assert.equal((await chat(gateway, 'k-limited')).status, 200);
    },
    { firstDelayMs: 400 },
  );
});

test('a limited client gets its own limits in the headers, not those of the upstream', async () => {
  await withClients(
    { rpm: 7 },
    async (gateway) => {
      const init = { headers: { authorization: 'Bearer k-limited' } };
      const limited = await gateway.post('/v1/moderations', { model: 'm', input: 'x' }, init);
      await limited.text();
      assert.deepEqual(limitsTold(limited, 'requests'), ['7', '6', '60s']);
    },
    {
      intercept: (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'x-ratelimit-limit-requests': '5000' });
        response.end('{}');
        return true;
      },
    },
  );
});

test('new limits keep what was used, and clients without limits have no quota', () => {
  const identity = (name: string | null): ClientIdentity => ({
    name,
    user: null,
    keyDigest: null,
    isGlobal: true,
    mayUseModel: () => true,
    mayUsePath: () => true,
  });
  const limits = new ClientQuotas();
  const settings = { requestsPerMinute: 1, tokensPerMinute: 0, concurrency: 0 };
  assert.equal(limits.of(identity('a')), null);
  limits.update(new Map([['a', settings]]));
  const quota = limits.of(identity('a'));
  assert.notEqual(quota, null);
  assert.equal(limits.of(identity('b')), null);
  assert.equal(limits.of(identity(null)), null);
  limits.update(new Map([['a', { ...settings, requestsPerMinute: 5 }]]));
  assert.equal(limits.of(identity('a')), quota);
  limits.update(new Map());
  assert.equal(limits.of(identity('a')), null);
});
