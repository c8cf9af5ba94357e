import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { parseRequest, type RequestKind } from '../../../src/openai/request/parsed-request.ts';
import type { Profile } from '../../../src/openai/request/profile.ts';
import { findRefusedMembers } from '../../../src/openai/request/refused-member.ts';
import { adaptRequest } from '../../../src/openai/request/request-adaptation.ts';
import { findRewrite, REWRITE, refusesStreaming } from '../../../src/openai/request/request-rewrites.ts';
import { DEFAULT_PROFILE } from '../../helpers/default-profile.ts';

interface Refusal {
  readonly status?: number;
  readonly param?: string;
}

function refusedOf(
  request: object,
  message: string,
  facts: Refusal = {},
  kind: RequestKind = 'chat',
): string | null {
  const read = parseRequest(Buffer.from(JSON.stringify({ model: 'm', ...request })), kind);
  return findRewrite(new FerryError('client_fault', { message, ...facts }), read);
}

function adapted(
  messages: string,
  learnedDrops: readonly string[],
  profile: Partial<Profile> = {},
): { messages: string; dropped: readonly string[] } {
  const { body, dropped } = adaptRequest(
    parseRequest(Buffer.from(`{"model":"m","messages":${messages}}`), 'chat'),
    {
      upstreamModel: 'm',
      profile: { ...DEFAULT_PROFILE, ...profile },
      wantUsage: false,
      learnedDrops,
      forceStream: false,
    },
  );
  return { messages: body.toString().slice('{"model":"m","messages":'.length, -1), dropped };
}

const ONE_QUESTION = { messages: [{ role: 'user', content: 'Hi' }] };

test('Q47b the texts of upstreams that only stream', () => {
  for (const words of [
    'Stream must be set to true',
    'stream must be true',
    'This model only support stream mode, please enable the stream parameter to access the model.',
    'parameter.enable_thinking must be set to false for non-streaming calls',
    "Unsupported value: 'stream' does not support false with this model.",
    'Non-streaming requests are not supported',
    'non stream mode is not allowed',
    'This endpoint only supports streaming responses.',
    'Streaming is required for this model',
    'stream=true is required',
    'Please set stream to true',
    'stream: cannot be false',
    'stream should not be false',
    '该模型仅支持流式调用',
    '当前模型只支持 stream 模式',
    '不支持非流式请求',
    'stream 参数必须为 true',
  ]) {
    assert.equal(refusedOf(ONE_QUESTION, words), REWRITE.notStreaming, words);
    assert.equal(refusedOf({ ...ONE_QUESTION, stream: true }, words), null, `of a stream: ${words}`);
    assert.equal(refusedOf({ input: 'a' }, words, {}, 'embeddings'), null, 'embeddings have no streams');
  }
});

test('Q47b other texts about streams are not learned', () => {
  for (const words of [
    'Streaming is not supported',
    'logprobs requires stream to be false',
    'stream must be set to false when n is given, please',
    'stream must be a boolean',
    'the upstream said no',
    "'n' must be 1",
    'temperature is only supported up to 2',
  ]) {
    assert.equal(refusedOf(ONE_QUESTION, words), null, words);
  }
  assert.equal(refusedOf(ONE_QUESTION, 'Stream must be set to true', { status: 413 }), null);
});

test('S67 the texts of upstreams that do not stream at all', () => {
  const refuses = (message: string, stream = true): boolean =>
    refusesStreaming(
      new FerryError('client_fault', { message }),
      parseRequest(Buffer.from(JSON.stringify({ model: 'm', ...ONE_QUESTION, stream })), 'chat'),
    );
  for (const words of [
    'Streaming is not supported',
    'streaming is not supported for this model',
    'This model does not support streaming.',
    "Unsupported value: 'stream' does not support true.",
    'stream must be false',
    "'stream' must be set to false",
    'Streaming responses are not available on this endpoint',
    'Streaming mode is disabled',
    '该模型不支持流式输出',
  ]) {
    assert.equal(refuses(words), true, words);
    assert.equal(refuses(words, false), false, words);
  }
  for (const words of [
    'stream_options is not supported',
    'Streaming is not supported with tools',
    'stream must be false when n is greater than 1',
    'tools are not supported in stream mode',
    'Stream must be set to true',
    'the upstream is not supported',
    'temperature is not supported',
  ]) {
    assert.equal(refuses(words), false, words);
  }
});

const PARTS = { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] };

test('S67 a stream is requested with stream: false from an upstream that refused streams, one that only streams gets streams', () => {
  const sent = (text: string, learnedDrops: readonly string[]) =>
    adaptRequest(parseRequest(Buffer.from(text), 'chat'), {
      upstreamModel: 'm',
      profile: DEFAULT_PROFILE,
      wantUsage: true,
      learnedDrops,
      forceStream: false,
    });
  const asked = '{"model":"m","stream": true,"stream_options":{"include_usage":true},"seed":1.0}';
  const { body, dropped, stream } = sent(asked, [REWRITE.streaming]);
  assert.equal(body.toString(), '{"model":"m","stream": false,"seed":1.0}');
  assert.deepEqual([dropped, stream], [['stream:true'], false]);
  assert.equal(sent(asked, [REWRITE.streaming, REWRITE.notStreaming]).body.toString(), asked);
  assert.equal(sent('{"model":"m"}', [REWRITE.streaming]).body.toString(), '{"model":"m"}');
});

test('S102 the texts of upstreams that accept no parts, by language', () => {
  for (const words of [
    'messages.0.content: Input should be a valid string',
    'messages.0.content: str type expected',
    'Failed to deserialize the JSON body into the target type: messages[0]: invalid type: sequence, expected a string at line 1',
    'json: cannot unmarshal array into Go struct field ChatMessage.messages.content of type string',
    "'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : value must be a string)]",
    'can only concatenate str (not "list") to str',
    'content must be a string, not a list',
    "Invalid type for 'messages[0].content': expected a string, but got an array instead.",
  ]) {
    assert.equal(refusedOf(PARTS, words), REWRITE.parts, words);
    assert.equal(refusedOf(ONE_QUESTION, words), null, `nothing to change: ${words}`);
  }
  const image = { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] };
  assert.equal(refusedOf(image, 'messages.0.content: Input should be a valid string'), null);
  assert.equal(refusedOf(PARTS, "Invalid type for 'messages': expected an array of objects"), null);
});

test('S102 parts of text alone become one text, other messages stay byte for byte', () => {
  const messages =
    '[{"role":"user","content":[{"type":"text","text":"a\\u00e9"}, {"type":"text","text":"b"}]} , ' +
    '{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"x"}}]},{"content":"1.0", "role":"user"}]';
  const { messages: sent, dropped } = adapted(messages, [REWRITE.parts]);
  assert.equal(sent, messages.replace(/\[\{"type":"text","text":"a.*?"b"\}\]/, '"aé\\nb"'));
  assert.deepEqual(dropped, ['messages:parts']);
  assert.deepEqual(
    adapted('[{"role":"user","content":["a","b"]}]', [REWRITE.parts]).messages,
    '[{"role":"user","content":"a\\nb"}]',
  );
});

test('S102 message_content: text joins parts to one string, and names a part that is no text in a 400', () => {
  const profile = { messageContent: 'text' } as const;
  assert.equal(
    adapted('[{"role":"user","content":[{"type":"text","text":"a"}]}]', [], profile).messages,
    '[{"role":"user","content":"a"}]',
  );
  for (const type of ['image_url', 'input_audio', 'file', 'video_url']) {
    assert.throws(
      () =>
        adapted(
          `[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"${type}"}]}]`,
          [],
          profile,
        ),
      (error: unknown) =>
        error instanceof FerryError &&
        error.status === 400 &&
        error.param === 'messages.1.content.1' &&
        error.message.includes(type),
    );
  }
});

test('S102 by default parts are sent unchanged, images, audio, files and videos among them', () => {
  const messages =
    '[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":"http://x/y.png"},' +
    '{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"input_audio"},{"type":"file"},{"type":"video_url"}]}]';
  assert.deepEqual(adapted(messages, []), { messages, dropped: [] });
});

const CALLED = {
  messages: [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: null, tool_calls: [{ id: 'c' }] },
    { role: 'assistant', tool_calls: [{ id: 'd' }] },
  ],
};
const EMPTY = { messages: [{ role: 'assistant', content: '', tool_calls: [{ id: 'c' }] }] };

test('S103 null, absent and empty contents are found in the texts of refusals', () => {
  for (const words of [
    'messages.1.content: Input should be a valid string',
    'messages.1.content: none is not an allowed value',
    'messages[1]: missing field `content`',
    "'content' is a required property - 'messages.1'",
    "Invalid value for 'content': expected a string, got null.",
    'messages[1]: invalid type: null, expected a string',
    'content cannot be empty',
  ]) {
    assert.equal(refusedOf(CALLED, words), REWRITE.nullContent, words);
    assert.equal(refusedOf(ONE_QUESTION, words), null, words);
  }
  for (const words of [
    'messages: text content blocks must be non-empty',
    'The text field in the ContentBlock object at messages.1.content.0 is blank.',
    'message content must not be empty',
    'messages[1].content 不能为空',
    "message at position 1 with role 'assistant' must not be empty",
    'messages.1.content: String should have at least 1 character',
  ]) {
    assert.equal(refusedOf(EMPTY, words), REWRITE.emptyContent, words);
    assert.equal(
      refusedOf({ messages: [{ role: 'user', content: '' }] }, words),
      null,
      'a question is not made up',
    );
  }
});

test('S103 a null that was sent as "" and refused again is sent as a full stop', () => {
  const read = parseRequest(Buffer.from(JSON.stringify({ model: 'm', ...CALLED })), 'chat');
  const error = new FerryError('client_fault', { message: 'message content must not be empty' });
  assert.equal(findRewrite(error, read), REWRITE.nullContent);
  assert.equal(findRewrite(error, read, [REWRITE.nullContent]), REWRITE.emptyContent);
  assert.equal(findRewrite(error, read, [REWRITE.nullContent, REWRITE.emptyContent]), null);
});

test('S103 texts about other missing members of messages are not learned', () => {
  for (const words of [
    "messages.1: 'name' is a required property",
    'messages.1.tool_calls.0.function.arguments: field required',
    'messages: a message of the user is required',
  ]) {
    assert.equal(refusedOf(CALLED, words), null, words);
  }
});

test('S103 they are sent as the upstream accepts them, after any of these refusals', () => {
  const call = '"tool_calls":[{"id":"c"}]';
  const of = (content: string, ...learned: string[]): string =>
    adapted(`[{"role":"assistant",${content}${call}}]`, learned)
      .messages.replace(call, '')
      .replace(',}', '}');
  assert.equal(of('"content":null,', REWRITE.nullContent), '[{"role":"assistant","content":""}]');
  assert.equal(of('', REWRITE.nullContent), '[{"role":"assistant",,"content":""}]');
  assert.equal(of('"content":"",', REWRITE.emptyContent), '[{"role":"assistant","content":null}]');
  assert.equal(
    of('"content":"",', REWRITE.emptyContent, REWRITE.nullContent),
    '[{"role":"assistant","content":"."}]',
  );
  assert.equal(
    of('"content":null,', REWRITE.emptyContent, REWRITE.nullContent),
    '[{"role":"assistant","content":"."}]',
  );
  const empty =
    '[{"role":"assistant","content":""},{"role":"tool","content":""},{"role":"user","content":""}]';
  assert.equal(
    adapted(empty, [REWRITE.emptyContent]).messages,
    '[{"role":"assistant","content":"."},{"role":"tool","content":"."},{"role":"user","content":""}]',
  );
  assert.deepEqual(adapted(empty, [REWRITE.emptyContent]).dropped, ['messages:empty']);
  assert.deepEqual(adapted(empty, []), { messages: empty, dropped: [] });
});

test('S101 Q146 the role developer is found in a refusal, and sent as system', () => {
  const request = { messages: [{ role: 'developer', content: 'Be brief' }] };
  for (const words of [
    'messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`',
    'Unexpected message role.',
    "'developer' is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.0.role': invalid",
    "messages.0.role: Input should be 'system', 'user', 'assistant' or 'tool'",
    "'developer' is not one of ['system', 'assistant', 'user', 'function'] - 'messages.0.role'",
    'role developer is not in enum [system user assistant tool]',
    'role 取值必须是 system、user、assistant，不能是 developer',
    'Invalid role: developer',
  ]) {
    assert.equal(refusedOf(request, words), REWRITE.developer, words);
    assert.equal(refusedOf(ONE_QUESTION, words), null, words);
  }
  for (const words of [
    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
    'Conversation roles must alternate user/assistant/user/assistant/...',
    'System message must be at the beginning.',
    'Invalid value for content',
  ]) {
    assert.equal(refusedOf(request, words), null, words);
  }
  const { messages, dropped } = adapted('[{"role":"developer","content":1.0}]', [REWRITE.developer]);
  assert.equal(messages, '[{"role":"system","content":1.0}]');
  assert.deepEqual(dropped, ['messages:developer']);
});

test('S113 a refusal of blank inputs is one that names them, or that names nothing else', () => {
  const refused = (message: string, facts: Refusal & { input?: unknown } = {}): string | null =>
    refusedOf({ input: facts.input ?? ['a', ''], dimensions: 5 }, message, facts, 'embeddings');
  for (const words of [
    "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
    'Prompt cannot be empty',
    'Input content cannot be empty',
    'Input cannot contain empty strings or empty lists.',
    'input.texts[1]: String should have at least 1 character',
    '输入不能为空',
    'Bad Request',
  ]) {
    assert.equal(refused(words), REWRITE.blankInputs, words);
    assert.equal(refused(words, { status: 422 }), REWRITE.blankInputs);
    assert.equal(refused(words, { input: ['a', 'b'] }), null, words);
  }
  assert.equal(refused('`inputs` cannot be empty', { status: 413 }), REWRITE.blankInputs);
  assert.equal(refused('batch too large', { status: 413 }), null);
  assert.equal(refused('dimensions is not supported'), null);
  assert.equal(refused('Bad Request', { param: 'dimensions' }), null);
  for (const input of ['', ' \n', [''], [[1], []]])
    assert.equal(refused('Bad Request', { input }), REWRITE.blankInputs);
});

test('reasoning in the history that is refused gets its other name, then is left out; where it is missing an empty one is sent', () => {
  const history = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Yes.', reasoning_content: 'Hm.' },
  ];
  const changes = (message: string, avoided: readonly string[] = [], messages: unknown = history) =>
    findRefusedMembers(new FerryError('client_fault', { message }), { messages }, avoided);
  const rename = 'messages.reasoning_content>reasoning';
  for (const words of [
    'Unknown field messages[1].reasoning_content',
    'The reasoning_content is not allowed in the input messages.',
    'messages.1.reasoning_content: Extra inputs are not permitted',
  ]) {
    assert.deepEqual(changes(words), [rename], words);
  }
  const again = changes('messages.1.reasoning: Extra inputs are not permitted', [rename]);
  assert.deepEqual(again, ['messages.reasoning']);
  const missing = 'Missing `reasoning_content` field in the assistant message';
  assert.deepEqual(changes(missing), []);
  const without = history.map(({ role, content }) => ({ role, content }));
  assert.equal(refusedOf({ messages: without }, missing), REWRITE.missingReasoning);
  assert.deepEqual(changes('Unknown field reasoning_content', [], ONE_QUESTION.messages), []);
  const { messages, dropped } = adapted(JSON.stringify(history), [rename, 'messages.reasoning']);
  assert.equal(messages, '[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes."}]');
  assert.deepEqual(dropped, ['messages.reasoning_content']);
});
