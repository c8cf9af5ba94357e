import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

async function chatOnly(context: { after(run: () => Promise<void>): void }) {
  const model = await StandInModel.start({
    reply: (body) => `asked: ${String(body.messages?.[0]?.content)}`,
  });
  context.after(() => model.close());
  const gateway = await Gateway.start({
    noauth: true,
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'none', profile: { completions: 'via_chat' } }],
  });
  context.after(() => gateway.close());
  return { model, gateway };
}

test('S107 a prompt reaches a chat-only upstream as a chat and comes back as a text completion', async (context) => {
  const { model, gateway } = await chatOnly(context);
  const response = await gateway.post('/v1/completions', { model: 'm', prompt: 'Once upon a time' });
  assert.equal(response.status, 200);
  const body = (await response.json()) as { object: string; choices: { text: string }[] };
  assert.equal(body.object, 'text_completion');
  assert.equal(body.choices[0]?.text, 'asked: Once upon a time');
  const received = model.received.at(-1);
  assert.equal(received?.path, '/v1/chat/completions');
  assert.deepEqual(received?.body.messages, [{ role: 'user', content: 'Once upon a time' }]);
  assert.equal(received?.body.prompt, undefined);
});

test('S107 its stream is one of text completions', async (context) => {
  const { gateway } = await chatOnly(context);
  const response = await gateway.post('/v1/completions', { model: 'm', prompt: 'Hi', stream: true });
  const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: {'));
  const chunks = events.map((event) => JSON.parse(event.slice('data: '.length)));
  assert.ok(chunks.every((chunk) => chunk.object === 'text_completion'));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join(''), 'asked: Hi');
  assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'stop');
});
