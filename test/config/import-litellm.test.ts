import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { importConfiguration } from '../../src/config/import/import-configuration.ts';
import { load } from './config-text.ts';

const ENVIRONMENT = { OPENAI_API_KEY: 'key-openai', AZURE_KEY: 'key-azure', MASTER: 'key-master' };

function converted(text: string): { readonly yaml: string; readonly config: Config } {
  const { yaml } = importConfiguration('config.yaml', text);
  return { yaml, config: load(yaml, ENVIRONMENT).config };
}

const PROXY = `model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/my-deployment
      api_base: https://corp.openai.azure.com/
      api_key: os.environ/AZURE_KEY
      api_version: "2024-02-01"
      rpm: 60
      tpm: 9000
      cache_control_injection_points: []
    model_info:
      mode: chat
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      timeout: 30
      stream_timeout: 5
  - model_name: local
    litellm_params:
      model: hosted_vllm/meta/llama
      api_base: http://gpu.example:8000/v1
  - model_name: bge
    litellm_params:
      model: hosted_vllm/BAAI/bge-m3
      api_base: http://gpu.example:8000/v1
  - model_name: mix
    litellm_params:
      model: replicate/mistralai/mixtral-8x7b-instruct-v0.1
      api_key: r8_key
  - model_name: claude
    litellm_params:
      model: bedrock/anthropic.claude-v2
  - model_name: phi
    litellm_params: { model: ollama/phi, api_base: "http://ollama.example:11434" }
litellm_settings:
  drop_params: true
  num_retries: 3
  request_timeout: 600
  success_callback: [langfuse]
  fallbacks: [{ gpt-4o: [local] }]
router_settings:
  routing_strategy: least-busy
  model_group_alias: { gpt-4: gpt-4o }
  redis_host: redis
general_settings:
  master_key: os.environ/MASTER
  database_url: postgresql://u:p@db/litellm
  alerting: [slack]
environment_variables:
  LANGFUSE_PUBLIC_KEY: pk-1
extra_section: {}
`;

test('deployments become upstreams: provider, base, key, limits, aliases', () => {
  const { config } = converted(PROXY);
  assert.equal(config.upstreams.length, 5);
  const [azure, openai, vllm, replicate, ollama] = config.upstreams;
  assert.equal(azure?.endpoint, 'https://corp.openai.azure.com');
  assert.equal(azure.token, 'none');
  assert.equal(String(azure.paths.chat), '/openai/deployments/{model}/chat/completions');
  assert.equal(azure.query['api-version'], '2024-02-01');
  assert.equal(azure.headers['api-key'], 'key-azure');
  assert.deepEqual(azure.models, { 'gpt-4o': 'my-deployment', 'gpt-4': 'my-deployment' });
  assert.equal(azure.pace?.rpm, 60);
  assert.equal(azure.pace.tpm, 9000);
  assert.equal(openai?.endpoint, 'https://api.openai.com/v1');
  assert.ok(openai.sk !== null && openai.sk !== 'asis' && openai.sk.reveal() === 'key-openai');
  assert.equal(openai.timeout, 30_000);
  assert.equal(openai.stream_timeout, 5_000);
  assert.deepEqual(openai.allow, ['gpt-4o', 'gpt-4']);
  assert.deepEqual(openai.models, { 'gpt-4': 'gpt-4o' });
  assert.deepEqual(vllm?.models, { local: 'meta/llama', bge: 'BAAI/bge-m3' });
  assert.equal(vllm.token, 'none');
  assert.equal(replicate?.type, 'replicate');
  assert.deepEqual(replicate.models, { mix: 'mistralai/mixtral-8x7b-instruct-v0.1' });
  assert.equal(ollama?.endpoint, 'http://ollama.example:11434/v1');
});

test('the proxy’s own settings', () => {
  const { config } = converted(PROXY);
  assert.equal(config.authorization[0]?.reveal(), 'key-master');
  assert.equal(config.timeout, 600_000);
  assert.equal(config.retry.same_upstream, 3);
  assert.equal(config.lb_policy, 'least_busy');
  assert.equal(config.dbtype, 'postgres');
});

test('everything else is named in a comment, and no value of it', () => {
  const { yaml } = converted(PROXY);
  for (const name of [
    'model_list[5] (claude)',
    'litellm_params.cache_control_injection_points',
    'litellm_settings.success_callback',
    'fallbacks',
    'router_settings.redis_host',
    'general_settings.alerting',
    'LANGFUSE_PUBLIC_KEY',
    'extra_section',
  ])
    assert.ok(yaml.includes(name), `${name}\n${yaml}`);
  assert.ok(!yaml.includes('pk-1'));
});

test('a model without a provider is OpenAI’s, one with an api_base is that server’s, and wildcards stay open', () => {
  const { config, yaml } = converted(`model_list:
  - { model_name: small, litellm_params: { model: gpt-4o-mini } }
  - { model_name: own, litellm_params: { model: corp/llm-7, api_base: "https://llm.example/v1", api_key: none } }
  - { model_name: "claude-*", litellm_params: { model: openai/chat, api_base: "https://one.example/v1", api_key: k } }
  - { model_name: "*", litellm_params: { model: "openai/*", api_base: "https://all.example/v1", api_key: k } }
`);
  const [small, own, claude, all] = config.upstreams;
  assert.deepEqual(claude?.models, { 'claude-*': 'chat' });
  assert.deepEqual(claude.allow, ['claude-*']);
  assert.deepEqual(small?.models, { small: 'gpt-4o-mini' });
  assert.deepEqual(own?.models, { own: 'corp/llm-7' });
  assert.equal(own.token, 'none');
  assert.deepEqual(all?.allow, []);
  assert.match(yaml, /There was no general_settings\.master_key/);
});

test('an empty or broken list is no crash', () => {
  for (const text of [
    'model_list:\n',
    'model_list: [1, {}, {model_name: a}]\n',
    'litellm_settings: {}\n',
    'model_list: [{model_name: a, litellm_params: {model: "x/", api_base: ""}}]\n',
  ])
    assert.match(importConfiguration('c.yaml', text).yaml, /^# From a configuration of LiteLLM/);
});
