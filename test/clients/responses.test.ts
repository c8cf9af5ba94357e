import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ANSWERS, type Json, USAGE } from './answers.ts';
import { clientCalled, withProgram } from './clients.ts';
import { CLIENT_KEY, type Ferry, startFerry } from './ferry.ts';
import { judgeAnswer, judgeFault } from './judge.ts';
import type { Reading, Report, Task } from './protocol.ts';
import { runClient } from './run-client.ts';
import type { Vector } from './vector.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

/** A client that speaks the Responses API, in the environment of one that the matrix has. */
interface ResponsesClient {
  readonly name: string;
  readonly program: string;
  /** In whose place it runs: with that one's installation and arguments. */
  readonly like: string;
  readonly streams: readonly string[];
  /** Its own word for an end by the limit, and for an end with calls; 'completed' otherwise. */
  readonly finish?: Readonly<Record<string, string>>;
}

const AI_SDK_FINISH = { stop: 'stop', tool_calls: 'tool-calls', length: 'length' };

const CLIENTS: readonly ResponsesClient[] = [
  ...['latest', '6.9.0', '5.23.2', '4.95.1'].map((version) => ({
    name: `openai-node ${version}`,
    program: 'openai-responses.ts',
    like: `openai-node ${version}`,
    streams: ['iterator', 'helper'],
  })),
  {
    name: 'AI SDK, openai',
    program: 'ai-sdk-responses.ts',
    like: 'AI SDK, openai-compatible',
    streams: ['stream'],
    finish: AI_SDK_FINISH,
  },
  { name: 'LangChain.js', program: 'langchain-responses.ts', like: 'LangChain.js', streams: ['stream'] },
  {
    name: 'openai-python',
    program: 'openai_responses.py',
    like: 'openai-python',
    streams: ['iterator', 'helper'],
  },
  {
    name: 'openai-python 2',
    program: 'openai_responses.py',
    like: 'openai-python 2',
    streams: ['iterator', 'helper'],
  },
  {
    name: 'LangChain Python',
    program: 'langchain_responses.py',
    like: 'LangChain Python',
    streams: ['stream'],
  },
];

let ferry: Ferry;

before(async () => {
  ferry = await startFerry({ responses: 'via_chat' });
});

after(() => ferry.close());

function taskFor(way: string, model: string, more: Partial<Task> = {}): Task {
  const base = { url: `${ferry.gatewayUrl}/v1`, key: CLIENT_KEY, includeUsage: true, tools: false };
  return { id: `${way} ${model}`, way, model, ...base, ...more };
}

/** What every client has to read, in its own words for the end. */
function expectedOf({ answer }: Vector, { finish: words }: ResponsesClient): Reading {
  const { text, reasoning, calls, finish } = ANSWERS[answer];
  const own = { stop: 'completed', tool_calls: 'completed', length: 'max_output_tokens', ...words };
  return {
    text: text.join(''),
    reasoning: reasoning.join(''),
    calls: calls.map(({ id, name, arguments: pieces }) => ({ id, name, arguments: pieces.join('') })),
    finish: own[finish],
    usage: [{ prompt: USAGE.prompt_tokens, completion: USAGE.completion_tokens, total: USAGE.total_tokens }],
    value: null,
    error: null,
  };
}

/** Five megabytes in one event, as the last ones have them, take openai for Node before 7 half a minute to read. */
const isReadable = ({ answer }: Vector): boolean => answer !== 'long';

function run({ like, program }: ResponsesClient, tasks: readonly Task[]): Promise<Map<string, Report>> {
  return runClient(withProgram(clientCalled(like), program), tasks);
}

/** The vectors that one way reads, and what is wrong with each reading. */
async function wrongReadings(client: ResponsesClient): Promise<string[]> {
  const chats = [
    ...client.streams.flatMap((way) => STREAM_VECTORS.filter(isReadable).map((vector) => ({ way, vector }))),
    ...WHOLE_VECTORS.filter(isReadable).map((vector) => ({ way: 'whole', vector })),
  ];
  const faults = [...client.streams, 'whole'].flatMap((way) =>
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
  const reports = await run(client, tasks);
  const of = (way: string, model: string) => reports.get(`${way} ${model}`) as Report;
  const verdicts = [
    ...chats.map(({ way, vector }) => {
      const reading = of(way, vector.name);
      return [way, vector.name, judgeAnswer(vector, reading, expectedOf(vector, client))] as const;
    }),
    ...faults.map(
      ({ way, fault }) => [way, fault.name, judgeFault(fault.expect, of(way, fault.name))] as const,
    ),
  ];
  return verdicts.flatMap(([way, name, wrong]) => (wrong === null ? [] : [`${way} ${name}: ${wrong}`]));
}

for (const client of CLIENTS) {
  test(`S124 S125 S126 ${client.name} parses every response and every error with its Responses API`, async () => {
    assert.deepEqual(await wrongReadings(client), []);
  });
}

/** What each client makes of its own answers when a conversation goes on. */
for (const client of CLIENTS) {
  test(`S124 ${client.name} continues a conversation with its own history`, async () => {
    const ways = client.name === 'AI SDK, openai' ? ['turns', 'turns-unstored'] : ['turns'];
    for (const way of ways) await goOn(client, way);
  });
}

async function goOn(client: ResponsesClient, way: string): Promise<void> {
  const answers = ['text', 'reasoning', 'textAndCall', 'calls'] as const;
  const tasks = answers.map((answer) => taskFor(way, `canonical-${answer}`));
  const reports = await run(client, tasks);
  for (const answer of answers) {
    const model = `canonical-${answer}`;
    assert.equal(reports.get(`${way} ${model}`)?.error, null, model);
    const { text, calls } = ANSWERS[answer];
    const { messages } = ferry.upstream.seen.findLast(({ body }) => body.model === model)?.body ?? {};
    const [question, told, ...rest] = messages as Json[];
    assert.equal(question?.role, 'user');
    assert.equal(told?.role, 'assistant', model);
    assert.equal(told.content ?? '', text.join(''), `${model}: what was said before is told again`);
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
}
