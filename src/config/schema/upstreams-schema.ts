import { list, mapOf } from '../types/collection-types.ts';
import { field, optional, section, sectionOr } from '../types/fields.ts';
import { flag, integer, pace } from '../types/number-types.ts';
import { choice, secretsByComma, text, upstreamKey, url, word } from '../types/text-types.ts';
import { inheritedTimeout, UPSTREAM_TIMEOUTS, upstreamProxy, upstreamTls } from './shared-schema.ts';
import { sign } from './sign-schema.ts';

const profile = sectionOr(
  {
    think_tags: field(
      choice('keep', 'split'),
      'keep',
      '`split`: text in <think> tags becomes `reasoning_content`.',
    ),
    cumulative: field(
      choice('never', 'always'),
      'never',
      '`always`: each stream event repeats the whole text so far, as some gateways do; only new text is passed on.',
    ),
    drop_params: field(list(word), [], 'Parameters that are never sent.'),
    rename_params: field(
      mapOf(word),
      {},
      'Parameters sent under another name, e.g. { max_completion_tokens: max_tokens }.',
    ),
    roles: field(mapOf(word), {}, 'Message roles sent under another name, e.g. { developer: system }.'),
    message_content: field(
      choice('keep', 'text'),
      'keep',
      '`text`: the content of a message is sent as one text, never as a list of parts or as null.',
    ),
    system: field(
      choice('keep', 'merge'),
      'keep',
      '`merge`: system messages are sent as one at the beginning. Learned from an upstream that refuses others.',
    ),
    learn: field(
      flag,
      true,
      'Parameters that the upstream refuses are left out or rewritten for an hour; `x-tokenferry-dropped` names them.',
    ),
    always_stream: field(flag, false, 'Always request a stream; JSON responses are assembled here.'),
    embedding_batch: field(
      integer({ min: 0 }),
      0,
      'Maximum number of inputs of one embeddings call. 0: unknown. A 400 or 413 that states a limit is remembered for an hour.',
    ),
    token_ids: field(
      choice('auto', 'pass', 'refuse', 'cl100k_base', 'o200k_base'),
      'auto',
      'Embeddings inputs that are token ids, as LangChain for Python sends them. An encoding: decoded to text with it. `auto`: passed to text-embedding-3-* and text-embedding-ada-*, for all others decoded with cl100k_base. `refuse`: a 400 that says what to set.',
    ),
    completions: field(
      choice('native', 'via_chat'),
      'native',
      '`via_chat`: /completions are sent as a chat, for upstreams without /completions.',
    ),
    responses: field(
      choice('auto', 'native', 'via_chat'),
      'auto',
      "OpenAI's POST /responses. `via_chat`: it is sent as a chat and its response returned as a Response. `auto`: so where the upstream has no /responses (404, 405, 501), which is remembered for an hour.",
    ),
    messages: field(
      choice('auto', 'native', 'via_chat'),
      'auto',
      "Anthropic's POST /messages. `via_chat`: it is sent as a chat and its response returned as a message. `auto`: so where the upstream has no /messages (404, 405, 501), which is remembered for an hour.",
    ),
  },
  'Adaptations to what the upstream understands and sends.',
);

function path(of: string) {
  return optional(text, `Path of ${of} below the origin; may hold {model}.`);
}

const paths = sectionOr(
  {
    chat: path('chat completions'),
    completions: path('completions'),
    embeddings: path('embeddings'),
    rerank: path('rerank'),
    models: path('the model list'),
    responses: path('responses'),
  },
  'Paths that differ from the usual ones.',
);

export const upstream = section(
  {
    name: optional(text, 'Its name in logs, metrics and headers. Default: upstream-1, upstream-2, ...'),
    type: field(
      choice('openai', 'replicate'),
      'openai',
      '`replicate`: the predictions of Replicate, for chat and completions; models are named owner/name.',
    ),
    endpoint: optional(
      url(),
      'Base URL; its own path is kept. Default for replicate: https://api.replicate.com/v1.',
    ),
    token: optional(text, 'The token source, by its name in `tokens`; `none`: no credentials are sent.'),
    sk: optional(upstreamKey, 'A static key instead; `asis`: the header of the client is forwarded.'),
    allow: field(
      list(word),
      [],
      'Models (names and globs) and /v1 paths that it serves; empty: all. First allow, then deny.',
    ),
    deny: field(list(word), [], 'Models and paths that it does not serve.'),
    models: field(
      mapOf(word),
      {},
      'Aliases: the name that clients use, or a glob of names → the name that is sent to the upstream. Exact names first, then globs in order, e.g. { "claude-*": corp-chat }.',
    ),
    authorization: field(secretsByComma, [], 'Client keys instead of the global ones.'),
    clients: optional(list(word), 'Only these named clients.'),
    noauth: field(flag, false, 'No client key needed here.'),
    ...timeouts(),
    headers: field(mapOf(text), {}, 'Headers sent with each request.'),
    query: field(mapOf(text), {}, 'Query parameters sent with each request.'),
    paths,
    forward_headers: field(list(word), [], 'Client headers passed on.'),
    keep_header: field(
      flag,
      false,
      'All client headers are passed on but hop-by-hop ones, host, credentials, cookies and forwarded ones.',
    ),
    max_concurrency: field(
      integer({ min: 0 }),
      0,
      'Maximum number of concurrent requests; more wait in a queue. 0: no limit.',
    ),
    pace: field(
      pace,
      'auto',
      '`auto`: after a 429 requests wait in turn at the rate that the upstream shows. `off`: a 429 is passed on. { rpm, tpm, max_wait }: calls and tokens a minute for each model (0: learned), and the longest wait of one request, by default 5m.',
    ),
    sign,
    tls: upstreamTls,
    proxy: upstreamProxy,
    profile,
  },
  'An OpenAI-compatible endpoint.',
);

function timeouts() {
  return {
    timeout: inheritedTimeout(UPSTREAM_TIMEOUTS.timeout),
    stream_timeout: inheritedTimeout(UPSTREAM_TIMEOUTS.stream_timeout),
    first_content_timeout: inheritedTimeout(UPSTREAM_TIMEOUTS.first_content_timeout),
    embeddings_timeout: inheritedTimeout(UPSTREAM_TIMEOUTS.embeddings_timeout),
    connect_timeout: inheritedTimeout(UPSTREAM_TIMEOUTS.connect_timeout),
    idle_timeout: inheritedTimeout(UPSTREAM_TIMEOUTS.idle_timeout),
  };
}
