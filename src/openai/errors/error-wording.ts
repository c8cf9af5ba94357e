import { MEANINGS, type Meaning } from './error-codes.ts';

/** LangChain, LobeChat and others know an overflow by these words; llama.cpp, Ollama, vLLM each have their own. */
const OVERFLOW = new RegExp(
  [
    'maximum context length',
    'maximum (?:prompt|input|sequence) length',
    '(?:prompt|input) (?:is )?too long',
    'exceed_context_size',
    "exceed(?:s|ed)? (?:the |this |its |your )?(?:available |configured |maximum |model'?s? )*(?:context|token limit|max(?:imum)? (?:input|prompt|sequence))",
    'context (?:length|window|size|limit)[^.]{0,60}(?:exceed|too (?:long|large|small))',
    'context[^.]{0,20}overflow',
    '(?:input|prompt)s?\\b[^.]{0,60}\\b(?:length|tokens?)\\b[^.]{0,60}\\bexceed',
    'range of input length should be',
    'must have less than \\d+ tokens',
    'tokens? \\+ `?max_(?:new_)?tokens`? must be',
    'too many (?:input |prompt )?tokens',
    'longer than the (?:maximum )?(?:model|context)',
    'reduce the length of',
    '输入[^。]{0,10}(?:长度|字数|token)[^。]{0,10}(?:超过|超出|过长)',
    '输入[^。]{0,6}过长',
    '(?:prompt|输入|上下文)[^。]{0,4}超长',
    '超(?:过|出)[^。]{0,12}(?:上下文|最大(?:输入)?长度|token(?:数|长度|上限))',
  ].join('|'),
  'i',
);

/** A limit on the length of something else than the prompt is no overflow. */
const NOT_OVERFLOW =
  /max_(?:completion_)?tokens (?:is too large|must be (?:at|less|greater|a|an|between|positive))|rate limit|per (?:minute|day)|file size/i;

const FILTER =
  /content (?:management policy|filter|policy violation)|content_filter|responsible ai|sensitive (?:content|words?)|flagged (?:by|as)|safety (?:system|policy)|inappropriate content|敏感|违规|内容安全/i;

const QUOTA =
  /insufficient[_ ](?:user_)?(?:quota|balance|credits?|funds)|exceeded your current quota|quota (?:is )?(?:exceeded|exhausted|used up|not enough)|(?:credit|balance)[^.]{0,30}(?:too low|exhausted|insufficient|depleted)|out of credits|billing|arrears|overdue|payment required|余额不足|额度不足|欠费|配额(?:不足|已用完|用尽)/i;

const RATE =
  /rate.?limit|too many (?:requests|concurrent)|(?:requests?|tokens?) per (?:second|minute|hour|day)|throttl|\b[qrt]pm\b|\bqps\b|request frequency|concurrency limit|限流|频率|频繁|并发/i;

const AUTH =
  /(?:invalid|incorrect|missing|expired|wrong|no) (?:api[ -_]?key|access[ -_]?token|token|credentials|authorization)|(?:api[ -_]?key|access[ -_]?token|token)(?: is| has)?[^.]{0,20} (?:invalid|expired|missing|revoked|not valid)|unauthori[sz]ed|authentication|not authenticated|鉴权|认证失败|未授权|无效的令牌|令牌[^。]{0,8}(?:过期|无效)|token[^。]{0,6}(?:过期|无效|失效)/i;

/** Up to 120 characters of one sentence; a dot within a name (`gpt-4.1`) does not end it. */
const SENTENCE = '(?:[^.\\n]|\\.(?=\\S)){0,120}?';

const MODEL = new RegExp(
  [
    `\\bmodels?\\b${SENTENCE}(?:(?:does|do|did) ?n[o']t exist|not (?:be )?found|not exist|is not (?:available|a valid|valid|supported|deployed|loaded)|unknown)`,
    '(?:unknown|invalid|no such|unsupported|non-?existent|not found) model',
    '^model: \\S+$',
    `no (?:available )?(?:channel|deployment|endpoints?)${SENTENCE}model`,
    `deployment${SENTENCE}(?:does not exist|not found)`,
    '模型[^。]{0,60}(?:不存在|未找到|无可用|未开通|不支持)',
    'model_not_found',
  ].join('|'),
  'i',
);

const OVERLOADED =
  /overloaded|at capacity|(?:server|service|system|model|engine)s? (?:is |are )?(?:currently |temporarily |too )*(?:busy|unavailable|not ready|loading)|temporarily unavailable|loading model|no healthy upstream|繁忙|过载|稍后/i;

const SLOW = /timed? ?out|deadline exceeded|超时/i;

const CLIENT =
  /\binvalid\b|is required|required (?:field|parameter|property)|must (?:be|have|contain|not)|missing|validation|unsupported|not supported|unexpected|unrecogni[sz]ed|malformed|bad request|not allowed|参数|不支持|格式/i;

export function isOverflowText(text: string): boolean {
  return OVERFLOW.test(text) && !NOT_OVERFLOW.test(text);
}

export function isFilterText(text: string): boolean {
  return FILTER.test(text);
}

export function isQuotaText(text: string): boolean {
  return QUOTA.test(text);
}

export function isModelText(text: string): boolean {
  return MODEL.test(text);
}

const SCHEMA_UNSUPPORTED =
  /(?:response_format|json_schema|structured outputs?)[^.]{0,80}(?:not (?:yet )?(?:supported|available|implemented|permitted|allowed)|unsupported|unavailable|(?:does|do)(?: not|n't) support)|(?:unsupported|(?:does|do)(?: not|n't) support)[^.]{0,60}(?:response_format|json_schema|structured outputs?)/i;

/** True: the upstream cannot do `response_format: json_schema`; a broken schema is another matter. */
export function isSchemaUnsupported(text: string): boolean {
  return SCHEMA_UNSUPPORTED.test(text) && !/invalid schema/i.test(text);
}

/** True: `max_tokens` is below what the upstream accepts. */
export function isBelowMinimum(text: string): boolean {
  return /max_(?:completion_|output_|new_)?tokens\b[^.]{0,60}(?:at least|greater than|no less than|>=|below (?:the )?minimum|minimum value)/i.test(
    text,
  );
}

/**
 * What an error means that came without a status and without a known code: by its words, the most specific
 * first. Nothing recognised: the upstream failed (500), so that the next candidate gets its chance.
 */
export function meaningOfText(text: string): Meaning {
  if (isOverflowText(text)) return MEANINGS.overflow;
  if (FILTER.test(text)) return MEANINGS.filter;
  if (QUOTA.test(text)) return MEANINGS.quota;
  if (RATE.test(text)) return MEANINGS.rate;
  if (MODEL.test(text)) return MEANINGS.model;
  if (AUTH.test(text)) return MEANINGS.auth;
  if (OVERLOADED.test(text)) return MEANINGS.overloaded;
  if (SLOW.test(text)) return MEANINGS.slow;
  return CLIENT.test(text) ? MEANINGS.client : MEANINGS.broken;
}
