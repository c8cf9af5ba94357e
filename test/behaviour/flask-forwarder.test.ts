import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const DEPLOYMENT = 'gpt-4o-240806-deploy-gs';

test('the configuration that replaces a Flask forwarder: its token code, its URL, chat and embeddings at two hosts', async (t) => {
  const holder = join(temporaryDirectory(t), 'token-holder.mjs');
  // Stands for `from corp import TokenHolder; print(TokenHolder().get_token())`: a program that prints a token.
  writeFileSync(holder, 'console.log("token-of-holder")\n');
  const isLive = (token: string): boolean => token === 'token-of-holder';
  await using chat = await StandInModel.start({ isLive });
  await using vectors = await StandInModel.start({ isLive });
  await using gateway = await Gateway.start({
    base_path: '/agent/api/llm_proxy',
    noauth: true,
    tokens: { corp: { type: 'exec', command: [process.execPath, holder], default_ttl: 300 } },
    upstreams: [
      {
        name: 'chat',
        endpoint: chat.url,
        token: 'corp',
        allow: [DEPLOYMENT],
        models: { 'gpt-4o': DEPLOYMENT },
      },
      { name: 'embeddings', endpoint: vectors.url, token: 'corp', allow: ['bge-*'] },
    ],
  });
  const question = {
    model: DEPLOYMENT,
    messages: [{ role: 'user', content: 'hi' }],
    temperature: 0.1,
    max_tokens: 50,
    top_p: 0.9,
    user: 'someone',
  };
  const { origin } = new URL(gateway.url);
  const post = (path: string, body: object): Promise<Response> =>
    fetch(`${origin}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  for (const base of ['/agent/api/llm_proxy', '/agent/api/llm_proxy/v1', '/v1']) {
    const whole = await post(`${base}/chat/completions`, question);
    assert.equal(whole.status, 200, `${base}: ${await whole.clone().text()}`);
    assert.match(await whole.text(), /The ferry crosses/);
    assert.deepEqual(chat.received.at(-1)?.body, question);
    const streamed = await post(`${base}/chat/completions`, { ...question, stream: true });
    assert.match(await streamed.text(), /\[DONE\]/);
    const embedded = await post(`${base}/embeddings`, { model: 'bge-m3', input: ['a', 'b'] });
    const { data } = (await embedded.json()) as { data: readonly unknown[] };
    assert.equal(data.length, 2);
  }
  const alias = await post('/agent/api/llm_proxy/chat/completions', { ...question, model: 'gpt-4o' });
  await alias.text();
  assert.equal(chat.received.at(-1)?.body.model, DEPLOYMENT);
  assert.ok([...chat.received, ...vectors.received].every(({ token }) => token === 'token-of-holder'));
});
