import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { test } from 'node:test';
import OpenAI from 'openai';
import { ODD_QUIRKS, StandInModel } from './stand-in-model.ts';

const ask = { model: 'stand-in', messages: [{ role: 'user' as const, content: 'When does it leave?' }] };

function post(url: string, body: object, token = 't'): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
}

test('the openai client parses its chat, stream, embeddings and models', async (t) => {
  const model = await StandInModel.start({ reply: 'one two three', writes: 7, dimension: 4 });
  t.after(() => model.close());
  const client = new OpenAI({ baseURL: model.url, apiKey: 'k', maxRetries: 0 });

  const whole = await client.chat.completions.create(ask);
  assert.equal(whole.choices[0]?.message.content, 'one two three');
  assert.equal(whole.usage?.total_tokens, (whole.usage?.prompt_tokens ?? 0) + 3);

  const stream = await client.chat.completions.create({
    ...ask,
    stream: true,
    stream_options: { include_usage: true },
  });
  const words: string[] = [];
  let total = 0;
  for await (const chunk of stream) {
    words.push(chunk.choices[0]?.delta.content ?? '');
    total = chunk.usage?.total_tokens ?? total;
  }
  assert.equal(words.join(''), 'one two three');
  assert.equal(total, whole.usage?.total_tokens);

  const asBase64 = await client.embeddings.create({ model: 'e', input: ['a', 'b'] });
  const asFloat = await client.embeddings.create({ model: 'e', input: ['a', 'b'], encoding_format: 'float' });
  assert.equal(asFloat.data[0]?.embedding.length, 4);
  assert.deepEqual([...(asBase64.data[1]?.embedding ?? [])], asFloat.data[1]?.embedding);
  assert.notDeepEqual(asFloat.data[0]?.embedding, asFloat.data[1]?.embedding);

  assert.deepEqual(
    (await client.models.list()).data.map(({ id }) => id),
    ['stand-in', 'stand-in-embed'],
  );
});

test('an expired token is rejected with 401 and counted', async (t) => {
  const model = await StandInModel.start({ isLive: (token) => token === 'good' });
  t.after(() => model.close());
  assert.equal((await post(`${model.url}/chat/completions`, ask, 'bad')).status, 401);
  assert.equal((await post(`${model.url}/chat/completions`, ask, 'good')).status, 200);
  assert.equal(model.refused, 1);
  assert.deepEqual(
    model.received.map(({ token }) => token),
    ['bad', 'good'],
  );
  assert.deepEqual(model.received[1]?.body, ask);
});

test('its irregular mode ends lines in CRLF, repeats role and usage and omits [DONE]', async (t) => {
  const model = await StandInModel.start({ reply: 'a b', quirks: ODD_QUIRKS });
  t.after(() => model.close());
  const text = await (await post(`${model.url}/chat/completions`, { ...ask, stream: true })).text();
  const events = text.split('\r\n\r\n').filter((event) => event !== '');
  assert.equal(events.length, 4); // role, two words, finish
  assert.ok(events.every((event) => event.includes('"role":"assistant"') && event.includes('"usage"')));
  assert.ok(!text.includes('[DONE]') && !text.replaceAll('\r\n', '').includes('\n'));
});

test('a client that disconnects in mid-stream is counted and nothing stays open', async (t) => {
  const model = await StandInModel.start({ wordDelayMs: 20, reply: 'a b c d e f g h' });
  t.after(() => model.close());
  const leaving = new AbortController();
  const response = await fetch(`${model.url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...ask, stream: true }),
    signal: leaving.signal,
  });
  await response.body?.getReader().read();
  assert.equal(model.open, 1);
  leaving.abort();
  while (model.open > 0) await new Promise((done) => setImmediate(done));
  assert.equal(model.aborted, 1);
});

test('killed, it resets its connections and refuses new ones; started again on its port it serves', async (t) => {
  const model = await StandInModel.start();
  const request = get(`${model.url}/models`, { agent: false });
  const [response] = await once(request, 'response');
  response.resume();
  await model.kill();
  await assert.rejects(fetch(`${model.url}/models`));
  const revived = await StandInModel.start({}, model.port);
  t.after(() => revived.close());
  assert.equal((await fetch(`${revived.url}/models`)).status, 200);
});
