import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ANSWERS, type Json, USAGE } from '../clients/answers.ts';
import { CLIENT_KEY, type Ferry, startFerry } from '../clients/ferry.ts';
import type { Vector } from '../clients/vector.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from '../clients/vectors.ts';
import {
  checkErrorBody,
  checkMessage,
  checkMessagesStream,
  type ReadMessage,
} from '../helpers/messages-checker.ts';

let ferry: Ferry;

before(async () => {
  ferry = await startFerry({ messages: 'via_chat' });
});

after(() => ferry.close());

const QUESTION = [{ role: 'user', content: 'When does it leave?' }];
const STOP_REASONS = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use' };

function ask(model: string, stream: boolean): Promise<Response> {
  return fetch(`${ferry.gatewayUrl}/v1/messages`, {
    method: 'POST',
    headers: {
      'x-api-key': CLIENT_KEY,
      'anthropic-version': '2023-06-01',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ model, max_tokens: 500, messages: QUESTION, stream }),
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a message as it comes, looked at by the test.
type Message = Record<string, any>;

/** The message says what the model said, as if a conforming upstream had sent it. */
function compare(
  { name, answer, ownIds, ownUsage }: Vector,
  message: Message,
  said: Pick<ReadMessage, 'text' | 'thinking' | 'calls'>,
): void {
  const { text, reasoning, calls, finish } = ANSWERS[answer];
  assert.equal(said.text, text.join(''), name);
  assert.equal(said.thinking, reasoning.join(''), name);
  const expected = calls.map(({ id, name: called, arguments: pieces }) => ({
    ...(ownIds !== true && { id }),
    name: called,
    input: JSON.parse(pieces.join('')) as Json,
  }));
  const got = said.calls.map(({ id, name: called, input }) => ({
    ...(ownIds !== true && { id }),
    name: called,
    input,
  }));
  assert.deepEqual(got, expected, name);
  assert.equal(message.stop_reason, STOP_REASONS[finish], name);
  const { input_tokens: input, output_tokens: output } = message.usage;
  if (ownUsage === true) assert.ok(input > 0, name);
  else assert.deepEqual([input, output], [USAGE.prompt_tokens, USAGE.completion_tokens], name);
}

test('for every odd stream of a chat upstream the events of the Messages API are complete and say the same', async () => {
  for (const vector of [...STREAM_VECTORS, ...WHOLE_VECTORS]) {
    const response = await ask(vector.name, true);
    const body = await response.text();
    assert.equal(response.status, 200, `${vector.name}: ${body}`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    try {
      const { message, error, ...said } = checkMessagesStream(body);
      assert.equal(error, null);
      compare(vector, message as Message, said);
    } catch (failure) {
      throw new Error(`${vector.name}: ${body.slice(0, 3_000)}`, { cause: failure });
    }
  }
});

test('every odd whole response of a chat upstream is one message', async () => {
  for (const vector of WHOLE_VECTORS) {
    const response = await ask(vector.name, false);
    const message = (await response.json()) as Message;
    assert.equal(response.status, 200, `${vector.name}: ${JSON.stringify(message)}`);
    checkMessage(message);
    const of = (type: string): Message[] => message.content.filter((block: Message) => block.type === type);
    compare(vector, message, {
      text: of('text')
        .map(({ text }) => text)
        .join(''),
      thinking: of('thinking')
        .map(({ thinking }) => thinking)
        .join(''),
      calls: of('tool_use') as unknown as ReadMessage['calls'],
    });
  }
});

test('every fault of a chat upstream is an error of the Messages API, before the stream or as its last event', async () => {
  for (const { name, expect, only } of FAULT_VECTORS) {
    for (const stream of [true, false]) {
      if (only === (stream ? 'whole' : 'stream')) continue;
      const response = await ask(name, stream);
      const body = await response.text();
      if (response.status === 200) {
        assert.ok(stream && expect.status === null, `${name}: ${body}`);
        const { error, text } = checkMessagesStream(body);
        assert.match(error?.message, expect.says, name);
        assert.equal(text, expect.text ?? '', name);
        continue;
      }
      const error = checkErrorBody(JSON.parse(body), response.status);
      assert.match(error.message, expect.says, name);
      const overloaded = expect.status === 503 ? 529 : expect.status;
      if (expect.status !== null) assert.equal(response.status, overloaded, name);
      assert.equal(response.headers.get('request-id'), response.headers.get('x-request-id'), name);
      if (response.status === 429) assert.match(response.headers.get('retry-after') ?? '', /^\d+$/, name);
    }
  }
});
