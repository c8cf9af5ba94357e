import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chunk,
  completion,
  DONE,
  failureOfReply,
  type Overrides,
  PLAIN,
  ROLE,
  reply,
  STOP,
  sse,
  text,
  USAGE,
  usageChunk,
} from '../upstream-bytes.ts';

const MESSAGE = { role: 'assistant', content: 'Hello', refusal: null };

/** A reply to which nothing needs to be done. */
function canonical(message: object = {}, choice: object = {}, more: object = {}): Record<string, unknown> {
  return completion({ ...MESSAGE, ...message }, { logprobs: null, ...choice }, more);
}

function rewritten(object: unknown, overrides: Overrides = {}) {
  const result = reply(JSON.stringify(object), overrides);
  assert.equal(result.isRelayed, false);
  return result.json;
}

test('S25-S35 a canonical response is relayed as its own bytes', () => {
  const odd = JSON.stringify(canonical()).replace(
    '"logprobs":null',
    '"logprobs":null,"n":12345678901234567890,"w":1.0',
  );
  const { isRelayed, body, usage, upstreamModel } = reply(odd);
  assert.equal(isRelayed, true);
  assert.equal(body.toString(), odd);
  assert.equal(upstreamModel, 'up-model');
  assert.deepEqual(usage, { promptTokens: 5, completionTokens: 2, totalTokens: 7 });
});

test('S35 a line end after a canonical response is cut off and the rest relayed', () => {
  const { isRelayed, body } = reply(`${JSON.stringify(canonical())}\n`);
  assert.equal(isRelayed, true);
  assert.equal(body.toString(), JSON.stringify(canonical()));
});

test('S31 canonical tool calls are relayed', () => {
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } };
  const body = JSON.stringify(
    canonical({ content: null, tool_calls: [call] }, { finish_reason: 'tool_calls' }),
  );
  assert.equal(reply(body).isRelayed, true);
});

test('S27 S28 missing object, id, created, model, index, logprobs are filled', () => {
  const json = rewritten({
    choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }],
    usage: USAGE,
  });
  assert.deepEqual(json, {
    ...canonical(),
    id: 'chatcmpl-own',
    created: 1_763_700_000,
    model: 'asked-model',
  });
});

test('S29 role and content are repaired', () => {
  for (const message of [{ role: 'tool' }, { role: null }, { content: [{ type: 'text', text: 'Hello' }] }]) {
    assert.deepEqual(rewritten(canonical(message)), canonical());
  }
  const { message } = rewritten(canonical({ content: null })).choices[0];
  assert.equal(message.content, '');
});

test('S30 S31 finish reason, arguments and ids of tool calls', () => {
  const calls = [{ function: { name: 'f', arguments: { x: 1 } } }, { id: '', function: { name: 'g' } }];
  const { message, finish_reason: finish } = rewritten(canonical({ content: null, tool_calls: calls }))
    .choices[0];
  assert.equal(finish, 'tool_calls');
  assert.equal(message.content, null);
  assert.deepEqual(
    message.tool_calls.map((call: { function: object }) => call.function),
    [
      { name: 'f', arguments: '{"x":1}' },
      { name: 'g', arguments: '{}' },
    ],
  );
  assert.match(message.tool_calls[1].id, /^call_[0-9a-f]{24}$/);
});

test('S31 tool_calls [] or null is absent', () => {
  for (const none of [[], null])
    assert.ok(!('tool_calls' in rewritten(canonical({ tool_calls: none })).choices[0].message));
});

test('S32 usage is always there: recomputed, or estimated and marked', () => {
  assert.deepEqual(rewritten(canonical({}, {}, { usage: { ...USAGE, total_tokens: 1 } })).usage, USAGE);
  for (const usage of [undefined, null, {}]) {
    const { json, isUsageEstimated } = reply(JSON.stringify(canonical({}, {}, { usage })), {
      promptForEstimate: () => 'Hi',
    });
    assert.equal(isUsageEstimated, true);
    assert.ok(json.usage.completion_tokens > 0 && json.usage.prompt_tokens > 0);
  }
});

test('S32 Q102 usage in a vendor’s member is used instead of an estimate', () => {
  for (const beside of [
    { x_groq: { usage: USAGE } },
    { 'amazon-bedrock-invocationMetrics': { inputTokenCount: 5, outputTokenCount: 2 } },
    { timings: { prompt_n: USAGE.prompt_tokens, predicted_n: USAGE.completion_tokens } },
  ]) {
    const { isUsageEstimated, usage } = reply(
      JSON.stringify(canonical({}, {}, { usage: undefined, ...beside })),
    );
    assert.equal(isUsageEstimated, false);
    assert.ok((usage?.promptTokens ?? 0) > 0 && (usage?.completionTokens ?? 0) > 0);
  }
});

test('S33 reasoning of any name becomes reasoning_content; think tags by profile', () => {
  const { message } = rewritten(canonical({ reasoning: 'hm' })).choices[0];
  assert.deepEqual([message.reasoning_content, message.content], ['hm', 'Hello']);
  const tagged = canonical({ content: '<think>hm</think>Hello' });
  assert.equal(reply(JSON.stringify(tagged)).isRelayed, true);
  const split = rewritten(tagged, { profile: { thinkTags: 'split' } }).choices[0].message;
  assert.deepEqual([split.reasoning_content, split.content], ['hm', 'Hello']);
});

test('S35 pretty-printed, with a byte order mark or white space around it: one line', () => {
  const pretty = JSON.stringify(canonical(), null, 2);
  for (const body of [pretty, `\ufeff${pretty}`, `  \n\n${JSON.stringify(canonical())}\n`]) {
    assert.deepEqual(reply(body).json, canonical());
  }
});

test('S35 NaN becomes null', () => {
  const body = JSON.stringify(canonical({}, {}, { score: 1 })).replace('"score":1', '"score":NaN');
  assert.ok(!('score' in reply(body).json));
});

test('reply_model: requested', () => {
  const { json, upstreamModel } = reply(JSON.stringify(canonical()), { replyModel: 'requested' });
  assert.deepEqual([json.model, upstreamModel], ['asked-model', 'up-model']);
});

test('members that OpenAI does not know are kept', () => {
  const json = rewritten(
    canonical({ annotations: [{ type: 'x' }], role: null }, { stop_reason: 7 }, { service_tier: 't' }),
  );
  assert.equal(json.service_tier, 't');
  assert.equal(json.choices[0].stop_reason, 7);
  assert.deepEqual(json.choices[0].message.annotations, [{ type: 'x' }]);
});

test('S64 logprobs are kept', () => {
  const logprobs = { content: [{ token: 'x', logprob: -1 }], refusal: null };
  assert.deepEqual(rewritten(canonical({ role: null }, { logprobs })).choices[0].logprobs, logprobs);
});

test('several choices keep their order', () => {
  const body = canonical();
  const choice = (body.choices as object[])[0];
  const two = {
    ...body,
    choices: [
      { ...choice, index: 1, message: { content: 'b' } },
      { ...choice, index: 0 },
    ],
  };
  const json = rewritten(two, { choiceCount: 2 });
  assert.deepEqual(
    json.choices.map((one: { message: { content: string } }) => one.message.content),
    ['Hello', 'b'],
  );
});

test('S68 Q35 an SSE or NDJSON body is aggregated', () => {
  const logprobs = (token: string) => ({ content: [{ token }], refusal: null });
  const event = (token: string) => ({
    ...text(token),
    choices: [{ index: 0, delta: { content: token }, logprobs: logprobs(token) }],
  });
  const body = sse(
    ROLE,
    chunk({ reasoning_content: 'hm' }),
    event('Hello'),
    event(' world'),
    STOP,
    usageChunk(USAGE),
    DONE,
  );
  const { json, usage } = reply(body);
  const { message, logprobs: joined } = json.choices[0];
  assert.deepEqual(
    [message.content, message.reasoning_content, usage?.totalTokens],
    ['Hello world', 'hm', 7],
  );
  assert.equal(joined.content.length, 2);
  assert.equal(
    reply(body.replaceAll('data: ', '').replaceAll('\n\n', '\n')).json.choices[0].message.content,
    'Hello world',
  );
});

test('S68 tool calls of an SSE body are joined', () => {
  const opening = { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '{"x"' } };
  const later = { index: 0, function: { arguments: ':1}' } };
  const { json } = reply(
    sse(ROLE, chunk({ tool_calls: [opening] }), chunk({ tool_calls: [later] }), STOP, DONE),
  );
  assert.deepEqual(json.choices[0].message.tool_calls, [
    { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } },
  ]);
});

test('S79 legacy functions get a response in the legacy form', () => {
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
  const json = rewritten(canonical({ content: null, tool_calls: [call] }, { finish_reason: 'tool_calls' }), {
    legacyFunctions: true,
  });
  assert.deepEqual(json.choices[0].message.function_call, { name: 'f', arguments: '{}' });
  assert.equal(json.choices[0].finish_reason, 'function_call');
});

test('Q42 an envelope is opened', () => {
  assert.deepEqual(rewritten({ code: 0, msg: 'ok', data: canonical() }), canonical());
});

test('S85 Q134 a 200 with an error is that error', () => {
  assert.match(failureOfReply('{"error":{"message":"it broke","code":500}}').message, /it broke/);
  const limited = failureOfReply(
    JSON.stringify({ base_resp: { status_code: 1002, status_msg: 'slow down' }, choices: null }),
  );
  assert.equal(limited.kind, 'rate_limited');
});

test('Q60 a finish reason that means a failure is an error', () => {
  const failure = failureOfReply(JSON.stringify(canonical({}, { finish_reason: 'network_error' })));
  assert.deepEqual([failure.kind, failure.code], ['generation_failed', 'network_error']);
});

test('S97 Q29 Q38 Q40 empty, HTML, plain text, other JSON: invalid response', () => {
  for (const body of [
    '',
    '  \n',
    '<html><body>login</body></html>',
    'no healthy upstream',
    '{}',
    '[]',
    '{"a":1}',
    '42',
    '"x"',
  ]) {
    assert.equal(failureOfReply(body).kind, 'invalid_response', body);
  }
  assert.equal(failureOfReply(JSON.stringify(canonical({}, {}, { choices: [] }))).kind, 'invalid_response');
});

test('a JSON body that is cut is a disconnect, wherever', () => {
  const body = JSON.stringify(canonical());
  for (let cut = 1; cut < body.length; cut += 7)
    assert.equal(failureOfReply(body.slice(0, cut)).kind, 'disconnected', `${cut}`);
});

test('an SSE body that is cut is a disconnect', () => {
  assert.equal(failureOfReply(PLAIN.slice(0, PLAIN.indexOf('" world"'))).kind, 'disconnected');
});

test('Q46 the charset of the header decodes the body', () => {
  const [before, after] = JSON.stringify(canonical({ content: '#' })).split('#') as [string, string];
  const body = Buffer.concat([Buffer.from(before), Buffer.from([0xc4, 0xe3]), Buffer.from(after)]);
  const { json } = reply(body, { contentType: 'application/json; charset=gbk' });
  assert.equal(json.choices[0].message.content, '你');
});
