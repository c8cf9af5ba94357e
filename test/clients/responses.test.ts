import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ApiClient, ApiSuite } from './api-suite.ts';
import { clientCalled, withProgram } from './clients.ts';

/** A client that speaks the Responses API, in the environment of one that the matrix has. */
interface ResponsesClient {
  readonly name: string;
  readonly program: string;
  /** In whose place it runs: with that one's installation and arguments. */
  readonly like: string;
  readonly streams: readonly string[];
  /** Its own words for the ends, if they are not those of the API. */
  readonly finish?: ApiClient['finish'];
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

const SUITE = new ApiSuite({
  profile: { responses: 'via_chat' },
  // Five megabytes in one event, as the last ones have them, take openai for Node before 7 half a minute to read.
  isReadable: ({ answer }) => answer !== 'long',
});

before(() => SUITE.start());

after(() => SUITE.close());

const COMPLETED = { stop: 'completed', tool_calls: 'completed', length: 'max_output_tokens' };

function apiClientOf({ like, program, streams, finish = COMPLETED }: ResponsesClient): ApiClient {
  return { client: withProgram(clientCalled(like), program), streams, finish };
}

for (const client of CLIENTS) {
  test(`S124 S125 S126 ${client.name} parses every response and every error with its Responses API`, async () => {
    assert.deepEqual(await SUITE.wrongReadings(apiClientOf(client)), []);
  });
}

/** What each client makes of its own answers when a conversation goes on. */
for (const client of CLIENTS) {
  test(`S124 ${client.name} continues a conversation with its own history`, async () => {
    const ways = client.name === 'AI SDK, openai' ? ['turns', 'turns-unstored'] : ['turns'];
    for (const way of ways) await SUITE.checkTurns(apiClientOf(client).client, way);
  });
}
