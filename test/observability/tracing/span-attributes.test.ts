import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  providerOf,
  requestAttributes,
  responseAttributes,
  usageAttributes,
} from '../../../src/observability/tracing/span-attributes.ts';

const HOSTS: Readonly<Record<string, string>> = {
  'api.openai.com': 'openai',
  'eu.api.openai.com': 'openai',
  'corp.openai.azure.com': 'azure.ai.openai',
  'corp.services.ai.azure.com': 'azure.ai.inference',
  'api.anthropic.com': 'anthropic',
  'bedrock-runtime.eu-central-1.amazonaws.com': 'aws.bedrock',
  'bedrock-mantle.us-east-1.api.aws': 'aws.bedrock',
  'api.cohere.com': 'cohere',
  'api.deepseek.com': 'deepseek',
  'generativelanguage.googleapis.com': 'gcp.gemini',
  'europe-west1-aiplatform.googleapis.com': 'gcp.vertex_ai',
  'api.groq.com': 'groq',
  'us-south.ml.cloud.ibm.com': 'ibm.watsonx.ai',
  'api.mistral.ai': 'mistral_ai',
  'api.moonshot.cn': 'moonshot_ai',
  'api.perplexity.ai': 'perplexity',
  'api.x.ai': 'x_ai',
  'api.replicate.com': 'replicate',
};

for (const [host, name] of Object.entries(HOSTS)) {
  test(`the provider of ${host} is ${name}`, () => {
    assert.equal(providerOf(host, '/v1/chat/completions'), name);
  });
}

test('the provider of an unknown host is the API that is spoken', () => {
  for (const host of ['llm.corp.example', 'notopenai.com', 'openai.com.evil.example'])
    assert.equal(providerOf(host, '/v1/chat/completions'), 'openai');
  assert.equal(providerOf('llm.corp.example', '/v1/messages'), 'anthropic');
});

test('parameters become attributes, content does not', () => {
  const attributes = requestAttributes({
    model: 'm',
    messages: [{ role: 'user', content: 'private' }],
    tools: [{ type: 'function', function: { name: 'private' } }],
    stop: ['private'],
    user: 'private',
    max_completion_tokens: 10,
    max_tokens: 99,
    temperature: 0,
    top_p: 0.5,
    top_k: 40,
    frequency_penalty: -1,
    presence_penalty: 1.5,
    seed: 3,
    n: 2,
    stream: true,
    reasoning_effort: 'high',
    previous_response_id: 'resp_1',
    response_format: { type: 'json_schema', json_schema: { name: 'private' } },
  });
  assert.deepEqual(attributes, {
    'gen_ai.request.max_tokens': 10,
    'gen_ai.request.temperature': 0,
    'gen_ai.request.top_p': 0.5,
    'gen_ai.request.top_k': 40,
    'gen_ai.request.frequency_penalty': -1,
    'gen_ai.request.presence_penalty': 1.5,
    'gen_ai.request.seed': 3,
    'gen_ai.request.choice.count': 2,
    'gen_ai.request.stream': true,
    'gen_ai.request.reasoning.level': 'high',
    'gen_ai.request.previous_response.id': 'resp_1',
    'gen_ai.output.type': 'json',
  });
});

test('values of another type, one choice and no stream have no attribute', () => {
  assert.deepEqual(
    requestAttributes({
      max_tokens: '10',
      temperature: null,
      top_p: Number.NaN,
      seed: 1.5,
      n: 1,
      stream: false,
      reasoning: [],
      response_format: { type: 'text' },
    }),
    {},
  );
});

test('a response without facts has no attributes', () => {
  assert.deepEqual(responseAttributes({ id: null, model: null, finishReasons: [] }), {});
});

test('cached and reasoning tokens are counted under either name of their API', () => {
  const counts = { promptTokens: 10, completionTokens: 5, totalTokens: 15 };
  for (const [prompt, output] of [
    ['prompt_tokens_details', 'completion_tokens_details'],
    ['input_tokens_details', 'output_tokens_details'],
  ] as const) {
    const extensions = { [prompt]: { cached_tokens: 4 }, [output]: { reasoning_tokens: 2 } };
    assert.deepEqual(usageAttributes({ ...counts, extensions }, true), {
      'gen_ai.usage.input_tokens': 10,
      'gen_ai.usage.output_tokens': 5,
      'gen_ai.usage.cache_read.input_tokens': 4,
      'gen_ai.usage.reasoning.output_tokens': 2,
    });
  }
  assert.deepEqual(usageAttributes(counts, false), { 'gen_ai.usage.input_tokens': 10 });
});
