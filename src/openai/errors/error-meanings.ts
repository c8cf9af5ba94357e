import type { ErrorKind } from '../../lib/errors/ferry-error.ts';

/** The meaning of a code or a text: an HTTP status, and the kind where the status alone is too coarse. */
export interface Meaning {
  readonly status: number;
  readonly kind?: ErrorKind;
}

export const MEANINGS = {
  rate: { status: 429, kind: 'rate_limited' },
  quota: { status: 429, kind: 'quota_exhausted' },
  auth: { status: 401, kind: 'auth_rejected' },
  forbidden: { status: 403 },
  model: { status: 404, kind: 'model_not_found' },
  notFound: { status: 404 },
  overflow: { status: 400, kind: 'context_overflow' },
  filter: { status: 400, kind: 'content_filtered' },
  client: { status: 400 },
  unprocessable: { status: 422 },
  tooLarge: { status: 413 },
  generation: { status: 424, kind: 'generation_failed' },
  broken: { status: 500 },
  unimplemented: { status: 501 },
  overloaded: { status: 503 },
  slow: { status: 504 },
} as const satisfies Record<string, Meaning>;

type MeaningName = keyof typeof MEANINGS;

/** The codes of one vendor as it spells them, by what they mean, with blanks between them. */
type CodeRow = { readonly vendor: string } & Readonly<Partial<Record<MeaningName, string>>>;

/**
 * Codes and types in words. Collected from OpenAI, Azure, Anthropic, Google RPC, DashScope, TGI, llama.cpp, one-api, AWS
 * Bedrock and Volcengine without a note of which code was seen where: within these rows the vendor of a code without a test
 * in upstream-error.test.ts is likely by its spelling, but not recorded. Most codes are used by other vendors as well.
 */
const WORDS: readonly CodeRow[] = [
  {
    vendor: 'OpenAI',
    rate: 'rate_limit_exceeded too_many_requests',
    quota: 'insufficient_quota billing_hard_limit_reached billing_not_active account_deactivated',
    auth: 'invalid_api_key incorrect_api_key unauthorized',
    forbidden: 'forbidden access_denied',
    model: 'model_not_found invalid_model',
    overflow: 'context_length_exceeded',
    filter: 'content_filter content_policy_violation',
    client:
      'invalid_request_error invalid_request unsupported_parameter unknown_parameter unsupported_value string_above_max_length integer_below_min_value',
    broken: 'server_error internal_error internal_server_error unknown_error',
    overloaded: 'engine_overloaded service_unavailable',
    slow: 'timeout timeout_error request_timeout',
  },
  {
    vendor: 'Azure OpenAI',
    model: 'DeploymentNotFound',
    filter: 'ResponsibleAIPolicyViolation',
    forbidden: 'model_access_denied',
  },
  {
    vendor: 'Anthropic',
    rate: 'rate_limit_error',
    auth: 'authentication_error',
    forbidden: 'permission_error',
    tooLarge: 'request_too_large',
    notFound: 'not_found_error',
    broken: 'api_error',
    overloaded: 'overloaded_error',
  },
  {
    vendor: 'Google RPC (Q133)',
    rate: 'RESOURCE_EXHAUSTED',
    auth: 'UNAUTHENTICATED API_KEY_INVALID',
    forbidden: 'PERMISSION_DENIED',
    client: 'INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE',
    notFound: 'NOT_FOUND',
    broken: 'INTERNAL DATA_LOSS CANCELLED ABORTED',
    overloaded: 'UNAVAILABLE',
    slow: 'DEADLINE_EXCEEDED',
    unimplemented: 'UNIMPLEMENTED',
  },
  {
    vendor: 'DashScope (Q136)',
    rate: 'Throttling Throttling.RateQuota Throttling.AllocationQuota Throttling.BurstRate',
    quota: 'Arrearage AllocationQuota.FreeTierOnly',
    forbidden: 'AccessDenied.Unpurchased',
    filter: 'DataInspectionFailed',
    client: 'InvalidParameter BadRequest',
    model: 'ModelNotExist',
    broken: 'SystemError',
    overloaded: 'ModelUnavailable ModelServingError',
  },
  {
    vendor: 'Volcengine Ark',
    quota: 'AccountOverdueError QuotaExceeded',
    model: 'ModelNotOpen InvalidEndpointOrModel.NotFound',
    filter: 'InputTextSensitiveContentDetected OutputTextSensitiveContentDetected SensitiveContentDetected',
    client: 'MissingParameter',
    broken: 'InternalServiceError',
    overloaded: 'ServerOverloaded',
  },
  {
    vendor: 'AWS Bedrock',
    rate: 'ThrottlingException throttled',
    auth: 'UnrecognizedClientException ExpiredTokenException',
    forbidden: 'AccessDeniedException',
    client: 'ValidationException',
    generation: 'ModelErrorException',
    overloaded: 'ServiceUnavailableException ModelNotReadyException model_not_ready',
    slow: 'ModelTimeoutException',
  },
  {
    vendor: 'TGI (error_type, Q128)',
    unprocessable: 'validation',
    generation: 'generation',
    broken: 'incomplete_generation',
    overloaded: 'overloaded',
  },
  {
    vendor: 'llama.cpp',
    overflow: 'exceed_context_size_error',
    overloaded: 'unavailable_error',
  },
  {
    vendor: 'one-api, new-api (Q138)',
    quota: 'insufficient_user_quota pre_consume_token_quota_failed',
  },
  {
    vendor: 'OAuth 2.0 resource servers (RFC 6750: invalid_token) and gateways of companies',
    auth: 'invalid_token token_expired expired_token',
  },
  {
    vendor: 'Tencent Cloud (AuthFailure of its signatures)',
    auth: 'AuthFailure',
  },
  {
    vendor: 'no vendor recorded',
    rate: 'RequestLimitExceeded LimitExceeded rate_limit_reached rate_limit rate_limited tokens_usage_exceeded',
    quota: 'quota_exhausted insufficient_balance insufficient_credits payment_required',
    auth: 'invalid_authentication authentication_failed',
    model: 'ModelNotFoundError',
    overflow:
      'ContextWindowExceededError context_window_exceeded prompt_exceeds_max_length input_too_long prompt_too_long',
    filter: 'invalid_prompt_content',
    client: 'InvalidParameterValue BadRequestError validation_error',
    unprocessable: 'UnprocessableEntity',
    overloaded: 'engine_overloaded_error',
  },
];

/** Numbers mean something in one vendor's dialect only. */
const NUMBERS = {
  /** `base_resp.status_code` (Q134), by its published error table. */
  minimax: {
    vendor: 'MiniMax',
    rate: '1002 1039 1041 2045 2056',
    quota: '1008',
    auth: '1004 2049',
    forbidden: '2061',
    filter: '1026 1027',
    client: '2013',
    broken: '1000 1013 1024 1033',
    slow: '1001',
  },
  /** `error_code` (Q135), by its published error table. */
  baidu: {
    vendor: 'Baidu',
    rate: '4 17 18 19 336501 336502',
    auth: '13 14 15 100 110 111',
    forbidden: '6',
    notFound: '3',
    overflow: '336103',
    client: '336001 336002 336003 336004 336005 336006 336104 336105 336303 336304',
    broken: '1 336000 336200',
    overloaded: '2 336100',
  },
  /** `error.code` as text, by its published error table. */
  zhipu: {
    vendor: 'Zhipu',
    rate: '1302 1303 1304 1308',
    quota: '1113 1309',
    auth: '1000 1001 1002 1003 1004 1110 1111 1112',
    forbidden: '1220',
    model: '1211 1221 1222',
    overflow: '1261',
    filter: '1301',
    client: '1210 1212 1213 1214 1215 1231',
    broken: '1120 1230 1234',
    overloaded: '1305',
  },
} as const satisfies Record<string, CodeRow>;

export type Dialect = keyof typeof NUMBERS;

const BY_WORD = new Map(WORDS.flatMap(codesOf).map(([code, meaning]) => [plain(code), meaning]));
const BY_NUMBER: Readonly<Record<Dialect, ReadonlyMap<string, Meaning>>> = {
  minimax: new Map(codesOf(NUMBERS.minimax)),
  baidu: new Map(codesOf(NUMBERS.baidu)),
  zhipu: new Map(codesOf(NUMBERS.zhipu)),
};

function codesOf({ vendor: _vendor, ...codes }: CodeRow): [string, Meaning][] {
  return Object.entries(codes).flatMap(([name, list]) =>
    list.split(' ').map((code): [string, Meaning] => [code, MEANINGS[name as MeaningName]]),
  );
}

/** A code without case and signs: `RATE_LIMIT_EXCEEDED` and `RateLimitExceeded` are one. */
function plain(code: string): string {
  return code.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** What a vendor's number means; undefined for numbers that its table does not have. */
export function meaningOfNumber(dialect: Dialect, code: number): Meaning | undefined {
  return BY_NUMBER[dialect].get(String(code));
}

/** What a code or type in words means, however it is spelt. */
export function meaningOfWord(name: string | null): Meaning | undefined {
  if (name === null || name.length > 64) return undefined;
  const meaning = BY_WORD.get(plain(name));
  if (meaning !== undefined) return meaning;
  // `InvalidParameter.NotSupportEnableThinking`: the part before the dot is the class.
  const dot = name.indexOf('.');
  return dot > 0 ? meaningOfWord(name.slice(0, dot)) : undefined;
}

/** Up to 120 characters of one sentence; a dot within a name (`gpt-4.1`) does not end it. */
const SENTENCE = '(?:[^.\\n]|\\.(?=\\S)){0,120}?';

/**
 * Texts of vendors for failures without a specific code, the most specific first. The comments
 * quote texts of upstream-error.test.ts and vendor-error.test.ts (Q42, Q47, Q140 to Q144), with a vendor only where the test names
 * it; a text that matches no row is a failure of the upstream.
 */
const WORDINGS: readonly (readonly [MeaningName, RegExp])[] = [
  [
    'overflow',
    new RegExp(
      [
        // "This model's maximum context length is 8192 tokens."
        'maximum context length',
        // "This model's maximum prompt length is 131072 but the request contains 200000 tokens."
        'maximum (?:prompt|input|sequence) length',
        // "prompt is too long: 210000 tokens > 200000 maximum"
        '(?:prompt|input) (?:is )?too long',
        // llama.cpp: the type `exceed_context_size_error` in texts of gateways.
        'exceed_context_size',
        // "the request exceeds the available context size", "Input tokens exceed the configured limit",
        // "Your input exceeds the context window", "Your request exceeded model token limit",
        // "input length and `max_tokens` exceed context limit"
        "exceed(?:s|ed)? (?:the |this |its |your )?(?:available |configured |maximum |model'?s? )*(?:context|token limit|max(?:imum)? (?:input|prompt|sequence))",
        'context (?:length|window|size|limit)[^.]{0,60}(?:exceed|too (?:long|large|small))',
        // "Trying to keep the first 5000 tokens when context the overflows."
        'context[^.]{0,20}overflow',
        // "The input token count (1050000) exceeds the maximum number of tokens allowed"
        '(?:input|prompt)s?\\b[^.]{0,60}\\b(?:length|tokens?)\\b[^.]{0,60}\\bexceed',
        // "Range of input length should be [1, 30720]"
        'range of input length should be',
        // "`inputs` must have less than 512 tokens", "`inputs` tokens + `max_new_tokens` must be <= 4096"
        'must have less than \\d+ tokens',
        'tokens? \\+ `?max_(?:new_)?tokens`? must be',
        // "too many tokens: total number of tokens in the prompt exceeds the limit of 4081"
        'too many (?:input |prompt )?tokens',
        // "The prompt is longer than the maximum model length", "longer than the model's context length"
        'longer than the (?:maximum )?(?:model|context)',
        // "Please reduce the length of the messages or completion."
        'reduce the length of',
        // "Prompt 超长", "输入长度超过模型最大长度"
        '输入[^。]{0,10}(?:长度|字数|token)[^。]{0,10}(?:超过|超出|过长)',
        '输入[^。]{0,6}过长',
        '(?:prompt|输入|上下文)[^。]{0,4}超长',
        '超(?:过|出)[^。]{0,12}(?:上下文|最大(?:输入)?长度|token(?:数|长度|上限))',
      ].join('|'),
      'i',
    ),
  ],
  // Azure: "content management policy"; MiniMax: "input new_sensitive"; envelopes: "内容包含敏感词"
  [
    'filter',
    /content (?:management policy|filter|policy violation)|content_filter|responsible ai|sensitive (?:content|words?)|flagged (?:by|as)|safety (?:system|policy)|inappropriate content|敏感|违规|内容安全/i,
  ],
  // "You exceeded your current quota, please check your plan and billing details."; Zhipu: "您的账户已欠费";
  // envelopes: "余额不足"
  [
    'quota',
    /insufficient[_ ](?:user_)?(?:quota|balance|credits?|funds)|exceeded your current quota|quota (?:is )?(?:exceeded|exhausted|used up|not enough)|(?:credit|balance)[^.]{0,30}(?:too low|exhausted|insufficient|depleted)|out of credits|billing|arrears|overdue|payment required|余额不足|额度不足|欠费|配额(?:不足|已用完|用尽)/i,
  ],
  // "Rate limit exceeded: free-models-per-day"; Baidu: "Open api qps request limit reached"; envelopes:
  // "请求过于频繁,触发限流"
  [
    'rate',
    /rate.?limit|too many (?:requests|concurrent)|(?:requests?|tokens?) per (?:second|minute|hour|day)|throttl|\b[qrt]pm\b|\bqps\b|request frequency|concurrency limit|限流|频率|频繁|并发/i,
  ],
  [
    'model',
    new RegExp(
      [
        // "The model `gpt-4o` does not exist"; Ollama: "model 'llama9' not found"
        `\\bmodels?\\b${SENTENCE}(?:(?:does|do|did) ?n[o']t exist|not (?:be )?found|not exist|is not (?:available|a valid|valid|supported|deployed|loaded)|unknown)`,
        // "Invalid model name passed in model=deploy-7"
        '(?:unknown|invalid|no such|unsupported|non-?existent|not found) model',
        // "model: claude-9"
        '^model: \\S+$',
        // "no available channel for model", "No endpoints found for model": no captured example
        `no (?:available )?(?:channel|deployment|endpoints?)${SENTENCE}model`,
        // Azure: "The API deployment for this resource does not exist."
        `deployment${SENTENCE}(?:does not exist|not found)`,
        // "对于模型 x 无可用渠道"
        '模型[^。]{0,60}(?:不存在|未找到|无可用|未开通|不支持)',
        'model_not_found',
      ].join('|'),
      'i',
    ),
  ],
  // Baidu: "Access token invalid or no longer valid"; DashScope: "Invalid API-key provided."; one-api: "无效的令牌";
  // envelopes: "token已过期"
  [
    'auth',
    /(?:invalid|incorrect|missing|expired|wrong|no) (?:api[ -_]?key|access[ -_]?token|token|credentials|authorization)|(?:api[ -_]?key|access[ -_]?token|token)(?: is| has)?[^.]{0,20} (?:invalid|expired|missing|revoked|not valid)|unauthori[sz]ed|authentication|not authenticated|鉴权|认证失败|未授权|无效的令牌|令牌[^。]{0,8}(?:过期|无效)|token[^。]{0,6}(?:过期|无效|失效)/i,
  ],
  // "The model is overloaded.", "no healthy upstream"; llama.cpp: "Loading model"; envelopes: "系统繁忙"
  [
    'overloaded',
    /overloaded|at capacity|(?:server|service|system|model|engine)s? (?:is |are )?(?:currently |temporarily |too )*(?:busy|unavailable|not ready|loading)|temporarily unavailable|loading model|no healthy upstream|繁忙|过载|稍后/i,
  ],
  // MiniMax: "timeout"
  ['slow', /timed? ?out|deadline exceeded|超时/i],
  // "field required", "must be less than 2"; envelopes: "参数错误"
  [
    'client',
    /\binvalid\b|is required|required (?:field|parameter|property)|must (?:be|have|contain|not)|missing|validation|unsupported|not supported|unexpected|unrecogni[sz]ed|malformed|bad request|not allowed|参数|不支持|格式/i,
  ],
];

const BY_WORDING: ReadonlyMap<MeaningName, RegExp> = new Map(WORDINGS);

/** A limit on the length of something else than the prompt is no overflow. */
const NOT_OVERFLOW =
  /max_(?:completion_)?tokens (?:is too large|must be (?:at|less|greater|a|an|between|positive))|rate limit|per (?:minute|day)|file size/i;

/** Whether a text contains this. */
export function textSays(text: string, name: 'overflow' | 'filter' | 'quota' | 'model'): boolean {
  return BY_WORDING.get(name)?.test(text) === true && !(name === 'overflow' && NOT_OVERFLOW.test(text));
}

/**
 * What an error means that came without a status and without a known code: by its words, the most specific
 * first. Nothing recognised: the upstream failed (500), so that the next candidate gets its chance.
 */
export function meaningOfText(text: string): Meaning {
  const row = WORDINGS.find(
    ([name, pattern]) => pattern.test(text) && !(name === 'overflow' && NOT_OVERFLOW.test(text)),
  );
  return row === undefined ? MEANINGS.broken : MEANINGS[row[0]];
}
