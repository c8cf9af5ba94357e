/** Keys of `upstreams[].paths`: the endpoints that an upstream may have at a path of its own. */
export type PathKey = 'chat' | 'completions' | 'embeddings' | 'rerank' | 'models' | 'responses';

/** What serves an endpoint; each has a file in http/routes. */
type EndpointRoute =
  | PathKey
  | 'messages'
  | 'count_tokens'
  | 'pass_through'
  | 'live'
  | 'ready'
  | 'metrics'
  | 'admin';

/** What a passed-through endpoint responds with, so that its response can be checked before it is forwarded. */
type PassedContent = 'json_or_events' | 'transcript' | 'speech' | 'images';

/**
 * `gen_ai.operation.name` of OpenTelemetry's semantic conventions, which have Responses and Messages as `chat` too; `rerank`
 * and `moderation` are ours.
 */
type GenAiOperation =
  | 'chat'
  | 'text_completion'
  | 'embeddings'
  | 'generate_content'
  | 'rerank'
  | 'moderation';

/** `responses`: OpenAI's bodies, and events of the Responses API. */
export type ErrorFormat = 'openai' | 'responses' | 'anthropic';

interface Endpoint {
  /** Normalised: one leading `/v1`. `/**` at its end is everything below it, `/*` one more segment. */
  readonly path: string;
  readonly route: EndpointRoute;
  /** The methods that `route` serves. Others are passed through when `isPassedOtherwise`, else refused; null: all. */
  readonly methods: readonly string[] | null;
  readonly isPassedOtherwise: boolean;
  /** Key of `upstreams[].paths`; null: the upstream has it at the same path. */
  readonly pathKey: PathKey | null;
  /** The configured time limit of one attempt. */
  readonly timeLimit: 'timeoutMs' | 'embeddingsTimeoutMs';
  /** Null: no model is asked. */
  readonly operation: GenAiOperation | null;
  /** True: metrics label it by its path; the others are `other`. */
  readonly hasMetricLabel: boolean;
  /** True: every upstream is expected to have it, so that its absence (404) counts against the upstream. */
  readonly isExpected: boolean;
  /** True: it generates output from the request alone, so that another upstream may be tried after a failure. */
  readonly isGeneration: boolean;
  /** True: it has a memory at one upstream, so that asking another one makes no sense. */
  readonly isStateful: boolean;
  /** Null: responses are forwarded as they come. */
  readonly content: PassedContent | null;
  /** In which API's form its errors are written, as bodies and into event streams. */
  readonly errorFormat: ErrorFormat;
  /** True: no client key is needed, and it responds under overload and while draining. */
  readonly isOpen: boolean;
}

const PASSED: Omit<Endpoint, 'path'> = {
  route: 'pass_through',
  methods: null,
  isPassedOtherwise: false,
  pathKey: null,
  timeLimit: 'timeoutMs',
  operation: null,
  hasMetricLabel: false,
  isExpected: false,
  isGeneration: false,
  isStateful: false,
  content: null,
  errorFormat: 'openai',
  isOpen: false,
};

function passed(path: string, facts: Partial<Endpoint> = {}): Endpoint {
  return { ...PASSED, path, ...facts };
}

/** What is kept at one upstream: the collection and everything below it. */
function stateful(path: string, facts: Partial<Endpoint> = {}): readonly Endpoint[] {
  const { errorFormat = PASSED.errorFormat } = facts;
  return [
    passed(path, { isStateful: true, ...facts }),
    passed(`${path}/**`, { isStateful: true, errorFormat }),
  ];
}

function served(path: string, pathKey: PathKey, facts: Partial<Endpoint> = {}): Endpoint {
  return passed(path, { route: pathKey, methods: ['POST'], pathKey, hasMetricLabel: true, ...facts });
}

function open(path: string, route: EndpointRoute): Endpoint {
  return passed(path, { route, methods: ['GET', 'HEAD'], isOpen: true });
}

const GENERATION: Partial<Endpoint> = { isGeneration: true };
const LABELLED_GENERATION: Partial<Endpoint> = { isGeneration: true, hasMetricLabel: true };
/** Images and sound. */
const CONTENT: Partial<Endpoint> = { operation: 'generate_content' };

const MESSAGES: Partial<Endpoint> = {
  methods: ['POST'],
  isPassedOtherwise: true,
  content: 'json_or_events',
  errorFormat: 'anthropic',
};

/** Every endpoint that differs from plain pass-through, which serves all other paths below `/v1`. */
export const ENDPOINTS: readonly Endpoint[] = [
  served('/v1/chat/completions', 'chat', { isExpected: true, operation: 'chat' }),
  // What `store: true` has kept.
  passed('/v1/chat/completions/**', { isStateful: true }),
  served('/v1/completions', 'completions', { operation: 'text_completion' }),
  served('/v1/embeddings', 'embeddings', { timeLimit: 'embeddingsTimeoutMs', operation: 'embeddings' }),
  served('/v1/rerank', 'rerank', { timeLimit: 'embeddingsTimeoutMs', operation: 'rerank' }),
  served('/v1/responses', 'responses', {
    ...GENERATION,
    operation: 'chat',
    isPassedOtherwise: true,
    content: 'json_or_events',
    errorFormat: 'responses',
  }),
  passed('/v1/responses/**', { isStateful: true, errorFormat: 'responses' }),
  served('/v1/models', 'models', { methods: ['GET', 'HEAD'] }),
  passed('/v1/models/**', { route: 'models', methods: ['GET', 'HEAD'], isPassedOtherwise: true }),

  passed('/v1/moderations', { ...LABELLED_GENERATION, operation: 'moderation', content: 'json_or_events' }),
  passed('/v1/images/generations', { ...LABELLED_GENERATION, ...CONTENT, content: 'images' }),
  passed('/v1/images/edits', { ...LABELLED_GENERATION, ...CONTENT, content: 'images' }),
  passed('/v1/images/variations', { ...GENERATION, ...CONTENT, content: 'images' }),
  passed('/v1/images/*', { ...GENERATION, ...CONTENT }),
  passed('/v1/audio/speech', { ...LABELLED_GENERATION, ...CONTENT, content: 'speech' }),
  passed('/v1/audio/transcriptions', { ...LABELLED_GENERATION, ...CONTENT, content: 'transcript' }),
  passed('/v1/audio/translations', { ...LABELLED_GENERATION, ...CONTENT, content: 'transcript' }),
  passed('/v1/audio/*', { ...GENERATION, ...CONTENT }),
  passed('/v1/realtime/**'),
  passed('/v1/messages', { ...LABELLED_GENERATION, ...MESSAGES, operation: 'chat', route: 'messages' }),
  passed('/v1/messages/count_tokens', { ...GENERATION, ...MESSAGES, route: 'count_tokens' }),
  ...stateful('/v1/messages/batches', { errorFormat: 'anthropic' }),
  ...stateful('/v1/files', { hasMetricLabel: true }),
  ...stateful('/v1/batches', { hasMetricLabel: true }),
  ...stateful('/v1/uploads'),
  ...stateful('/v1/threads'),
  ...stateful('/v1/assistants'),
  ...stateful('/v1/vector_stores'),
  ...stateful('/v1/fine_tuning'),
  ...stateful('/v1/containers'),
  ...stateful('/v1/conversations'),
  ...stateful('/v1/evals'),
  ...stateful('/v1/videos'),

  open('/livez', 'live'),
  open('/readyz', 'ready'),
  open('/health', 'ready'),
  open('/metrics', 'metrics'),
  open('/v1/metrics', 'metrics'),
  passed('/admin/**', { route: 'admin' }),
  passed('/ui/**', { route: 'admin' }),
];

/** Another spelling of an endpoint. */
interface Spelling {
  /** Without `/v1`. `{model}` is the model of a body that names none. */
  readonly path: string;
  readonly means: string;
  /** Parameters of the query that belong to the spelling. */
  readonly query: readonly string[];
}

function azure(name: string): Spelling {
  return { path: `/openai/deployments/{model}/${name}`, means: `/v1/${name}`, query: ['api-version'] };
}

/** How other vendors' clients spell our endpoints. */
export const SPELLINGS: readonly Spelling[] = [
  // Cohere's API v2 (2024-11), of its SDKs.
  { path: '/v2/rerank', means: '/v1/rerank', query: [] },
  // Azure OpenAI, of `AzureOpenAI` in OpenAI's SDKs.
  azure('chat/completions'),
  azure('completions'),
  azure('embeddings'),
];

/** Below it other gateways have Anthropic's API (LiteLLM, DeepSeek), and their users paste such a base URL. */
export const ANTHROPIC_PREFIX = '/anthropic';

/** What a POST to the base URL itself means: RAGFlow's Go side has no path for rerank (conf/models/openai-api-compatible.json). */
export const POSTED_BASE_URL = '/v1/rerank';

const PASS_THROUGH: Endpoint = passed('/v1/**');
const EXACT: ReadonlyMap<string, Endpoint> = new Map(ENDPOINTS.map((endpoint) => [endpoint.path, endpoint]));
const PATTERNS = ENDPOINTS.filter(({ path }) => path.endsWith('*')).map((endpoint) => ({
  endpoint,
  prefix: endpoint.path.replace(/\*+$/, ''),
  isDeep: endpoint.path.endsWith('/**'),
}));

/** The row of a normalised path; plain pass-through for a path without one. */
export function endpointOf(path: string): Endpoint {
  return EXACT.get(path) ?? patternOf(path) ?? PASS_THROUGH;
}

function patternOf(path: string): Endpoint | undefined {
  return PATTERNS.find(
    ({ prefix, isDeep }) =>
      path.startsWith(prefix) &&
      path.length > prefix.length &&
      (isDeep || !path.includes('/', prefix.length)),
  )?.endpoint;
}
