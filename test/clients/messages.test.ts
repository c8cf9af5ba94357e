import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ANSWERS } from './answers.ts';
import { type ApiClient, ApiSuite } from './api-suite.ts';
import { type Client, clientCalled, withProgram } from './clients.ts';
import type { Report } from './protocol.ts';
import { runClient } from './run-client.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** A client that speaks Anthropic's Messages API. */
interface MessagesClient extends ApiClient {
  /** It has the rest of the API too: images, counts, models. */
  readonly isSdk: boolean;
}

const STOP_REASONS = { stop: 'end_turn', tool_calls: 'tool_use', length: 'max_tokens' };
const AI_SDK_FINISH = { stop: 'stop', tool_calls: 'tool-calls', length: 'length' };

const node = (name: string, program: string): Client => ({
  ...withProgram(clientCalled('LangChain.js'), program),
  name,
});

const python = (name: string, program: string): Client => ({
  ...clientCalled('openai-python'),
  name,
  command: [join(folder, '.venv', 'anthropic', 'bin', 'python'), join(folder, 'python', program)],
});

const CLIENTS: readonly MessagesClient[] = [
  {
    client: node('@anthropic-ai/sdk', 'anthropic-client.ts'),
    streams: ['iterator', 'helper'],
    finish: STOP_REASONS,
    isSdk: true,
  },
  {
    client: node('AI SDK, anthropic', 'ai-sdk-anthropic.ts'),
    streams: ['stream'],
    finish: AI_SDK_FINISH,
    isSdk: false,
  },
  {
    client: python('anthropic-python', 'anthropic_client.py'),
    streams: ['iterator', 'helper'],
    finish: STOP_REASONS,
    isSdk: true,
  },
  {
    client: python('LangChain Python, anthropic', 'langchain_anthropic_client.py'),
    streams: ['stream'],
    finish: STOP_REASONS,
    isSdk: false,
  },
];

const SUITE = new ApiSuite({
  profile: { messages: 'via_chat' },
  // An overload of Anthropic's.
  statusOf: (status) => (status === 503 ? 529 : status),
});

before(() => SUITE.start());

after(() => SUITE.close());

for (const one of CLIENTS) {
  const { name } = one.client;

  test(`${name} parses every message and every error of a chat upstream`, async () => {
    assert.deepEqual(await SUITE.wrongReadings(one), []);
  });

  test(`${name} continues a conversation with its own history`, async () => {
    await SUITE.checkTurns(one.client, 'turns', ({ reasoning_content: reasoning }, answer) =>
      assert.equal(reasoning ?? '', ANSWERS[answer].reasoning.join(''), `${answer}: its reasoning as well`),
    );
  });

  if (!one.isSdk) continue;

  test(`${name} sends an image, counts tokens and lists models`, async () => {
    const tasks = ['image', 'count', 'models'].map((way) => SUITE.taskFor(way, 'canonical-text'));
    const reports = await runClient(one.client, tasks);
    const of = (way: string) => reports.get(`${way} canonical-text`) as Report;
    assert.equal(of('image').text, ANSWERS.text.text.join(''));
    const sent = SUITE.ferry.upstream.seen.findLast(({ body }) => body.model === 'canonical-text');
    assert.match(
      JSON.stringify(sent?.body.messages),
      /^\[\{"role":"user","content":\[\{"type":"image_url","image_url":\{"url":"data:image\/png;base64,iVBOR/,
    );
    assert.ok((of('count').value as number) > 50, JSON.stringify(of('count')));
    assert.ok((of('models').value as string[]).length > 20, JSON.stringify(of('models')));
  });
}
