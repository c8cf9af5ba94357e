import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, type Gateway, until } from '../helpers/gateway.ts';
import { StandInModel, type StandInOptions } from '../helpers/stand-in-model.ts';
import { withUpstreams } from './several-upstreams.ts';

/** A gateway over one stand-in model for each of `upstreams`, all with the same models. */
async function withModels(
  upstreams: readonly (StandInOptions & { readonly config?: object })[],
  config: object,
  use: (gateway: Gateway, models: readonly StandInModel[]) => Promise<void>,
): Promise<void> {
  const models = await Promise.all(upstreams.map((options) => StandInModel.start(options)));
  await withUpstreams(models, (index) => ({ sk: 'key', ...upstreams[index]?.config }), config, use);
}

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };

function chat(gateway: Gateway, extra: object = {}, init: RequestInit = {}): Promise<Response> {
  return gateway.post('/v1/chat/completions', { ...CHAT, ...extra }, init);
}

/** The most requests that `model` answered at once while `work` ran. */
async function maxOpen(model: StandInModel, work: Promise<unknown>): Promise<number> {
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, model.open);
  }, 1);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  return most;
}

test('no more than max_concurrency requests are at an upstream; the others wait and are served', async () => {
  await withModels(
    [{ firstDelayMs: 150, config: { max_concurrency: 2 } }],
    // The last ones wait longer than this, which is the time of an attempt alone.
    { timeout: '1s', stream_timeout: '1s' },
    async (gateway, [model]) => {
      const requests = Array.from({ length: 16 }, (_, index) => chat(gateway, { stream: index % 2 === 0 }));
      const answers = Promise.all(
        requests.map(async (request) => {
          const response = await request;
          await response.text();
          return response.status;
        }),
      );
      const most = await maxOpen(model as StandInModel, answers);
      assert.deepEqual(new Set(await answers), new Set([200]));
      assert.equal(most, 2);
    },
  );
});

test('a stream keeps its place to its end', async () => {
  await withModels(
    [{ reply: 'one two three', wordDelayMs: 250, config: { max_concurrency: 1 } }],
    {},
    async (gateway, [model]) => {
      const stream = await chat(gateway, { stream: true });
      const next = chat(gateway);
      await new Promise((resolve) => setTimeout(resolve, 30));
      assert.equal(model?.received.length, 1, 'the next one waits');
      assert.match(await stream.text(), /\[DONE\]/);
      assert.equal((await next).status, 200);
    },
  );
});

test('another upstream that is free comes before waiting', async () => {
  await withModels(
    [{ firstDelayMs: 1_000, config: { max_concurrency: 1 } }, {}],
    {},
    async (gateway, [first, second]) => {
      const running = chat(gateway);
      await until(() => first?.open === 1, 'the first one runs');
      const other = await chat(gateway);
      assert.equal(other.headers.get('x-tokenferry-upstream'), 'u1');
      assert.equal(
        other.headers.get('x-tokenferry-attempts'),
        '1',
        'a candidate that is passed by is no attempt',
      );
      assert.equal(second?.received.length, 1);
      assert.equal((await running).headers.get('x-tokenferry-upstream'), 'u0');
    },
  );
});

test('a full queue is 503 with a time to wait when there is no other candidate', async () => {
  await withModels(
    [{ firstDelayMs: 1_500, config: { max_concurrency: 1 } }],
    {},
    async (gateway, [model]) => {
      const leaving = new AbortController();
      const waiting = Array.from({ length: 17 }, () =>
        chat(gateway, {}, { signal: leaving.signal }).catch(() => null),
      );
      await until(() => model?.open === 1, 'one runs');
      await new Promise((resolve) => setTimeout(resolve, 30));
      const refused = await chat(gateway);
      const text = await refused.text();
      assert.equal(refused.status, 503, text);
      assert.equal(errorIn(text).code, 'overloaded');
      assert.match(errorIn(text).message, /max_concurrency/);
      assert.equal(refused.headers.get('retry-after'), '1');
      assert.equal(refused.headers.get('x-tokenferry-attempts'), '0', 'no upstream was called');
      assert.equal(refused.headers.get('x-tokenferry-upstream'), null);
      const row = await gateway.rowOf(refused.headers.get('x-request-id'));
      assert.equal(row.outcome, 'rate_limited');
      assert.deepEqual(
        row.attempts.map(({ upstream, outcome, status }) => ({ upstream, outcome, status })),
        [{ upstream: 'u0', outcome: 'queue_full', status: null }],
      );
      leaving.abort();
      await Promise.all(waiting);
      assert.equal((await chat(gateway)).status, 200, 'places of clients that left are free');
      assert.equal(model?.received.length, 2, 'nothing was sent for clients that left the queue');
      assert.deepEqual((await gateway.readiness()).degraded, [], 'being busy is no failure');
    },
  );
});

test('a full queue leads to the next candidate, busy as that is', async () => {
  await withModels(
    [
      { firstDelayMs: 20, config: { max_concurrency: 1 } },
      { firstDelayMs: 5, config: { max_concurrency: 1 } },
    ],
    {},
    async (gateway) => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => chat(gateway)));
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      const names = new Set(answers.map(({ headers }) => headers.get('x-tokenferry-upstream')));
      assert.deepEqual([...names].sort(), ['u0', 'u1']);
    },
  );
});

test('waiting counts in the deadline, which ends it with 503', async () => {
  await withModels(
    [{ reply: 'word '.repeat(10), wordDelayMs: 400, config: { max_concurrency: 1 } }],
    { deadline: '500ms' },
    async (gateway) => {
      // The deadline is up to the first content, so a stream keeps its place for longer.
      const stream = await chat(gateway, { stream: true });
      const startedMs = performance.now();
      const waiting = await chat(gateway);
      const elapsedMs = performance.now() - startedMs;
      const text = await waiting.text();
      assert.equal(waiting.status, 503, text);
      assert.equal(errorIn(text).code, 'overloaded');
      assert.match(errorIn(text).message, /deadline of the request passed in its queue/);
      assert.ok(elapsedMs >= 450 && elapsedMs < 3_500, String(elapsedMs));
      assert.match(await stream.text(), /\[DONE\]/);
    },
  );
});

test('requests that wait for an upstream that starts to cool down go to another one', async () => {
  let isDead = false;
  await withModels(
    [
      {
        firstDelayMs: 60,
        config: { max_concurrency: 1 },
        intercept: (_request, response) => {
          if (!isDead) return false;
          setTimeout(() => response.destroy(), 400);
          return true;
        },
      },
      { firstDelayMs: 1_000, config: { max_concurrency: 1 } },
    ],
    { cool_down: { failures: 1 } },
    async (gateway, [dying, other]) => {
      isDead = true;
      const slow = gateway.post('/v1/chat/completions', CHAT);
      const busy = gateway.post('/v1/chat/completions', CHAT);
      await until(() => dying?.open === 1 && other?.open === 1, 'both are busy');
      const waiting = await chat(gateway);
      assert.equal(waiting.status, 200);
      assert.equal(waiting.headers.get('x-tokenferry-upstream'), 'u1');
      assert.equal((await slow).status, 200);
      assert.equal((await busy).status, 200);
      const sent = dying?.received.length ?? 0;
      assert.equal(sent, 1, 'the dead one was asked once only');
    },
  );
});

test('parts of one embeddings request respect the slots as well', async () => {
  await withModels(
    [{ config: { max_concurrency: 2, profile: { embedding_batch: 1 } } }],
    {},
    async (gateway, [model]) => {
      const request = gateway.post('/v1/embeddings', { model: 'm', input: ['a', 'b', 'c', 'd', 'e', 'f'] });
      const most = await maxOpen(model as StandInModel, request);
      const response = await request;
      assert.equal(response.status, 200);
      assert.equal(((await response.json()) as { data: unknown[] }).data.length, 6);
      assert.ok(most <= 2, String(most));
      assert.equal((await chat(gateway)).status, 200, 'all places are given back');
      assert.equal((await Promise.all([chat(gateway), chat(gateway)])).length, 2);
    },
  );
});
