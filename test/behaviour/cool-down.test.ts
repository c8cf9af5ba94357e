import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, checkGood, KINDS, type Kind, LIMITS } from './fault-rig.ts';

test('while another one can serve, a cooling upstream gets nothing but one probe at a time', async () => {
  let isSick = true;
  await using sick = await StandInModel.start({
    reply: 'all is well',
    firstDelayMs: 60,
    intercept: (_request, response) => {
      if (!isSick) return false;
      setTimeout(() => {
        response.writeHead(500);
        response.end('{}');
      }, 60);
      return true;
    },
  });
  await using good = await StandInModel.start({ reply: 'all is well' });
  await using gateway = await Gateway.start({
    ...LIMITS,
    timeout: '5s',
    dbtype: 'none',
    cool_down: { failures: 2, first: '300ms', max: '600ms' },
    upstreams: [
      { name: 'sick', endpoint: sick.url, sk: 'key-of-sick', allow: ['m'] },
      { name: 'good', endpoint: good.url, sk: 'key-of-good', allow: ['m'] },
    ],
  });
  const ten = async (): Promise<void> => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(gateway, 'chat', 'm')));
    for (const { response, text } of answers) assert.equal(response.status, 200, text);
  };
  await ask(gateway, 'chat', 'm');
  await ask(gateway, 'chat', 'm');
  assert.equal(sick.received.length, 2);
  await ten();
  assert.equal(sick.received.length, 2, 'cooling: nothing');
  await sleep(320);
  await ten();
  assert.equal(sick.received.length, 3, 'the pause is over: one probe for ten requests');
  await sleep(320);
  await ten();
  assert.equal(sick.received.length, 3, 'the second pause is twice as long');
  await sleep(350);
  isSick = false;
  await ten();
  assert.equal(sick.received.length, 4);
  await ten();
  assert.equal(sick.received.length, 14, 'the probe was good: it is back');
});

test('a lone upstream is asked by every request, however often it failed', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(500);
      response.end();
      return true;
    },
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    dbtype: 'none',
    retry: { same_upstream: 0 },
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  for (let asked = 0; asked < 8; asked++) await ask(gateway, 'chat', 'm');
  assert.equal(model.received.length, 8);
  model.set({ intercept: () => false, reply: 'all is well' });
  const { text } = await ask(gateway, 'chat', 'm');
  checkGood('chat', text);
  assert.deepEqual((await gateway.readiness()).degraded, [], 'and back with its first success');
});

/** Numerical Recipes' LCG: a seed is a run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('1,500 requests over three upstreams of which two flap: none fails and no answer is mixed up', async (context) => {
  const random = seeded(20261121);
  const flapping = [false, false];
  const models = await Promise.all(
    [0, 1, 2].map((index) =>
      StandInModel.start({
        reply: ({ messages }) => `answer to ${JSON.stringify(messages?.[0]?.content)}`,
        intercept: (_request, response) => {
          if (flapping[index] !== true) return false;
          const how = random();
          if (how < 0.4) response.writeHead(503).end();
          else if (how < 0.8) response.destroy();
          else response.writeHead(200, { 'content-type': 'text/html' }).end('<html>maintenance</html>');
          return true;
        },
      }),
    ),
  );
  context.after(() => Promise.all(models.map((model) => model.close())));
  await using gateway = await Gateway.start({
    ...LIMITS,
    timeout: '20s',
    embeddings_timeout: '20s',
    stream_timeout: '20s',
    first_content_timeout: '20s',
    deadline: '60s',
    cool_down: { failures: 3, first: '50ms', max: '200ms' },
    upstreams: models.map(({ url }, index) => ({
      name: `u${index}`,
      endpoint: url,
      sk: 'key-of-all',
      allow: ['m'],
    })),
  });
  const flap = setInterval(() => {
    flapping[0] = random() < 0.5;
    flapping[1] = random() < 0.5;
  }, 20);
  let asked = 0;
  const worker = async (): Promise<void> => {
    while (asked < 1_500) {
      const number = asked++;
      const kind = KINDS[number % 3] as Kind;
      const question = `q${number}`;
      const body =
        kind === 'embeddings'
          ? { model: 'm', input: question }
          : { model: 'm', messages: [{ role: 'user', content: question }], stream: kind === 'stream' };
      const path = kind === 'embeddings' ? '/v1/embeddings' : '/v1/chat/completions';
      const response = await gateway.post(path, body);
      const text = await response.text();
      assert.equal(response.status, 200, `${kind} ${number}: ${text}`);
      assert.doesNotMatch(text, /"error"/);
      if (kind === 'chat') assert.ok(text.includes(`\\"${question}\\"`), text);
      if (kind === 'stream') assert.ok(text.includes(`\\"${question}\\"`), text);
    }
  };
  try {
    await Promise.all(Array.from({ length: 16 }, worker));
  } finally {
    clearInterval(flap);
  }
});
