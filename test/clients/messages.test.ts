import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ANSWERS, type Json, USAGE } from './answers.ts';
import { type Client, clientCalled, withProgram } from './clients.ts';
import { CLIENT_KEY, type Ferry, startFerry } from './ferry.ts';
import { judgeAnswer, judgeFault } from './judge.ts';
import type { Reading, Report, Task } from './protocol.ts';
import { runClient } from './run-client.ts';
import type { FaultVector, Vector } from './vector.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** A client that speaks Anthropic's Messages API. */
interface MessagesClient {
  readonly client: Client;
  readonly streams: readonly string[];
  /** Its own words for the ends. */
  readonly finish: Readonly<Record<'stop' | 'tool_calls' | 'length', string>>;
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

let ferry: Ferry;

before(async () => {
  ferry = await startFerry({ messages: 'via_chat' });
});

after(() => ferry.close());

function taskFor(way: string, model: string, more: Partial<Task> = {}): Task {
  const base = { url: `${ferry.gatewayUrl}/v1`, key: CLIENT_KEY, includeUsage: true, tools: false };
  return { id: `${way} ${model}`, way, model, ...base, ...more };
}

/** What every client has to read, in its own words for the end. */
function expectedOf({ answer }: Vector, { finish: words }: MessagesClient): Reading {
  const { text, reasoning, calls, finish } = ANSWERS[answer];
  return {
    text: text.join(''),
    reasoning: reasoning.join(''),
    calls: calls.map(({ id, name, arguments: pieces }) => ({ id, name, arguments: pieces.join('') })),
    finish: words[finish],
    usage: [{ prompt: USAGE.prompt_tokens, completion: USAGE.completion_tokens, total: USAGE.total_tokens }],
    value: null,
    error: null,
  };
}

/** The statuses of Anthropic: an overload is a 529. */
const expectedFault = ({ expect }: FaultVector) => ({
  ...expect,
  status: expect.status === 503 ? 529 : expect.status,
});

async function wrongReadings(one: MessagesClient): Promise<string[]> {
  const chats = [
    ...one.streams.flatMap((way) => STREAM_VECTORS.map((vector) => ({ way, vector }))),
    ...WHOLE_VECTORS.map((vector) => ({ way: 'whole', vector })),
  ];
  const faults = [...one.streams, 'whole'].flatMap((way) =>
    FAULT_VECTORS.filter(({ only = way }) => (only === 'whole') === (way === 'whole')).map((fault) => ({
      way,
      fault,
    })),
  );
  const tasks = [
    ...chats.map(({ way, vector }) =>
      taskFor(way, vector.name, { tools: ANSWERS[vector.answer].calls.length > 0 }),
    ),
    ...faults.map(({ way, fault }) => taskFor(way, fault.name)),
  ];
  const reports = await runClient(one.client, tasks);
  const of = (way: string, model: string) => reports.get(`${way} ${model}`) as Report;
  const verdicts = [
    ...chats.map(({ way, vector }) => {
      const reading = of(way, vector.name);
      return [way, vector.name, judgeAnswer(vector, reading, expectedOf(vector, one))] as const;
    }),
    ...faults.map(
      ({ way, fault }) => [way, fault.name, judgeFault(expectedFault(fault), of(way, fault.name))] as const,
    ),
  ];
  return verdicts.flatMap(([way, name, wrong]) => (wrong === null ? [] : [`${way} ${name}: ${wrong}`]));
}

for (const one of CLIENTS) {
  const { name } = one.client;

  test(`${name} parses every message and every error of a chat upstream`, async () => {
    assert.deepEqual(await wrongReadings(one), []);
  });

  test(`${name} continues a conversation with its own history`, async () => {
    const answers = ['text', 'reasoning', 'textAndCall', 'calls'] as const;
    const reports = await runClient(
      one.client,
      answers.map((answer) => taskFor('turns', `canonical-${answer}`)),
    );
    for (const answer of answers) checkHistory(answer, reports.get(`turns canonical-${answer}`) as Report);
  });

  if (!one.isSdk) continue;

  test(`${name} sends an image, counts tokens and lists models`, async () => {
    const tasks = ['image', 'count', 'models'].map((way) => taskFor(way, 'canonical-text'));
    const reports = await runClient(one.client, tasks);
    const of = (way: string) => reports.get(`${way} canonical-text`) as Report;
    assert.equal(of('image').text, ANSWERS.text.text.join(''));
    const sent = ferry.upstream.seen.findLast(({ body }) => body.model === 'canonical-text');
    assert.match(
      JSON.stringify(sent?.body.messages),
      /^\[\{"role":"user","content":\[\{"type":"image_url","image_url":\{"url":"data:image\/png;base64,iVBOR/,
    );
    assert.ok((of('count').value as number) > 50, JSON.stringify(of('count')));
    assert.ok((of('models').value as string[]).length > 20, JSON.stringify(of('models')));
  });
}

/** The upstream gets the answer of the first turn again, and the results right behind their calls. */
function checkHistory(answer: 'text' | 'reasoning' | 'textAndCall' | 'calls', { error }: Report): void {
  const model = `canonical-${answer}`;
  assert.equal(error, null, model);
  const { text, reasoning, calls } = ANSWERS[answer];
  const { messages } = ferry.upstream.seen.findLast(({ body }) => body.model === model)?.body ?? {};
  const [question, told, ...rest] = messages as Json[];
  assert.equal(question?.role, 'user');
  assert.equal(told?.role, 'assistant', model);
  assert.equal(told.content ?? '', text.join(''), `${model}: what was said before is told again`);
  assert.equal(told.reasoning_content ?? '', reasoning.join(''), `${model}: its reasoning as well`);
  const ids = calls.map(({ id }) => id);
  assert.deepEqual(
    ((told.tool_calls ?? []) as Json[]).map(({ id }) => id),
    ids,
    model,
  );
  assert.deepEqual(
    rest.map(({ role, tool_call_id: id }) => [role, id ?? null]),
    [...ids.map((id) => ['tool', id]), ['user', null]],
    model,
  );
}
