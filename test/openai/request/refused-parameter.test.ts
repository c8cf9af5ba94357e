import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import {
  findRefusedParameters,
  isDroppable,
  renameOfRefused,
} from '../../../src/openai/request/refused-parameter.ts';

const json = {
  model: 'm',
  messages: [],
  user: 'u',
  store: true,
  metadata: {},
  seed: 1,
  parallel_tool_calls: true,
  max_tokens: 5,
  temperature: 0,
  tools: [],
  tool_choice: 'auto',
  response_format: {},
  logprobs: true,
  frequency_penalty: 0,
  drop_params: true,
  thinking: {},
};

function refused(
  message: string,
  facts: { param?: string; code?: string; status?: number } = {},
): string | null {
  const changes = findRefusedParameters(new FerryError('client_fault', { message, ...facts }), { json });
  return changes.length === 0 ? null : changes.join(', ');
}

test('Q145 the parameter is found in the texts of vLLM, NIM, Mistral, OpenAI, Groq, Google and others', () => {
  const cases: [string, string][] = [
    ['extra inputs are not permitted: drop_params', 'drop_params'],
    ['drop_params: Extra inputs are not permitted', 'drop_params'],
    ['body.drop_params: Extra inputs are not permitted', 'drop_params'],
    ['thinking: Extra inputs are not permitted', 'thinking'],
    [
      "[{'type': 'extra_forbidden', 'loc': ('body', 'store'), 'msg': 'Extra inputs are not permitted'}]",
      'store',
    ],
    ['Unrecognized request argument supplied: thinking', 'thinking'],
    ["Unsupported parameter: 'parallel_tool_calls' is not supported with this model.", 'parallel_tool_calls'],
    ["Unknown parameter: 'metadata'.", 'metadata'],
    ["Additional properties are not allowed ('seed' was unexpected)", 'seed'],
    ['json: unknown field "user"', 'user'],
    ['`frequency_penalty` is not supported by this model', 'frequency_penalty'],
    ['Invalid JSON payload received. Unknown name "store": Cannot find field.', 'store'],
    ['Argument not supported on this model: logprobs', 'logprobs'],
    ["create() got an unexpected keyword argument 'thinking'", 'thinking'],
    ['stream_options is not supported', 'stream_options'],
    ['logprobs is not supported on this model', 'logprobs'],
    ['body -> user\n  Extra inputs are not permitted', 'user'],
    ['metadata.user_id: Extra inputs are not permitted', 'metadata'],
    ['Additional property thinking is not allowed', 'thinking'],
    ['The parameter `seed` specified in the request are not valid', 'seed'],
    ['参数 parallel_tool_calls 不支持', 'parallel_tool_calls'],
  ];
  for (const [message, name] of cases) assert.equal(refused(message), name, message);
});

test('Q146 the param field names it, also with a path after it', () => {
  assert.equal(refused('Unsupported value', { param: 'stream_options.include_usage' }), 'stream_options');
  assert.equal(refused('Extra inputs are not permitted', { param: 'body.user' }), 'user');
  assert.equal(refused('Bad', { param: 'user', code: 'unknown_parameter' }), 'user');
});

test('Q146 a refused max_tokens is found, to be sent under its other name', () => {
  const message =
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
  assert.equal(refused(message, { param: 'max_tokens', code: 'unsupported_parameter' }), 'max_tokens');
  assert.equal(refused(message), 'max_tokens');
  assert.equal(renameOfRefused('max_tokens'), 'max_completion_tokens');
  assert.equal(renameOfRefused('toString'), null);
});

test('messages, tools, tool_choice, response_format, stop and the like are never dropped', () => {
  for (const name of ['messages', 'tools', 'tool_choice', 'response_format', 'stop', 'stream', 'model']) {
    assert.equal(refused(`Unsupported parameter: '${name}'`), null, name);
    assert.equal(refused('is not supported', { param: name }), null, name);
    assert.equal(isDroppable(name), false, name);
  }
  assert.equal(refused("'tool_choice' is not supported together with 'parallel_tool_calls'"), null);
});

test('an error that refuses nothing, or names a parameter that was not sent, drops nothing', () => {
  for (const message of [
    'metadata must be an object',
    'The user message is too long',
    'Unsupported image type in user content',
    'messages.0.user: Extra inputs are not permitted',
    'tools.0.function.strict: Extra inputs are not permitted',
    'This user is not allowed to do that',
    'unknown field "absent"',
    'max_tokens is too large: 100000. This model supports at most 4096 completion tokens',
    '',
  ]) {
    assert.equal(refused(message), null, message);
  }
});

test('only a 400 or 422 of the client-fault kind refuses a parameter', () => {
  assert.equal(refused("Unknown parameter: 'user'.", { status: 422 }), 'user');
  assert.equal(refused("Unknown parameter: 'user'.", { status: 413 }), null);
  for (const kind of ['rate_limited', 'context_overflow', 'content_filtered'] as const) {
    const other = new FerryError(kind, { message: "Unknown parameter: 'user'." });
    assert.deepEqual(findRefusedParameters(other, { json }), [], kind);
  }
});

test('a name that is invalid in a header is ignored', () => {
  const odd = { ...json, 'x\r\ny': 1, '': 2, ü: 3 };
  for (const name of Object.keys(odd).slice(-3)) {
    const error = new FerryError('client_fault', { message: `Unknown parameter: '${name}'.`, param: name });
    assert.deepEqual(findRefusedParameters(error, { json: odd }), []);
  }
});
