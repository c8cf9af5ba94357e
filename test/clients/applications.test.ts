import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientCalled } from './clients.ts';
import { CLIENT_KEY, closeFerry, type Ferry, startFerry } from './ferry.ts';
import type { Report, Task } from './protocol.ts';
import { runClient } from './run-client.ts';
import { RERANK_VECTORS } from './vectors/rerank.ts';

let ferry: Ferry;

before(async () => {
  ferry = await startFerry();
});

after(() => closeFerry(ferry));

type Wish = Pick<Task, 'way' | 'model'> & Partial<Task>;

/** What a client reads of each wish, by way of the gateway unless the wish says otherwise. */
async function readings(name: string, wishes: readonly Wish[]): Promise<Report[]> {
  const base = { url: `${ferry.gatewayUrl}/v1`, key: CLIENT_KEY, includeUsage: true, tools: false };
  const tasks = wishes.map((wish, position) => ({ id: String(position), ...base, ...wish }));
  return [...(await runClient(clientCalled(name), tasks)).values()];
}

const noErrors = (reports: readonly Report[]) =>
  assert.deepEqual(
    reports.map(({ error }) => error),
    reports.map(() => null),
  );

test('S98 S99 Dify adds a chat, an embeddings and a rerank model', async () => {
  const reports = await readings('Dify SDK', [
    { way: 'validate', model: 'canonical-text' },
    { way: 'validate-stream', model: 'json-for-stream-text' },
    { way: 'validate', model: 'whole-only-choices' },
    { way: 'validate', model: 'whole-as-events' },
    { way: 'validate-embeddings', model: 'embed-canonical' },
    { way: 'validate-embeddings', model: 'embed-ollama' },
    { way: 'validate-rerank', model: 'rerank-canonical' },
    { way: 'validate-rerank', model: 'rerank-score' },
  ]);
  noErrors(reports);
  const probe = ferry.upstream.seen.find(({ body }) => body.max_tokens === 5);
  const messages = [{ role: 'user', content: 'ping' }];
  assert.deepEqual(probe?.body, { model: 'canonical-text', max_tokens: 5, messages });
});

test('Dify does not add a model whose upstream only pretends', async () => {
  for (const model of ['fault-login-page', 'fault-base-resp', 'fault-empty']) {
    const [report] = await readings('Dify SDK', [{ way: 'validate', model }]);
    assert.ok(report?.error !== null, model);
  }
});

test('S107 Dify and LlamaIndex read completions, whole and as a stream', async () => {
  for (const name of ['Dify SDK', 'LlamaIndex']) {
    const reports = await readings(name, [
      { way: 'completions', model: 'canonical-text' },
      { way: 'completions-stream', model: 'canonical-text' },
      { way: 'completions', model: 'canonical-text', url: ferry.directUrl },
    ]);
    noErrors(reports);
    for (const { text } of reports) assert.equal(text, 'Grüße aus Zürich, 你好 👋: the ferry leaves.', name);
  }
});

test('RAGFlow adds a chat model: a stream of "Hi" within ten seconds, without stream_options', async () => {
  const models = [
    'canonical-text',
    'crlf',
    'ndjson',
    'json-for-stream-text',
    'usage-in-each',
    'one-byte-segments',
  ];
  const reports = await readings(
    'RAGFlow patterns, Python',
    models.map((model) => ({ way: 'validate', model })),
  );
  noErrors(reports);
  // It sums the usage of every chunk that has choices; the canonical stream has it in none.
  for (const { value } of reports) assert.equal(value, 0);
  const asked = ferry.upstream.seen.find(({ body }) => body.temperature === 0.9);
  assert.deepEqual(asked?.body.messages, [{ role: 'user', content: 'Hi' }]);
});

test('S19 S112 RAGFlow embeds in batches of 16 with unknown parameters', async () => {
  const inputs = Array.from({ length: 40 }, (_, position) => `chunk ${position}`);
  const wish = { way: 'embed', model: 'embed-canonical', inputs };
  const name = 'RAGFlow patterns, Python';
  const [through, direct, split] = await readings(name, [
    wish,
    { ...wish, url: ferry.directUrl },
    { ...wish, model: 'embed-batches-of-four' },
  ]);
  noErrors([through, direct, split] as Report[]);
  assert.deepEqual(through?.value, direct?.value);
  assert.deepEqual(split?.value, direct?.value);
  assert.deepEqual(through?.usage, direct?.usage);
});

test('S108 S113 clients embed a blank among their texts, token ids and all, where the upstream takes no blank', async () => {
  const wish = { way: 'embed', model: 'embed-refuses-blank', inputs: ['one', '', '  ', 'two'] };
  for (const name of [
    'openai-node latest',
    'openai-python',
    'LangChain.js',
    'LangChain Python',
    'Dify SDK',
  ]) {
    const [through, dotted] = await readings(name, [
      wish,
      { ...wish, inputs: ['one', '.', '.', 'two'], url: ferry.directUrl },
    ]);
    noErrors([through, dotted] as Report[]);
    const [vectors, expected] = [through, dotted].map((report) => (report as Report).value as unknown[]);
    assert.equal(vectors?.length, 4, name);
    assert.deepEqual([vectors?.at(0), vectors?.at(3)], [expected?.at(0), expected?.at(3)], name);
  }
});

test('S117 S118 RAGFlow and Dify rerank on /rerank and /v1/rerank, with any name of the scores', async () => {
  const inputs = ['first', 'second', 'third', 'fourth'];
  const wishes = RERANK_VECTORS.flatMap(({ name: model }) => [
    { way: 'rerank', model, inputs, url: ferry.gatewayUrl },
    { way: 'rerank', model, inputs },
  ]);
  const ragflow = await readings('RAGFlow patterns, Python', wishes);
  noErrors(ragflow);
  for (const { value } of ragflow) assert.deepEqual(value, [1 / 2, 1, 1 / 2, 1 / 3]);
  const dify = await readings(
    'Dify SDK',
    wishes.filter(({ url }) => url === undefined),
  );
  noErrors(dify);
  for (const { value } of dify) assert.deepEqual((value as number[][])[0], [1, 1]);
});
