import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { predictionRequest } from '../../../src/upstream/replicate/prediction-request.ts';

const MIXTRAL = 'mistralai/mixtral-8x7b-instruct-v0.1';

interface Sent {
  readonly version?: string;
  readonly stream: boolean;
  readonly input: Readonly<Record<string, unknown>>;
}

function sent(model: string, json: object, endpoint: 'chat' | 'completions' = 'chat'): Sent {
  return JSON.parse(predictionRequest(endpoint, model, { ...json }).body) as Sent;
}

function promptOf(...messages: readonly (readonly [role: string, content: string])[]): unknown {
  const list = messages.map(([role, content]) => ({ role, content }));
  return sent(MIXTRAL, { messages: list }).input.prompt;
}

test('a question is in the form that openai-api-route sent', () => {
  assert.equal(promptOf(['user', 'hi']), '<s> [INST] hi [/INST] ');
  assert.equal(sent(MIXTRAL, { messages: [] }).input.prompt_template, '{prompt}');
});

test('a system prompt stands before the next question; a developer message is one', () => {
  assert.equal(promptOf(['system', 'be brief'], ['user', 'hi']), '<s> [INST] be brief\nhi [/INST] ');
  assert.equal(promptOf(['system', 'a'], ['developer', 'b'], ['user', 'hi']), '<s> [INST] a\nb\nhi [/INST] ');
});

test('turns become pairs of question and response, and the last question stays open', () => {
  assert.equal(
    promptOf(['user', 'one'], ['assistant', 'two'], ['user', 'three']),
    '<s> [INST] one [/INST] two </s><s> [INST] three [/INST] ',
  );
  assert.equal(
    promptOf(['user', '1'], ['assistant', '2'], ['user', '3'], ['assistant', '4'], ['user', '5']),
    '<s> [INST] 1 [/INST] 2 </s>\n<s> [INST] 3 [/INST] 4 </s><s> [INST] 5 [/INST] ',
  );
});

test('questions in a row are joined, a response without a question stands alone, and a system prompt at the end is not lost', () => {
  assert.equal(promptOf(['user', 'a'], ['user', 'b']), '<s> [INST] a\nb [/INST] ');
  assert.equal(promptOf(['assistant', 'hello'], ['user', 'a']), '<s> hello </s><s> [INST] a [/INST] ');
  assert.equal(promptOf(['user', 'a'], ['system', 's']), '<s> [INST] s\na [/INST] ');
});

test('Llama 3 gets its own headers, and vendors that wrap prompts themselves get the question and the system prompt', () => {
  const messages = [
    { role: 'system', content: 's' },
    { role: 'user', content: 'q' },
  ];
  assert.equal(
    sent('meta/meta-llama-3-8b-instruct', { messages }).input.prompt,
    '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\ns<|eot_id|>' +
      '<|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
  );
  const plain = sent('openai/gpt-4o', { messages }).input;
  assert.equal(plain.prompt, 'q');
  assert.equal(plain.system_prompt, 's');
  assert.equal(plain.prompt_template, undefined);
  const turns = [...messages, { role: 'assistant', content: 'r' }, { role: 'user', content: 'again' }];
  assert.equal(
    sent('openai/gpt-4o', { messages: turns }).input.prompt,
    'User: q\n\nAssistant: r\n\nUser: again\n\nAssistant:',
  );
});

test('limits and sampling have Replicate’s names; what the client does not set is left to the model', () => {
  const { input } = sent(MIXTRAL, {
    messages: [],
    max_tokens: 64,
    temperature: 0.2,
    top_p: 0.8,
    presence_penalty: 1,
    frequency_penalty: 0.5,
    seed: 3,
    stop: ['END', 'a,b'],
  });
  assert.equal(input.max_new_tokens, 64);
  assert.equal(input.max_tokens, 64);
  assert.equal(input.temperature, 0.2);
  assert.equal(input.top_p, 0.8);
  assert.equal(input.presence_penalty, 1);
  assert.equal(input.frequency_penalty, 0.5);
  assert.equal(input.seed, 3);
  assert.equal(input.stop_sequences, 'END');
  const bare = sent(MIXTRAL, { messages: [] }).input;
  assert.deepEqual(Object.keys(bare).sort(), ['max_new_tokens', 'max_tokens', 'prompt', 'prompt_template']);
  assert.equal(bare.max_new_tokens, 1024);
  assert.equal(sent(MIXTRAL, { messages: [], max_completion_tokens: 5 }).input.max_new_tokens, 5);
});

test('a model is addressed by name, by version or as a deployment', () => {
  const path = (model: string): string => predictionRequest('chat', model, {}).path;
  assert.equal(path(MIXTRAL), `/models/${MIXTRAL}/predictions`);
  assert.equal(path('acme/llm:5c7d'), '/predictions');
  assert.equal(sent('acme/llm:5c7d', {}).version, '5c7d');
  assert.equal(path('deployments/acme/llm'), '/deployments/acme/llm/predictions');
});

test('a name that Replicate cannot have is an unknown model, so that another upstream is tried', () => {
  for (const model of ['gpt-4', '../account', 'a/..', 'a/b/c', 'a/b?x=1', 'a/b:', '', 'a//b', 'a/b#c']) {
    assert.throws(
      () => predictionRequest('chat', model, {}),
      (error) => error instanceof FerryError && error.kind === 'model_not_found',
      model,
    );
  }
});

test('the prompt of a completion is sent as it is; several prompts are refused', () => {
  assert.equal(sent(MIXTRAL, { prompt: 'Once' }, 'completions').input.prompt, 'Once');
  assert.equal(sent(MIXTRAL, { prompt: ['Once'] }, 'completions').input.prompt, 'Once');
  assert.throws(() => predictionRequest('completions', MIXTRAL, { prompt: ['a', 'b'] }), /takes one prompt/);
});
