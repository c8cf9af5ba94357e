import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import {
  fromErrorResponse,
  fromVendorError,
  invalidBodyError,
} from '../../../src/openai/errors/upstream-error.ts';
import { findVendorError } from '../../../src/openai/errors/vendor-error.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);
const context = {
  model: 'gpt-4o',
  path: '/v1/chat/completions',
  scrub: (text: string) => text.replaceAll('TOKEN-123', '[redacted]'),
  nowWallMs: now,
};

/** The error of an answer with this status and body. */
function answered(status: number, body: unknown, headers: Record<string, string> = {}): FerryError {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fromErrorResponse({ ...context, status, body: text, headers: (name) => headers[name] });
}

/** The error inside a 200 body. */
function within(json: unknown): FerryError {
  const found = findVendorError(json);
  assert.notEqual(found, null, JSON.stringify(json));
  return fromVendorError(found as NonNullable<typeof found>, context);
}

function summary(error: FerryError): [string, number, string | null] {
  return [error.kind, error.status, error.code];
}

test('Q126 an error object as the first event of a 200 becomes the error inside', () => {
  assert.deepEqual(
    summary(within({ error: { code: 503, message: 'Loading model', type: 'unavailable_error' } })),
    ['retryable_status', 503, 'upstream_error'],
  );
  assert.deepEqual(
    summary(within({ error: { message: 'Rate limit exceeded: free-models-per-day', code: 429 } })),
    ['rate_limited', 429, 'rate_limit_exceeded'],
  );
  assert.equal(within({ error: { message: 'Provider returned error', code: 502 }, choices: [] }).status, 502);
  assert.equal(within({ error: 'something went wrong' }).kind, 'retryable_status');
});

test('Q126 a status beside a generic word decides the error', () => {
  const status = (type: string, code: unknown): number =>
    within({ error: { message: 'sorry', type, code } }).status;
  assert.deepEqual(
    [500, 502, 503, '503', 504, 429].map((code) => status('server_error', code)),
    [502, 502, 503, 503, 504, 429],
  );
  assert.deepEqual(
    [400, 413, 429, 500].map((code) => status('invalid_request_error', code)),
    [400, 413, 429, 400],
  );
  assert.equal(status('overloaded_error', 500), 503, 'a word that is exact stays');
});

test('the record of an empty body has a message', () => {
  const { message, detail } = invalidBodyError('', context);
  assert.match(message, /empty body/);
  assert.equal(detail, undefined, 'the message is the record’s');
});

test('Q128 TGI: the status comes from error_type', () => {
  const tgi = (error_type: string): FerryError => within({ error: 'Model is overloaded', error_type });
  assert.equal(tgi('overloaded').status, 503);
  assert.deepEqual(summary(tgi('generation')), ['generation_failed', 424, 'generation']);
  assert.equal(tgi('incomplete_generation').status, 502);
  const validation = within({
    error: 'Input validation error: `max_new_tokens` must be <= 1024',
    error_type: 'validation',
  });
  assert.deepEqual(summary(validation), ['client_fault', 422, null]);
  assert.equal(validation.type, 'validation');
  assert.match(validation.message, /max_new_tokens/);
  assert.equal(
    answered(429, { error: 'Model is overloaded', error_type: 'overloaded' }).kind,
    'rate_limited',
  );
});

test('Q129 Ollama: an error that is a string', () => {
  const error = answered(404, { error: "model 'llama9' not found, try pulling it first" });
  assert.deepEqual(summary(error), ['model_not_found', 404, 'model_not_found']);
  assert.equal(within({ error: 'model not found' }).kind, 'model_not_found');
});

test('Q130 vLLM: the flat object, whose code only repeats the status', () => {
  const body = {
    object: 'error',
    message: 'top_p must be in (0, 1], got 3.0.',
    type: 'BadRequestError',
    param: null,
    code: 400,
  };
  const error = answered(400, body);
  assert.deepEqual(error.toBody(), {
    error: { message: 'top_p must be in (0, 1], got 3.0.', type: 'BadRequestError', param: null, code: null },
  });
  assert.deepEqual(summary(within(body)), ['client_fault', 400, null]);
  const missing = answered(404, {
    object: 'error',
    message: 'The model `foo` does not exist.',
    type: 'NotFoundError',
    code: 404,
  });
  assert.equal(missing.kind, 'model_not_found');
});

test('Q131 FastAPI: a detail, and a list of them', () => {
  assert.equal(answered(404, { detail: 'Not Found' }).kind, 'path_not_found');
  const error = answered(422, {
    detail: [
      { loc: ['body', 'messages', 0, 'role'], msg: 'field required', type: 'value_error.missing' },
      { loc: ['body', 'temperature'], msg: 'must be less than 2', type: 'less_than' },
    ],
  });
  assert.deepEqual(summary(error), ['client_fault', 422, 'value_error.missing']);
  assert.equal(error.message, 'messages.0.role: field required; temperature: must be less than 2');
  assert.equal(error.param, 'messages.0.role');
});

test('Q133 Gemini: an array, with the status in words', () => {
  const body = [
    { error: { code: 400, message: 'Invalid value at generation_config', status: 'INVALID_ARGUMENT' } },
  ];
  const error = answered(400, body);
  assert.deepEqual(summary(error), ['client_fault', 400, 'INVALID_ARGUMENT']);
  assert.deepEqual(summary(within(body)), ['client_fault', 400, 'INVALID_ARGUMENT']);
  const busy = within([{ error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }]);
  assert.equal(busy.status, 503);
  assert.equal(
    within({ error: { code: 429, message: 'x', status: 'RESOURCE_EXHAUSTED' } }).kind,
    'rate_limited',
  );
});

test('Q134 MiniMax: base_resp by its code table', () => {
  const cases: [number, string, string][] = [
    [1002, 'rate limit', 'rate_limited'],
    [1004, 'login fail', 'auth_rejected'],
    [1008, 'insufficient balance', 'quota_exhausted'],
    [1026, 'input new_sensitive', 'content_filtered'],
    [2013, 'invalid params', 'client_fault'],
    [1000, 'unknown error', 'retryable_status'],
    [1001, 'timeout', 'retryable_status'],
    [2049, 'invalid api key', 'auth_rejected'],
  ];
  for (const [status_code, status_msg, kind] of cases) {
    const error = within({ id: '1', choices: null, base_resp: { status_code, status_msg } });
    assert.equal(error.kind, kind, status_msg);
  }
  assert.equal(
    findVendorError({ choices: [{ delta: {} }], base_resp: { status_code: 0, status_msg: '' } }),
    null,
  );
  assert.equal(findVendorError({ base_resp: { status_code: 0, status_msg: 'success' }, usage: {} }), null);
});

test('Q135 Baidu: error_code by its table', () => {
  const cases: [number, string, string][] = [
    [336003, 'the role of first message must be user', 'client_fault'],
    [17, 'Open api daily request limit reached', 'rate_limited'],
    [18, 'Open api qps request limit reached', 'rate_limited'],
    [110, 'Access token invalid or no longer valid', 'auth_rejected'],
    [111, 'Access token expired', 'auth_rejected'],
    [336100, 'try again', 'retryable_status'],
  ];
  for (const [error_code, error_msg, kind] of cases) {
    const error = within({ error_code, error_msg, id: 'as-1' });
    assert.equal(error.kind, kind, error_msg);
  }
});

test('Q136 DashScope: code in words, its request id kept for the log', () => {
  const error = answered(401, {
    code: 'InvalidApiKey',
    message: 'Invalid API-key provided.',
    request_id: 'r-1',
  });
  assert.deepEqual(summary(error), ['auth_rejected', 502, 'upstream_auth_error']);
  assert.match(error.detail ?? '', /request id r-1/);
  assert.equal(within({ code: 'InvalidApiKey', message: 'No.', request_id: 'r' }).kind, 'auth_rejected');
  assert.equal(within({ code: 'Throttling.RateQuota', message: 'x' }).kind, 'rate_limited');
  assert.equal(within({ code: 'DataInspectionFailed', message: 'x' }).kind, 'content_filtered');
  assert.equal(answered(400, { code: 'Arrearage', message: 'Access denied.' }).kind, 'quota_exhausted');
  const parameter = within({ code: 'InvalidParameter.NotSupportEnableThinking', message: 'must be false' });
  assert.deepEqual(summary(parameter), ['client_fault', 400, 'InvalidParameter.NotSupportEnableThinking']);
  const sse = answered(
    400,
    'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"bad n"}\n\n',
  );
  assert.equal(sse.message, 'bad n');
});

test('Q138 one-api: numeric and null codes become strings and null, success:false is an error', () => {
  const body = (code: unknown): unknown => ({
    error: { message: 'bad', type: 'one_api_error', param: '', code },
  });
  assert.deepEqual(answered(400, body(null)).toBody().error, {
    message: 'bad',
    type: 'one_api_error',
    param: null,
    code: null,
  });
  assert.equal(answered(400, body(10013)).code, '10013');
  assert.equal(within({ success: false, message: '无效的令牌' }).kind, 'auth_rejected');
  assert.equal(
    answered(403, { error: { message: 'x', code: 'insufficient_user_quota' } }).kind,
    'quota_exhausted',
  );
  assert.equal(
    answered(503, { error: { message: '当前分组 default 下对于模型 x 无可用渠道', code: 'model_not_found' } })
      .kind,
    'model_not_found',
  );
});

test('Q140 S88 context overflow in the texts of all vendors', () => {
  const texts = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    'prompt is too long: 210000 tokens > 200000 maximum',
    'the request exceeds the available context size, try increasing it',
    'input length 5000 exceeds the maximum length 4096',
    'Input tokens exceed the configured limit of 272000 tokens.',
    'Range of input length should be [1, 30720]; the input is too long',
    'Your input exceeds the context window of this model. Please adjust your input and try again.',
    'The prompt is longer than the maximum model length of 4096',
    '输入长度超过模型最大长度',
    'Prompt 超长',
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens',
    'Input validation error: `inputs` must have less than 512 tokens. Given: 600',
    'Prompt contains 40000 tokens, too large for model with 32768 maximum context length',
    'input length and `max_tokens` exceed context limit: 198000 + 8000 > 200000',
    'The input token count (1050000) exceeds the maximum number of tokens allowed (1048576).',
    'too many tokens: total number of tokens in the prompt exceeds the limit of 4081',
    'Please reduce the length of the messages or completion.',
    '<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]',
    'Invalid request: Your request exceeded model token limit: 8192',
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    'Trying to keep the first 5000 tokens when context the overflows.',
  ];
  for (const message of texts) {
    for (const status of [400, 413, 422, 500]) {
      const error = answered(status, { error: { message, type: 'invalid_request_error' } });
      assert.deepEqual(summary(error), ['context_overflow', 400, 'context_length_exceeded'], message);
      assert.match(error.message, /maximum context length/);
      assert.equal(error.shouldRetry, false);
    }
    assert.equal(within({ error: { message } }).kind, 'context_overflow', message);
  }
  assert.equal(
    answered(400, { error: { message: 'x', type: 'exceed_context_size_error', code: 400 } }).kind,
    'context_overflow',
  );
  assert.equal(
    answered(400, { error: { message: 'x', code: 'context_length_exceeded' } }).kind,
    'context_overflow',
  );
});

test('another limit is no context overflow', () => {
  for (const message of [
    'max_tokens is too large: 100000',
    'Image file size exceeds 20 MB',
    'n must be at most 8',
  ]) {
    assert.equal(answered(400, { error: { message } }).kind, 'client_fault', message);
  }
});

test('Q50 Azure: the content filter, with the details of innererror', () => {
  const error = answered(400, {
    error: {
      message:
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
      type: null,
      param: 'prompt',
      code: 'content_filter',
      status: 400,
      innererror: {
        code: 'ResponsibleAIPolicyViolation',
        content_filter_result: {
          hate: { filtered: true, severity: 'high' },
          violence: { filtered: false, severity: 'safe' },
          jailbreak: { detected: true, filtered: true },
        },
      },
    },
  });
  assert.deepEqual(summary(error), ['content_filtered', 400, 'content_filter']);
  assert.match(error.message, /ResponsibleAIPolicyViolation, hate: high, jailbreak: detected/);
});

test('Q141 a 404 of the path is a 502 with a hint, one that names the model is a 404', () => {
  const paths = [
    '<html><head><title>404 Not Found</title></head><body>nginx</body></html>',
    '',
    '404 page not found',
    '{"detail":"Not Found"}',
    '{"error":{"code":"404","message":"Resource not found"}}',
    '{"error":{"message":"Invalid URL (POST /v1/chat/completion)","type":"invalid_request_error"}}',
    '{"timestamp":"2026-01-01","status":404,"error":"Not Found","path":"/deployments/gpt-4o/chat"}',
    'Cannot POST /openai/deployments/gpt-4o/chat/completions',
    '{"error":{"message":"Unknown request URL: POST /openai/v1/models/gpt-4o. Please check the URL for typos"}}',
  ];
  for (const body of paths) {
    const error = answered(404, body);
    assert.deepEqual(summary(error), ['path_not_found', 502, 'upstream_not_found'], body);
    assert.match(error.message, /\/v1\/chat\/completions/);
  }
  const models = [
    '{"error":{"message":"The model `gpt-4o` does not exist or you do not have access to it.","code":"model_not_found"}}',
    '{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}',
    '{"error":{"code":404,"message":"models/gpt-4o is not found for API version v1beta","status":"NOT_FOUND"}}',
    '{"message":"gpt-4o: unknown"}',
    'model gpt-4o not found',
    '{"error":{"message":"The model `gpt-4.1-mini` does not exist"}}',
    '{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}',
  ];
  for (const body of models) {
    assert.deepEqual(summary(answered(404, body)), ['model_not_found', 404, 'model_not_found'], body);
  }
  assert.equal(
    answered(403, { error: { message: 'no access', code: 'model_not_found' } }).kind,
    'model_not_found',
  );
});

test('Q142 S84 a 401 or 403 of the upstream is about the gateway’s credentials: 502, no retry, no echo', () => {
  for (const body of [
    'Unauthorized',
    '<h1>401</h1>',
    '',
    '{"error":{"message":"Incorrect API key: sk-abc12345678"}}',
  ]) {
    const error = answered(401, body, { 'www-authenticate': 'Negotiate' });
    assert.deepEqual(summary(error), ['auth_rejected', 502, 'upstream_auth_error']);
    assert.equal(error.upstreamStatus, 401);
    assert.equal(error.shouldRetry, false);
    assert.doesNotMatch(error.message + error.detail, /sk-abc/);
  }
  assert.deepEqual(summary(answered(403, 'Forbidden')), ['forbidden', 502, 'upstream_auth_error']);
  assert.equal(answered(407, '').kind, 'forbidden');
});

test('S84 a rejection inside of a 200 has 401 in its message as well, which RAGFlow looks for', () => {
  assert.match(within({ base_resp: { status_code: 1004, status_msg: 'login fail' } }).message, /status 401/);
  assert.match(answered(407, '').message, /status 407/);
});

test('Q143 a 429 has its wait, and an exhausted quota is a different error', () => {
  const error = answered(429, { error: { message: 'Please try again in 2s', code: 'rate_limit_exceeded' } });
  assert.deepEqual(summary(error), ['rate_limited', 429, 'rate_limit_exceeded']);
  assert.equal(error.retryAfterMs, 2000);
  assert.equal(answered(429, '', { 'retry-after': '7200' }).retryAfterMs, 60_000);
  assert.equal(answered(429, '', { 'retry-after': '-1' }).retryAfterMs, undefined);
  for (const body of [
    { error: { message: 'x', type: 'insufficient_quota', code: 'insufficient_quota' } },
    { error: { message: 'You exceeded your current quota, please check your plan and billing details.' } },
    { error: { code: '1113', message: '您的账户已欠费,请充值后重试。' } },
  ]) {
    assert.deepEqual(summary(answered(429, body)), ['quota_exhausted', 429, 'insufficient_quota']);
  }
  assert.equal(answered(402, { detail: 'Payment required' }).kind, 'quota_exhausted');
});

test('Q143 a quota that comes back in seconds is a rate limit', () => {
  const error = answered(429, {
    error: {
      code: 429,
      message: 'You exceeded your current quota, please check your plan and billing details.',
      status: 'RESOURCE_EXHAUSTED',
      details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34s' }],
    },
  });
  assert.deepEqual(summary(error), ['rate_limited', 429, 'rate_limit_exceeded']);
  assert.equal(error.retryAfterMs, 34_000);
});

test('a 400 for an unknown model is a 404, also with the upstream’s name of the model', () => {
  const body = '{"error":{"message":"Invalid model name passed in model=deploy-7. Call `/v1/models`."}}';
  const read = (more: object): string =>
    fromErrorResponse({ ...context, ...more, status: 400, body, headers: () => undefined }).kind;
  assert.equal(read({ upstreamModel: 'deploy-7' }), 'model_not_found');
  assert.equal(read({}), 'client_fault');
  assert.equal(
    answered(400, { error: { message: "Unsupported parameter: 'x' is not supported with model gpt-4o." } })
      .kind,
    'client_fault',
  );
});

test('Q145 Mistral: a message that is an object', () => {
  const error = answered(422, {
    object: 'error',
    message: {
      detail: [{ type: 'extra_forbidden', loc: ['body', 'store'], msg: 'Extra inputs are not permitted' }],
    },
    type: 'invalid_request_error',
    param: null,
    code: null,
  });
  assert.equal(error.message, 'store: Extra inputs are not permitted');
  assert.deepEqual(summary(error), ['client_fault', 422, 'extra_forbidden']);
  assert.equal(error.type, 'invalid_request_error');
});

test('Q144 Q39 gateway statuses map to 502, 503 and 504, HTML pages included', () => {
  const page = (text: string): string =>
    `<html>\r\n<head><title>${text}</title></head><body><h1>x</h1></body></html>`;
  const cases: [number, number][] = [
    [500, 502],
    [502, 502],
    [503, 503],
    [504, 504],
    [408, 504],
    [425, 502],
    [520, 502],
    [524, 504],
    [527, 502],
    [529, 503],
  ];
  for (const [status, expected] of cases) {
    const error = answered(status, page(`${status} Something`));
    assert.deepEqual(summary(error), ['retryable_status', expected, 'upstream_error']);
    assert.equal(error.message, `The upstream returned status ${status}: ${status} Something`);
  }
});

test('retry.statuses decides which statuses are tried again', () => {
  const isRetryable = (status: number): boolean => status === 409;
  const read = (status: number): string =>
    fromErrorResponse({ ...context, isRetryable, status, body: '', headers: () => undefined }).kind;
  assert.equal(read(409), 'retryable_status');
  assert.equal(read(500), 'invalid_response');
  assert.equal(read(408), 'client_fault');
});

test('Q147 a redirect is upstream_redirect and does not reveal its target', () => {
  const error = answered(302, '', { location: 'https://sso.corp.example/login?x=1' });
  assert.deepEqual(summary(error), ['redirect', 502, 'upstream_redirect']);
  assert.doesNotMatch(error.message, /corp/);
});

test('any other status is an invalid response', () => {
  for (const status of [204, 206, 304, 101, 501, 505, 599, 499, 0]) {
    assert.deepEqual(
      summary(answered(status, '')),
      ['invalid_response', 502, 'upstream_invalid_response'],
      `${status}`,
    );
  }
});

test('any other 4xx is the client’s, with the upstream’s status, message, type, code and param', () => {
  const error = answered(422, {
    error: {
      message: 'Unsupported value',
      type: 'invalid_request_error',
      param: 'messages[0].role',
      code: 'unsupported_value',
    },
  });
  assert.equal(error.kind, 'client_fault');
  assert.equal(error.status, 422);
  assert.deepEqual(error.toBody().error, {
    message: 'Unsupported value',
    type: 'invalid_request_error',
    param: 'messages[0].role',
    code: 'unsupported_value',
  });
  for (const status of [400, 409, 413, 415, 451]) assert.equal(answered(status, '').status, status);
});

test('S91 S99 the texts that LangChain and Dify look for stay in the message', () => {
  const kept = [
    "'response_format' of type 'json_schema' is not supported with this model",
    "Invalid 'max_output_tokens': integer_below_min_value. Expected a value >= 16, but got 5 instead.",
  ];
  for (const message of kept) assert.equal(answered(400, { error: { message } }).message, message);
});

test('S91 an upstream without json_schema is an error with the text that LangChain falls back on', () => {
  for (const message of [
    'response_format json_schema is not supported',
    'This response_format type is unavailable now',
    'The model does not support structured outputs',
  ]) {
    const told = answered(400, { error: { message } }).message;
    assert.equal(
      told,
      `'response_format' of type 'json_schema' is not supported with this model: ${message}`,
    );
  }
  const broken = "Invalid schema for response_format 'x': 'foo' is not supported";
  assert.equal(answered(400, { error: { message: broken } }).message, broken);
});

test('S99 a max_tokens below the minimum has the code on which Dify retries', () => {
  const code = (message: string, own?: string): string | null =>
    answered(400, { error: { message, code: own } }).code;
  assert.equal(code('max_tokens must be at least 16'), 'integer_below_min_value');
  assert.equal(
    code('max_completion_tokens: Input should be greater than or equal to 1'),
    'integer_below_min_value',
  );
  assert.equal(code('max_tokens must be at least 16', 'own_code'), 'own_code');
  assert.equal(code('max_tokens is too large'), null);
});

test('Q158 a batch that is too large is no context overflow', () => {
  for (const message of [
    'the input array exceeds the limit of 10 items',
    'batch size is invalid, it should not be larger than 10.: input.contents',
    '输入条数超过最大值 10',
  ]) {
    assert.equal(answered(400, { error: { message } }).kind, 'client_fault', message);
  }
});

test('S81 S82 every message is a string and never empty', () => {
  const bodies = [
    '',
    '{}',
    '[]',
    'null',
    '""',
    '{"error":{}}',
    '{"error":null}',
    '{"error":{"message":""}}',
    '{"error":[]}',
  ];
  for (const status of [302, 400, 401, 403, 404, 418, 422, 429, 500, 503, 599]) {
    for (const body of bodies) {
      const { message, type } = answered(status, body).toBody().error;
      assert.ok(message.length > 10, `${status} ${body}: ${message}`);
      assert.ok(type.length > 0);
    }
  }
});

test('Q129 Q143 behind our own words of a 404 and a 429 stand those of the upstream', () => {
  for (const [status, message, words] of [
    [
      404,
      'The model `gpt-4o` does not exist or you do not have access to it.',
      'or you do not have access to it.',
    ],
    [404, "model 'gpt-4o' not found, try pulling it first", 'try pulling it first'],
    [
      429,
      'Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000.',
      'tokens per min (TPM): Limit 30000.',
    ],
    [402, 'Insufficient Balance', 'Upstream: Insufficient Balance'],
  ] as const) {
    assert.ok(answered(status, { error: { message } }).message.includes(words), message);
  }
  const hidden = answered(404, {
    error: { message: 'Model gpt-4o not found on 10.0.0.7:8000 for TOKEN-123. Ask the server team.' },
  });
  assert.match(hidden.message, /Upstream: Model gpt-4o not found/);
  assert.doesNotMatch(hidden.message, /10\.0\.0|TOKEN|server/);
  const google = answered(429, {
    error: { message: 'You exceeded your current quota. Please retry in 20.5s.' },
  });
  assert.match(google.message, /rate limit.* Upstream: Please retry in 20\.5s\.$/);
});

test('S90 every 429 names in its text the seconds to wait, since applications show no headers', () => {
  for (const [headers, ends] of [
    [{ 'retry-after': '20' }, 'Retry after 20 s.'],
    [{ 'retry-after': '0.4' }, 'Retry after 1 s.'],
    [{ 'retry-after': '7200' }, 'Retry after 60 s.'],
    [{}, 'Retry after 1 s.'],
  ] as const) {
    const { message } = answered(429, { error: { message: 'Slow down!' } }, headers).toBody().error;
    assert.ok(message.includes('Upstream: Slow down!') && message.endsWith(ends), message);
  }
  assert.doesNotMatch(answered(503, '', { 'retry-after': '20' }).toBody().error.message, /20 s/);
});

test('S91 a refused json_object is not called json_schema', () => {
  const message = "'response_format' is not supported by this model";
  const said = (responseFormat?: string, words = message): string =>
    fromErrorResponse({
      ...context,
      ...(responseFormat !== undefined && { responseFormat }),
      status: 400,
      body: JSON.stringify({ error: { message: words } }),
      headers: () => undefined,
    }).message;
  assert.match(said('json_schema'), /of type 'json_schema' is not supported with this model/);
  assert.match(said(), /of type 'json_schema' is not supported with this model/);
  assert.equal(said('json_object'), message);
  const named = 'response_format json_object is not supported';
  assert.equal(said(undefined, named), named);
});

test('S90 our own 400 and 404 texts have none of the words that RAGFlow misreads', () => {
  const misread = /server|timeout|unavailable|capacity|quota|rate limit|\bkey\b|auth/i;
  const ours = [
    answered(404, { error: { code: 'model_not_found', message: 'server key unavailable' } }),
    answered(400, ''),
    answered(404, 'model x not found on this server'),
    answered(400, { error: { code: 'context_length_exceeded', message: '' } }),
  ];
  for (const error of ours) assert.doesNotMatch(error.message, misread);
});

test('S82 Q148 no host, address, URL, key or stack trace of an upstream reaches a client', () => {
  const texts = [
    'connect ECONNREFUSED 10.20.30.40:8000',
    'dial tcp: lookup llm-backend on 10.0.0.2:53: no such host',
    "HTTPConnectionPool(host='llm-backend', port=8000): Max retries exceeded",
    'upstream https://llm.corp.example/v1/chat failed',
    'getaddrinfo ENOTFOUND gpu7.internal',
    'no route to node-17:8443',
    'proxy error at gateway.svc.cluster.local',
    'fe80::1ff:fe23:4567:890a unreachable',
    'token TOKEN-123 refused',
    'bad Authorization: Bearer abcdefghijklmnop',
    'jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig expired',
    'failed\n    at Object.call (/srv/app/node_modules/x.js:3:1)\n    at next',
    'Traceback (most recent call last):\n  File "/opt/vllm/engine.py", line 3\nRuntimeError: CUDA out of memory',
  ];
  const secret =
    /10\.20|10\.0|llm-backend|corp\.example|gpu7|node-17|cluster|fe80|TOKEN|abcdefgh|eyJ|\/srv|\/opt|localhost/;
  for (const text of texts) {
    for (const status of [400, 500, 503, 429, 599]) {
      const error = answered(status, { error: { message: text } });
      assert.doesNotMatch(error.message, secret, `${status} ${text}`);
      assert.doesNotMatch(answered(status, text).message, secret, `${status} ${text}`);
    }
  }
  assert.match(answered(500, texts.at(-1) as string).message, /CUDA out of memory/);
});

test('text that only looks like an address stays in a client’s error', () => {
  const message =
    'claude-3.5-sonnet at messages.0.content: see https://platform.openai.com/docs (12:30, v1.2.3)';
  assert.equal(answered(400, { error: { message } }).message, message);
});

test('S97 long and foreign bodies are cut to a short excerpt', () => {
  const error = answered(500, 'x '.repeat(100_000));
  assert.ok(error.message.length < 600);
  assert.ok(answered(400, { error: { message: '界'.repeat(100_000) } }).message.length <= 2000);
  const emoji = answered(500, '😀'.repeat(5000));
  assert.ok(emoji.message.isWellFormed());
});

test('nested errors are unwrapped', () => {
  const inner = JSON.stringify({ error: { message: 'The real one', code: 'string_above_max_length' } });
  assert.equal(answered(400, { error: { message: inner, type: 'upstream_error' } }).message, 'The real one');
  assert.equal(answered(400, { detail: { error: { message: 'deep' } } }).message, 'deep');
  assert.equal(
    answered(400, { status: 400, error: 'Bad Request', message: 'temperature must be a number' }).message,
    'temperature must be a number',
  );
  assert.equal(
    answered(400, { fault: { faultstring: 'Bad', detail: { errorcode: 'policies.x' } } }).message,
    'Bad',
  );
});

test('S85 which 200 bodies are errors and which are not', () => {
  const errors: unknown[] = [
    { error: { message: 'x' } },
    { error: 'x', choices: [] },
    { error: { message: 'x' }, choices: [{ index: 0, delta: {}, finish_reason: 'error' }] },
    { code: 1301, msg: 'x', data: null },
    { code: 'InternalError', message: 'x' },
    { object: 'error', message: 'x' },
    { success: false, message: 'x' },
    { success: false, errors: [{ code: 7000, message: 'x' }], result: null },
    { detail: 'x' },
    { detail: [{ loc: ['body'], msg: 'x', type: 't' }] },
    { type: 'error', code: 'server_error', message: 'x' },
    { status: 'error', message: 'x' },
    { statusCode: 500, message: 'x' },
    { errcode: 40001, errmsg: 'invalid credential' },
    { Response: { Error: { Code: 'AuthFailure', Message: 'x' }, RequestId: 'r' } },
    [{ error: { message: 'x' } }],
    [{ object: 'error', message: 'x' }],
  ];
  for (const json of errors) assert.notEqual(findVendorError(json), null, JSON.stringify(json));
  const answers: unknown[] = [
    null,
    'text',
    7,
    [],
    [[0.1, 0.2]],
    {},
    { heartbeat: 1 },
    { type: 'ping' },
    { choices: [], usage: { total_tokens: 1 } },
    { id: 'x', choices: [{ delta: { content: 'a' } }], error: null },
    { choices: [{ message: { content: 'a' } }], code: 0, message: 'ok' },
    { choices: [{ text: 'a' }], error: { message: 'ignored beside an answer' } },
    { code: 0, msg: 'ok', data: { choices: [] } },
    { code: 200, message: 'success', data: {} },
    { code: 10000, msg: 'SUCCESS', data: { choices: [{ message: { content: 'a' } }] } },
    { code: 20000, message: 'ok', success: true, data: {} },
    { code: '0', msg: 'success' },
    { error: { code: 0, message: '' }, usage: {} },
    { error: '', object: 'chat.completion.chunk' },
    { object: 'list', data: [{ embedding: [1] }] },
    { message: { role: 'assistant', content: 'a' }, done: false },
    { results: [{ index: 0, score: 1 }] },
  ];
  for (const json of answers) assert.equal(findVendorError(json), null, JSON.stringify(json));
});

test('Q42 an envelope with an unknown code is classified by its text', () => {
  const envelope = (msg: string): string => within({ code: 99, msg, data: null }).kind;
  assert.equal(envelope('请求过于频繁,触发限流'), 'rate_limited');
  assert.equal(envelope('余额不足'), 'quota_exhausted');
  assert.equal(envelope('token已过期'), 'auth_rejected');
  assert.equal(envelope('模型 foo 不存在'), 'model_not_found');
  assert.equal(envelope('系统繁忙,请稍后再试'), 'retryable_status');
  assert.equal(envelope('内容包含敏感词'), 'content_filtered');
  assert.equal(envelope('参数错误'), 'client_fault');
  assert.equal(envelope('boom'), 'retryable_status');
  assert.equal(within({ code: 1001, message: '参数错误' }).kind, 'client_fault');
  assert.equal(within({ error: { code: '1001', message: 'x' } }).kind, 'auth_rejected');
});

test('no body makes the parsers throw (seeded)', () => {
  const random = randomFrom(17);
  const words = [
    'error',
    'message',
    'code',
    'detail',
    'base_resp',
    'status',
    'errors',
    'type',
    'choices',
    'data',
    'msg',
  ];
  const make = (depth: number): unknown => {
    const choice = random();
    if (depth > 4 || choice < 0.4) {
      return [null, '', 'x', 0, 1, 400, -1, true, false, '{"error":', '1113', {}][Math.floor(random() * 12)];
    }
    if (choice < 0.6) return Array.from({ length: Math.floor(random() * 3) }, () => make(depth + 1));
    const entries = Array.from({ length: Math.floor(random() * 4) }, () => [
      words[Math.floor(random() * words.length)],
      make(depth + 1),
    ]);
    return Object.fromEntries(entries);
  };
  for (let round = 0; round < 5000; round++) {
    const json = make(0);
    const status = [200, 302, 400, 401, 403, 404, 422, 429, 500, 503][Math.floor(random() * 10)] as number;
    const error = answered(status, JSON.stringify(json) ?? '');
    assert.ok(error.message.length > 0 && error.status >= 400);
    const found = findVendorError(json);
    if (found !== null) assert.ok(fromVendorError(found, context).message.length > 0);
  }
});

test('a hostile body of a megabyte is parsed in milliseconds', () => {
  const bodies = [
    'a-'.repeat(500_000),
    '1.'.repeat(500_000),
    'a.'.repeat(500_000),
    '<a '.repeat(300_000),
    'model '.repeat(200_000),
    '::'.repeat(500_000),
    '{"a":'.repeat(200_000),
    'https://'.repeat(100_000),
    '['.repeat(1_000_000),
    ' '.repeat(1_000_000),
    'data: {'.repeat(100_000),
    'input '.repeat(100_000),
    '\n'.repeat(1_000_000),
  ];
  for (const body of bodies) {
    const began = process.cpuUsage();
    answered(500, body);
    answered(404, JSON.stringify({ error: { message: body } }));
    const elapsed = cpuMsSince(began);
    assert.ok(elapsed < 1000, `${body.slice(0, 10)} took ${elapsed} ms`);
  }
});
