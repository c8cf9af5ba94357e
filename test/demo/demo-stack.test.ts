import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { startDemo } from '../../src/demo/stack.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

test('the demo responds through the gateway to its own key, and to no other', async (t) => {
  const issued: number[] = [];
  const demo = await startDemo({
    port: 0,
    tokenLifetimeMs: 300_000,
    onIssue: (serial) => issued.push(serial),
  });
  t.after(() => demo.close());
  const client = new OpenAI({ baseURL: `${demo.url}/v1`, apiKey: demo.key, maxRetries: 0 });
  const reply = await client.chat.completions.create({
    model: 'demo-chat-fast',
    messages: [{ role: 'user', content: 'hello' }],
  });
  assert.match(reply.choices[0]?.message.content ?? '', /token number 1/);
  assert.deepEqual((await client.models.list()).data.map(({ id }) => id).sort(), [...demo.models].sort());
  assert.deepEqual(issued, [1]);
  assert.equal(demo.token()?.generation, 1);
  const stranger = new OpenAI({ baseURL: `${demo.url}/v1`, apiKey: 'sk-stranger', maxRetries: 0 });
  await assert.rejects(stranger.models.list(), { status: 401 });
});

test('a port in use is replaced by a free one, and after close nothing listens', async (t) => {
  const other = await StandInModel.start();
  t.after(() => other.close());
  const demo = await startDemo({ port: other.port, tokenLifetimeMs: 300_000, onIssue: () => undefined });
  assert.notEqual(new URL(demo.url).port, String(other.port));
  assert.equal((await fetch(`${demo.url}/livez`)).status, 200);
  await demo.close();
  await assert.rejects(fetch(`${demo.url}/livez`));
});
