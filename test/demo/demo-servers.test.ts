import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { DemoIssuer } from '../../src/demo/issuer.ts';
import { DemoModel, wordVector } from '../../src/demo/model.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';

const LIFETIME_MS = 300_000;

async function startBoth(t: { after(run: () => Promise<void>): void }) {
  const clock = new VirtualClock();
  const serials: number[] = [];
  const issuer = await DemoIssuer.start({
    clientId: 'app:1',
    clientSecret: 's%3A & ü',
    lifetimeMs: LIFETIME_MS,
    clock,
    onIssue: (serial) => serials.push(serial),
  });
  const model = await DemoModel.start({ issuer, tokenLifetimeMs: LIFETIME_MS });
  t.after(() => issuer.close());
  t.after(() => model.close());
  return { clock, issuer, model, serials };
}

async function obtain(issuer: DemoIssuer, how: 'basic' | 'post', secret = 's%3A & ü'): Promise<Response> {
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' };
  if (how === 'post') {
    form.set('client_id', 'app:1');
    form.set('client_secret', secret);
  } else {
    const pair = `${encodeURIComponent('app:1')}:${encodeURIComponent(secret)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  return fetch(issuer.tokenUrl, { method: 'POST', headers, body: form.toString() });
}

test('the issuer hands out a new token for good credentials, in the header or in the form', async (t) => {
  const { issuer, serials } = await startBoth(t);
  const first = (await (await obtain(issuer, 'basic')).json()) as {
    access_token: string;
    expires_in: number;
  };
  const second = (await (await obtain(issuer, 'post')).json()) as { access_token: string };
  assert.equal(first.expires_in, 300);
  assert.notEqual(first.access_token, second.access_token);
  assert.deepEqual(serials, [1, 2]);
  assert.equal((await obtain(issuer, 'basic', 'wrong')).status, 401);
});

test('the model accepts a token until its expiry and then responds with 401', async (t) => {
  const { clock, issuer, model } = await startBoth(t);
  const { access_token: apiKey } = (await (await obtain(issuer, 'basic')).json()) as { access_token: string };
  const client = new OpenAI({ baseURL: model.endpoint, apiKey, maxRetries: 0 });
  clock.advance(LIFETIME_MS - 1);
  assert.equal((await client.models.list()).data.length, 3);
  clock.advance(1);
  await assert.rejects(client.models.list(), { status: 401 });
});

test('the model streams words with usage, embeds, and names unknown paths', async (t) => {
  const { issuer, model } = await startBoth(t);
  const { access_token: apiKey } = (await (await obtain(issuer, 'basic')).json()) as { access_token: string };
  const client = new OpenAI({ baseURL: model.endpoint, apiKey, maxRetries: 0 });
  const stream = client.chat.completions.stream({
    model: 'demo-chat-fast',
    messages: [{ role: 'user', content: 'ferry?' }],
    stream_options: { include_usage: true },
  });
  const answer = await stream.finalChatCompletion();
  assert.match(answer.choices[0]?.message.content ?? '', /^You said: “ferry\?”.*token number 1, 0 s old/);
  assert.ok((answer.usage?.completion_tokens ?? 0) > 20);

  const short = await client.chat.completions.create({
    model: 'demo-chat-fast',
    messages: [{ role: 'user', content: 'ferry?' }],
    max_tokens: 2,
  });
  assert.equal(short.choices[0]?.message.content, 'You said:');
  assert.equal(short.choices[0]?.finish_reason, 'length');

  const { data } = await client.embeddings.create({ model: 'demo-embed', input: ['a', 'b'], dimensions: 16 });
  assert.deepEqual(
    data.map(({ embedding }) => embedding.length),
    [16, 16],
  );
  await assert.rejects(client.embeddings.create({ model: 'demo-chat', input: 'a' }), { status: 404 });
  await assert.rejects(client.chat.completions.create({ model: 'x', messages: [] }), { status: 404 });
});

test('texts with common words have similar vectors, in Chinese too', () => {
  const cosine = (left: string, right: string) => {
    const [a, b] = [wordVector(left, 256), wordVector(right, 256)];
    return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  };
  assert.ok(Math.abs(cosine('the ferry leaves at noon', 'the ferry leaves at noon') - 1) < 1e-9);
  assert.ok(
    cosine('the ferry leaves at noon', 'when leaves the ferry') >
      cosine('the ferry leaves at noon', 'red apples'),
  );
  assert.ok(cosine('渡轮中午开船', '渡轮几点开船') > cosine('渡轮中午开船', '红苹果'));
  assert.equal(Math.hypot(...wordVector('', 8)), 1);
});
