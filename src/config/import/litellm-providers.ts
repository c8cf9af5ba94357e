/** How a provider of LiteLLM is reached with OpenAI's API. */
interface Provider {
  /** The base URL without an `api_base`; null: `api_base` is needed. */
  readonly endpoint: string | null;
  /** The variable that LiteLLM reads when there is no `api_key`; null: none is needed. */
  readonly keyVariable: string | null;
  /** Behind `api_base`, where LiteLLM adds it itself. */
  readonly suffix?: string;
  readonly isAzure?: boolean;
  readonly isReplicate?: boolean;
}

/**
 * By the part of `litellm_params.model` before the first slash. Endpoints are those of each vendor's documentation of its
 * OpenAI-compatible API, variables those of LiteLLM's (docs.litellm.ai/docs/providers, 2026-10). What is not here has
 * no such API.
 */
export const PROVIDERS: Readonly<Record<string, Provider>> = {
  openai: { endpoint: 'https://api.openai.com/v1', keyVariable: 'OPENAI_API_KEY' },
  'text-completion-openai': { endpoint: 'https://api.openai.com/v1', keyVariable: 'OPENAI_API_KEY' },
  custom_openai: { endpoint: null, keyVariable: 'OPENAI_API_KEY' },
  litellm_proxy: { endpoint: null, keyVariable: 'LITELLM_PROXY_API_KEY' },
  azure: { endpoint: null, keyVariable: 'AZURE_API_KEY', isAzure: true },
  anthropic: { endpoint: 'https://api.anthropic.com/v1', keyVariable: 'ANTHROPIC_API_KEY' },
  gemini: {
    endpoint: 'https://generativelanguage.googleapis.com/v1beta/openai',
    keyVariable: 'GEMINI_API_KEY',
  },
  groq: { endpoint: 'https://api.groq.com/openai/v1', keyVariable: 'GROQ_API_KEY' },
  mistral: { endpoint: 'https://api.mistral.ai/v1', keyVariable: 'MISTRAL_API_KEY' },
  deepseek: { endpoint: 'https://api.deepseek.com/v1', keyVariable: 'DEEPSEEK_API_KEY' },
  together_ai: { endpoint: 'https://api.together.xyz/v1', keyVariable: 'TOGETHERAI_API_KEY' },
  openrouter: { endpoint: 'https://openrouter.ai/api/v1', keyVariable: 'OPENROUTER_API_KEY' },
  fireworks_ai: { endpoint: 'https://api.fireworks.ai/inference/v1', keyVariable: 'FIREWORKS_AI_API_KEY' },
  perplexity: { endpoint: 'https://api.perplexity.ai', keyVariable: 'PERPLEXITYAI_API_KEY' },
  xai: { endpoint: 'https://api.x.ai/v1', keyVariable: 'XAI_API_KEY' },
  cerebras: { endpoint: 'https://api.cerebras.ai/v1', keyVariable: 'CEREBRAS_API_KEY' },
  nvidia_nim: { endpoint: 'https://integrate.api.nvidia.com/v1', keyVariable: 'NVIDIA_NIM_API_KEY' },
  dashscope: {
    endpoint: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
    keyVariable: 'DASHSCOPE_API_KEY',
  },
  moonshot: { endpoint: 'https://api.moonshot.ai/v1', keyVariable: 'MOONSHOT_API_KEY' },
  hosted_vllm: { endpoint: null, keyVariable: null },
  vllm: { endpoint: null, keyVariable: null },
  lm_studio: { endpoint: null, keyVariable: null },
  llamafile: { endpoint: 'http://127.0.0.1:8080/v1', keyVariable: null },
  xinference: { endpoint: 'http://127.0.0.1:9997/v1', keyVariable: null },
  ollama: { endpoint: 'http://127.0.0.1:11434/v1', keyVariable: null, suffix: '/v1' },
  ollama_chat: { endpoint: 'http://127.0.0.1:11434/v1', keyVariable: null, suffix: '/v1' },
  replicate: {
    endpoint: 'https://api.replicate.com/v1',
    keyVariable: 'REPLICATE_API_KEY',
    isReplicate: true,
  },
};

/** Providers with an API of their own: their models cannot be served, and are named in a comment. */
export const OTHER_APIS: ReadonlySet<string> = new Set([
  'ai21',
  'azure_ai',
  'bedrock',
  'cohere',
  'cohere_chat',
  'databricks',
  'huggingface',
  'oobabooga',
  'palm',
  'petals',
  'predibase',
  'sagemaker',
  'sagemaker_chat',
  'triton',
  'vertex_ai',
  'vertex_ai_beta',
  'watsonx',
]);
