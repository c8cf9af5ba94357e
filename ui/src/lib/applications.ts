import type { TextKey } from '../i18n/language.ts';

/** A request that an application makes when it is set up or used; sent from the browser with the same body. */
export interface ApplicationCheck {
  readonly name: TextKey;
  readonly path: string;
  /** Null: GET. */
  readonly body: ((model: string) => object) | null;
  /** Null: the response is what the application needs; else what it lacks. */
  readonly problem: (response: Response, text: string) => TextKey | null;
}

export interface Application {
  readonly name: string;
  /** Where the fields are. */
  readonly where: string;
  /** Name and value; `true`: the value says what to choose and cannot be copied. */
  readonly fields: (facts: ConnectFacts) => readonly (readonly [string, string, true?])[];
  readonly code?: (facts: ConnectFacts) => string;
  readonly checks: readonly ApplicationCheck[];
}

export interface ConnectFacts {
  /** Ends in `/v1`. */
  readonly baseUrl: string;
  readonly model: string;
}

/** Stands for the client key where a field or a line of code has one. */
export const KEY = 'YOUR_KEY';

const hello = (model: string, extra: object = {}): object => ({
  model,
  messages: [{ role: 'user', content: 'Hello! How are you doing!' }],
  ...extra,
});

const MODELS: ApplicationCheck = {
  name: 'checkModels',
  path: '/models',
  body: null,
  problem: (_response, text) => ((listOf(text)?.length ?? 0) > 0 ? null : 'checkNoModels'),
};

const CHAT: ApplicationCheck = {
  name: 'checkChat',
  path: '/chat/completions',
  body: (model) => hello(model, { max_tokens: 16 }),
  problem: (_response, text) => (messageIn(text) ? null : 'checkNoText'),
};

const STREAM: ApplicationCheck = {
  name: 'checkStream',
  path: '/chat/completions',
  body: (model) => hello(model, { stream: true, max_tokens: 16 }),
  problem: (response, text) => {
    if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) return 'checkNoStream';
    return text.trimEnd().endsWith('data: [DONE]') ? null : 'checkStreamCut';
  },
};

const TOOL: ApplicationCheck = {
  name: 'checkTool',
  path: '/chat/completions',
  body: (model) =>
    hello(model, {
      messages: [{ role: 'user', content: 'What is the weather in Paris? Call the tool.' }],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'The weather in a city',
            parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
          },
        },
      ],
    }),
  problem: (_response, text) => (text.includes('"tool_calls"') ? null : 'checkNoTool'),
};

const RESPONSES: ApplicationCheck = {
  name: 'checkResponses',
  path: '/responses',
  body: (model) => ({ model, input: 'Hello! How are you doing!', store: false }),
  problem: (_response, text) => (text.includes('"output"') ? null : 'checkNoText'),
};

const MESSAGES: ApplicationCheck = {
  name: 'checkMessages',
  path: '/messages',
  body: (model) => ({
    model,
    max_tokens: 64,
    messages: [{ role: 'user', content: 'Hello! How are you doing!' }],
  }),
  problem: (_response, text) => (text.includes('"stop_reason"') ? null : 'checkNoText'),
};

/** What people type where, for each application that they ask about. */
export const APPLICATIONS: readonly Application[] = [
  {
    name: 'RAGFlow',
    where: 'Avatar → Model providers → OpenAI-API-Compatible → Add',
    fields: ({ baseUrl, model }) => [
      ['Model type', 'chat / embedding / rerank', true],
      ['Model name', model],
      ['Base url', baseUrl],
      ['API-Key', KEY],
      ['Max tokens', 'context length of the model', true],
    ],
    checks: [CHAT, STREAM],
  },
  {
    name: 'Dify',
    where: 'Settings → Model Provider → OpenAI-API-compatible → Add Model',
    fields: ({ baseUrl, model }) => [
      ['Model Name', model],
      ['API Key', KEY],
      ['API endpoint URL', baseUrl],
      ['Completion mode', 'Chat'],
      ['Delimiter for streaming results', String.raw`\n\n`],
    ],
    checks: [CHAT, STREAM],
  },
  {
    name: 'LangChain',
    where: 'pip install langchain-openai',
    fields: () => [],
    code: ({ baseUrl, model }) => `from langchain_openai import ChatOpenAI, OpenAIEmbeddings
llm = ChatOpenAI(base_url="${baseUrl}", api_key="${KEY}", model="${model}")
vectors = OpenAIEmbeddings(base_url="${baseUrl}", api_key="${KEY}", model="${model}",
                           check_embedding_ctx_length=False)`,
    checks: [CHAT, STREAM, TOOL],
  },
  {
    name: 'LlamaIndex',
    where: 'pip install llama-index-llms-openai-like',
    fields: () => [],
    code: ({ baseUrl, model }) => `from llama_index.llms.openai_like import OpenAILike
llm = OpenAILike(api_base="${baseUrl}", api_key="${KEY}", model="${model}", is_chat_model=True)`,
    checks: [CHAT, STREAM],
  },
  {
    name: 'Open WebUI',
    where: 'Admin Settings → Connections → OpenAI API → +',
    fields: ({ baseUrl }) => [
      ['URL', baseUrl],
      ['Key', KEY],
    ],
    checks: [MODELS, STREAM],
  },
  {
    name: 'Codex',
    where: '~/.codex/config.toml',
    fields: () => [],
    code: ({ baseUrl, model }) => `model = "${model}"
model_provider = "tokenferry"

[model_providers.tokenferry]
name = "tokenferry"
base_url = "${baseUrl}"
env_key = "TOKENFERRY_KEY"
wire_api = "responses"`,
    checks: [RESPONSES, TOOL],
  },
  {
    name: 'Claude Code',
    where: 'environment',
    fields: ({ baseUrl, model }) => [
      ['ANTHROPIC_BASE_URL', baseUrl.replace(/\/v1$/, '')],
      ['ANTHROPIC_AUTH_TOKEN', KEY],
      ['ANTHROPIC_MODEL', model],
    ],
    checks: [MESSAGES],
  },
  {
    name: 'curl',
    where: '',
    fields: () => [],
    code: ({ baseUrl, model }) => `curl -N ${baseUrl}/chat/completions \\
  -H 'Authorization: Bearer ${KEY}' -H 'Content-Type: application/json' \\
  -d '${JSON.stringify(hello(model, { stream: true }))}'`,
    checks: [MODELS, CHAT],
  },
];

function listOf(text: string): readonly unknown[] | null {
  const json = parse(text);
  return typeof json === 'object' && json !== null && Array.isArray((json as { data?: unknown }).data)
    ? (json as { data: unknown[] }).data
    : null;
}

function messageIn(text: string): boolean {
  const json = parse(text) as {
    choices?: { message?: { content?: unknown; reasoning_content?: unknown } }[];
  } | null;
  const message = json?.choices?.[0]?.message;
  return [message?.content, message?.reasoning_content].some((one) => typeof one === 'string' && one !== '');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
