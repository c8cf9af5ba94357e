/**
 * Learning from refusals is a rule: any top-level parameter that a 400 or 422 names is left out, renamed or set as it says,
 * once, and remembered. litellm#14365, CLIProxyAPI#897, codex#39442; ragflow#8972, #11565, langchain4j#3974.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestBody } from '../helpers/stand-in-model.ts';
import { asks, droppedOf, HI, refusal, type Says, startRig, type Upstream } from './reports-rig.ts';

/** Refuses a request that has the parameter. */
const without =
  (name: string, says: Says): Upstream =>
  (body) =>
    name in body ? says : null;

const places = (...names: readonly string[]) =>
  names.map((name) => ({
    type: 'extra_forbidden',
    loc: ['body', name],
    msg: 'Extra inputs are not permitted',
    input: 1,
  }));

/** Who refuses which parameter, with what value, in which words. */
const REFUSALS: readonly (readonly [string, string, unknown, Says])[] = [
  ['OpenAI', 'prompt_cache_key', 'k', refusal('Unrecognized request argument supplied: prompt_cache_key')],
  [
    'OpenAI',
    'temperature',
    0.7,
    refusal(
      "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.",
      { param: 'temperature', code: 'unsupported_value' },
    ),
  ],
  [
    'Azure',
    'verbosity',
    'low',
    refusal("Unknown parameter: 'verbosity'.", { param: 'verbosity', code: 'unknown_parameter' }),
  ],
  [
    'Azure AI',
    'seed',
    1,
    {
      status: 422,
      body: {
        error: {
          code: 'Invalid input',
          status: 422,
          message: 'invalid input error',
          details: places('seed'),
        },
      },
    },
  ],
  [
    'vLLM',
    'safety_identifier',
    's',
    {
      status: 400,
      body: {
        error: {
          message:
            "[{'type': 'extra_forbidden', 'loc': ('body', 'safety_identifier'), 'msg': 'Extra inputs are not permitted', 'input': 's'}]",
          type: 'Bad Request',
          code: 400,
        },
      },
    },
  ],
  ['vLLM', 'logit_bias', { 1: 5 }, refusal('logit_bias is not currently supported by this engine')],
  [
    'Mistral',
    'prompt_cache_retention',
    '24h',
    {
      status: 422,
      body: {
        object: 'error',
        message: { detail: places('prompt_cache_retention') },
        type: 'invalid_request_error',
        raw_status_code: 422,
      },
    },
  ],
  [
    'Gemini',
    'metadata',
    { a: 'b' },
    {
      status: 400,
      body: [
        {
          error: {
            code: 400,
            message: 'Invalid JSON payload received. Unknown name "metadata": Cannot find field.',
            status: 'INVALID_ARGUMENT',
          },
        },
      ],
    },
  ],
  ['Groq', 'top_logprobs', 3, refusal("property 'top_logprobs' is unsupported")],
  [
    'Cerebras',
    'frequency_penalty',
    0.5,
    {
      status: 422,
      body: {
        message: "body.frequency_penalty: property 'body.frequency_penalty' is unsupported",
        type: 'invalid_request_error',
        param: 'validation_error',
        code: 'wrong_api_format',
      },
    },
  ],
  [
    'DeepSeek',
    'service_tier',
    'flex',
    {
      status: 422,
      body: 'Failed to deserialize the JSON body into the target type: unknown field `service_tier`, expected one of `messages`, `model`, `max_tokens`, `temperature` at line 1 column 99',
    },
  ],
  [
    'Bailian',
    'reasoning_effort',
    'high',
    refusal('<400> InternalError.Algo.InvalidParameter: 该模型不支持参数 reasoning_effort'),
  ],
  [
    'Volcengine',
    'logprobs',
    true,
    {
      status: 400,
      body: {
        error: {
          code: 'InvalidParameter',
          message:
            'The parameter `logprobs` specified in the request are not valid: not supported by this model. Request id: 021',
          param: 'logprobs',
          type: 'BadRequest',
        },
      },
    },
  ],
  [
    'Zhipu',
    'store',
    true,
    {
      status: 400,
      body: { error: { code: '1210', message: 'API 调用参数有误，请检查文档：未知参数 store' } },
    },
  ],
  [
    'LiteLLM',
    'web_search_options',
    {},
    refusal(
      "litellm.UnsupportedParamsError: groq does not support parameters: ['web_search_options'], for model=m. To drop these, set `litellm.drop_params=True`",
    ),
  ],
  [
    'a pydantic text',
    'user',
    'u',
    refusal(
      "1 validation error for ChatCompletionRequest\nuser\n  Extra inputs are not permitted [type=extra_forbidden, input_value='u', input_type=str]\n    For further information visit https://errors.pydantic.dev/2.9/v/extra_forbidden",
    ),
  ],
  [
    'Ajv',
    'chat_template_kwargs',
    {},
    {
      status: 400,
      body: {
        message: 'Bad request',
        errors: [
          {
            instancePath: '',
            keyword: 'additionalProperties',
            params: { additionalProperty: 'chat_template_kwargs' },
            message: 'must NOT have additional properties',
          },
        ],
      },
    },
  ],
  [
    'zod',
    'do_sample',
    true,
    {
      status: 400,
      body: {
        error: 'Invalid body',
        issues: [{ code: 'unrecognized_keys', keys: ['do_sample'], path: [], message: 'Unrecognized key' }],
      },
    },
  ],
  [
    'JSON:API',
    'prediction',
    { type: 'content' },
    {
      status: 422,
      body: { errors: [{ status: '422', source: { pointer: '/prediction' }, title: 'Invalid Attribute' }] },
    },
  ],
  [
    'a server in German',
    'modalities',
    ['text'],
    refusal("Der Parameter 'modalities' wird von diesem Modell nicht unterstützt."),
  ],
  ['a server in French', 'n', 1, refusal("Le paramètre 'n' n'est pas pris en charge.")],
  ['a server in Japanese', 'top_p', 0.9, refusal('パラメータ `top_p` はサポートされていません')],
  ['words of nobody', 'presence_penalty', 0.1, refusal('We do not like presence_penalty around here')],
];

for (const [who, name, value, says] of REFUSALS) {
  test(`${who} refuses ${name}: it is left out, named, and not sent again`, async () => {
    await using rig = await startRig([without(name, says)]);
    await assert.rejects(rig.direct.chat.completions.create(asks({ [name]: value })), 'direct');
    for (const attempts of ['2', '1']) {
      const { data, response } = await rig.client.chat.completions
        .create(asks({ [name]: value }))
        .withResponse();
      assert.equal(data.choices[0]?.message.content, 'all is well');
      assert.equal(response.headers.get('x-tokenferry-attempts'), attempts);
      assert.deepEqual(droppedOf(response), [name]);
    }
    const stream = await rig.client.chat.completions.create({ ...asks({ [name]: value }), stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text, 'all is well');
  });
}

/** Ways in which parameters are named; all are left out with one more call. */
const NAMED: Readonly<Record<string, readonly (readonly [object, Says])[]>> = {
  'in a sentence, without quotes': [
    [{ user: 'u', seed: 1 }, refusal('user and seed are not supported')],
    [{ user: 'u', seed: 1 }, refusal('user, seed: not supported by this model')],
    [{ user: 'u', seed: 1 }, refusal('user/seed not supported')],
    [
      { user: 'u', seed: 1, store: true },
      refusal('The parameters user, seed and store are not allowed here'),
    ],
    [{ user: 'u', seed: 1 }, refusal('unsupported parameters user seed')],
    [{ user: 'u', seed: 1 }, refusal('This model does not support user or seed')],
    [{ user: 'u', seed: 1 }, refusal('Neither user nor seed is supported')],
    [{ seed: 1 }, refusal('This deployment does not accept seed in requests')],
    [{ user: 'u' }, refusal('The user field is prohibited.')],
    [{ logprobs: true }, { status: 400, body: '<error><message>Unknown element logprobs</message></error>' }],
  ],
  'in entries of the same words': [
    [{ user: 'u', seed: 1 }, refusal('property user should not exist; property seed should not exist')],
    [
      { user: 'u', seed: 1 },
      {
        status: 400,
        body: {
          message: ['property user should not exist', 'property seed should not exist'],
          statusCode: 400,
        },
      },
    ],
    [
      { user: 'u', seed: 1 },
      {
        status: 400,
        body: {
          message:
            'Malformed input request: 2 schema violations found: #: extraneous key [seed] is not permitted, #: extraneous key [user] is not permitted',
        },
      },
    ],
  ],
  'in another spelling': [
    [
      { presence_penalty: 0.5 },
      {
        status: 400,
        body: {
          code: 'Client specified an invalid argument',
          error: 'Model grok-4 does not support parameter presencePenalty.',
        },
      },
    ],
    [{ frequency_penalty: 0.5 }, refusal('Argument not supported on this model: frequencyPenalty')],
    [{ top_logprobs: 2 }, refusal("Unknown property 'TopLogprobs'")],
    [{ service_tier: 'flex' }, refusal("unknown field 'service-tier'")],
    [{ presence_penalty: 0.5 }, refusal('presence penalty is not supported by this model')],
    [{ temperature: 0.5 }, refusal('Temperature is not supported with this model.')],
  ],
  'in Chinese, Japanese and Korean': [
    [{ user: 'u', seed: 1 }, refusal('不支持参数 user、seed')],
    [{ user: 'u', seed: 1 }, refusal('当前模型不支持user,seed字段')],
    [{ user: 'u' }, refusal('userは指定できません')],
    [{ user: 'u', seed: 1 }, refusal('パラメーター user と seed は使用できません')],
    [{ user: 'u' }, refusal('user 필드는 허용되지 않습니다')],
    [{ user: 'u', seed: 1 }, refusal('user 및 seed 매개변수는 지원되지 않습니다')],
  ],
  'in other scripts': [
    [{ user: 'u' }, refusal('Параметр user не поддерживается')],
    [{ user: 'u', seed: 1 }, refusal('Параметры user и seed не поддерживаются')],
    [{ user: 'u' }, refusal('Η παράμετρος user δεν υποστηρίζεται')],
    [{ user: 'u' }, refusal('المعلمة user غير مدعومة')],
    [{ user: 'u' }, refusal('הפרמטר user אינו נתמך')],
    [{ user: 'u' }, refusal('ไม่รองรับพารามิเตอร์ user')],
    [{ user: 'u' }, refusal('पैरामीटर user समर्थित नहीं है')],
  ],
  'in other languages of Latin letters': [
    [{ user: 'u' }, refusal('O parâmetro user não é suportado por este modelo')],
    [{ user: 'u', seed: 1 }, refusal('Los parámetros user y seed no son compatibles')],
    [{ user: 'u', seed: 1 }, refusal('Les paramètres user et seed ne sont pas pris en charge')],
    [{ user: 'u', seed: 1 }, refusal('Die Felder user und seed sind nicht erlaubt')],
    [{ user: 'u' }, refusal('Parametr user nie jest obsługiwany')],
    [{ user: 'u' }, refusal('Parametr user není podporován')],
    [{ user: 'u' }, refusal('user alanı desteklenmiyor')],
    [{ user: 'u' }, refusal('Parametern user stöds inte')],
    [{ user: 'u' }, refusal('Tuntematon parametri user')],
    [{ user: 'u' }, refusal('Tham số user không được hỗ trợ')],
  ],
  'as members and lists of an error': [
    [
      { seed: 1 },
      {
        status: 400,
        body: {
          title: 'One or more validation errors occurred.',
          errors: { '$.seed': ["The JSON property 'seed' could not be mapped to any .NET member."] },
        },
      },
    ],
    [
      { user: 'u' },
      {
        status: 400,
        body: { title: 'Validation errors', errors: { User: ['The User field is not allowed.'] } },
      },
    ],
    [{ store: true }, { status: 400, body: { store: ['Unknown field.'] } }],
    [{ user: 'u' }, { status: 422, body: { code: 422, errors: { json: { user: ['Unknown field.'] } } } }],
    [
      { seed: 1 },
      { status: 422, body: { detail: [{ loc: 'body.seed', msg: 'extra fields not permitted' }] } },
    ],
    [{ seed: 1 }, { status: 400, body: { errors: [{ path: 'seed', message: 'unknown' }] } }],
    [
      { seed: 1 },
      { status: 400, body: { title: 'Bad', 'invalid-params': [{ name: 'seed', reason: 'not supported' }] } },
    ],
    [
      { top_logprobs: 2 },
      {
        status: 400,
        body: {
          error: {
            code: 400,
            message: 'Invalid JSON payload received.',
            details: [
              { fieldViolations: [{ field: 'generation_config.topLogprobs', description: 'Unknown' }] },
            ],
          },
        },
      },
    ],
    [
      { seed: 1, user: 'u' },
      { status: 400, body: { error: 'bad request', unsupported_parameters: ['seed', 'user'] } },
    ],
    [
      { seed: 1, user: 'u' },
      {
        status: 400,
        body: { error: { message: 'Some are not supported', invalid_fields: ['seed', 'user'] } },
      },
    ],
    [{ seed: 1, user: 'u' }, refusal('unknown parameters', { param: 'seed, user' })],
  ],
};

for (const [how, refusals] of Object.entries(NAMED)) {
  test(`parameters that a refusal names ${how} are left out with one more call`, async () => {
    for (const [body, says] of refusals) {
      const names = Object.keys(body);
      await using rig = await startRig([(sent) => (names.some((name) => name in sent) ? says : null)]);
      const { response } = await rig.client.chat.completions.create(asks(body)).withResponse();
      assert.equal(rig.bodies().length, 2, JSON.stringify(says));
      assert.deepEqual(droppedOf(response).toSorted(), names.toSorted());
    }
  });
}

test('words of a sentence that are also parameters of the request are not taken for them', async () => {
  const body = { user: 'u', store: true, n: 1, seed: 1 };
  for (const words of [
    'The user has not accepted the terms of use',
    'The user may not use this store; access is not permitted',
    'Your user is not allowed to call this model in region n',
    'Invalid user input: this content is not allowed',
    'You must not include user data of a store',
  ]) {
    await using rig = await startRig([() => refusal(words)]);
    await assert.rejects(rig.client.chat.completions.create(asks(body)), (error: Error) =>
      error.message.includes(words),
    );
    assert.equal(rig.bodies().length, 1, words);
  }
});

test('all that one refusal lists is left out with one more call', async () => {
  const names = ['user', 'seed', 'prompt_cache_key'];
  for (const says of [
    { status: 422, body: { detail: places(...names) } },
    refusal("Additional properties are not allowed ('user', 'seed' and 'prompt_cache_key' were unexpected)"),
    refusal(
      'user: Extra inputs are not permitted; seed: Extra inputs are not permitted; prompt_cache_key: Extra inputs are not permitted',
    ),
  ]) {
    await using rig = await startRig([(body) => (names.some((name) => name in body) ? says : null)]);
    const { response } = await rig.client.chat.completions
      .create(asks({ user: 'u', seed: 1, prompt_cache_key: 'k' }))
      .withResponse();
    assert.equal(response.headers.get('x-tokenferry-attempts'), '2');
    assert.deepEqual(droppedOf(response).toSorted(), names.toSorted());
  }
});

test('enable_thinking must be set to false for non-streaming calls: it is, and streams keep it (ragflow#8972, #11565, langchain4j#3974)', async () => {
  for (const words of [
    'parameter.enable_thinking must be set to false for non-streaming calls',
    '<400> InternalError.Algo.InvalidParameter: The value of the enable_thinking parameter is restricted: enable_thinking must be set to false for non-streaming calls',
    '非流式调用时，参数 enable_thinking 必须设置为 false',
  ]) {
    await using rig = await startRig([
      (body) =>
        body.stream !== true && body.enable_thinking !== false
          ? refusal(words, { code: 'invalid_parameter_error' })
          : null,
    ]);
    for (const extra of [{}, { enable_thinking: true }]) {
      const { response } = await rig.client.chat.completions.create(asks(extra)).withResponse();
      assert.deepEqual(droppedOf(response), ['enable_thinking=false'], words);
      assert.equal(rig.bodies().at(-1)?.enable_thinking, false);
    }
    assert.equal(rig.bodies().length, 3);
    const stream = await rig.client.chat.completions.create({
      ...asks({ enable_thinking: true }),
      stream: true,
    });
    for await (const _ of stream);
    assert.equal(rig.bodies().at(-1)?.enable_thinking, true);
  }
});

test('an upstream that means by it that it only streams gets a stream', async () => {
  await using rig = await startRig([
    (body) =>
      body.stream === true
        ? null
        : refusal('parameter.enable_thinking must be set to false for non-streaming calls'),
  ]);
  const { data } = await rig.client.chat.completions.create(asks({})).withResponse();
  assert.equal(data.choices[0]?.message.content, 'all is well');
  await rig.client.chat.completions.create(asks({}));
  assert.equal(rig.bodies().at(-1)?.enable_thinking, undefined, 'what did not help is forgotten');
});

test('a stated value is set, another name is used, a length limit only under its other name', async () => {
  const cases: readonly (readonly [object, string, Says, object, readonly string[]])[] = [
    [{ n: 3 }, 'n', refusal("'n' must be 1"), { n: 1 }, ['n=1']],
    [{ store: true }, 'store', refusal('store must be set to false'), { store: false }, ['store=false']],
    [
      { temperature: 0.3 },
      'temperature',
      refusal('invalid temperature: only 1 is allowed for this model'),
      { temperature: 1 },
      ['temperature=1'],
    ],
    [
      { service_tier: 'flex' },
      'service_tier',
      refusal('service_tier muss auf "auto" gesetzt werden'),
      { service_tier: 'auto' },
      ['service_tier="auto"'],
    ],
    [
      { thinking: { type: 'enabled' } },
      'thinking',
      refusal("Unknown parameter: 'thinking'. Did you mean 'reasoning'?", { param: 'thinking' }),
      { reasoning: { type: 'enabled' } },
      [],
    ],
    [
      { max_tokens: 5 },
      'max_tokens',
      refusal(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        { param: 'max_tokens' },
      ),
      { max_completion_tokens: 5 },
      [],
    ],
    [
      { max_completion_tokens: 5 },
      'max_completion_tokens',
      { status: 422, body: { detail: places('max_completion_tokens') } },
      { max_tokens: 5 },
      [],
    ],
    [
      { max_tokens: 5 },
      'max_tokens',
      refusal('参数 max_tokens 已废弃，请使用 max_new_tokens'),
      { max_new_tokens: 5 },
      [],
    ],
    [
      { reasoning_effort: 'low' },
      'reasoning_effort',
      refusal("'reasoning_effort' is not supported. Use 'reasoning.effort' instead."),
      { reasoning: { effort: 'low' } },
      [],
    ],
  ];
  for (const [extra, name, says, expected, dropped] of cases) {
    const [wanted] = Object.entries(expected) as [string, unknown][];
    await using rig = await startRig([
      (body) => (JSON.stringify(body[wanted?.[0] ?? '']) === JSON.stringify(wanted?.[1]) ? null : says),
    ]);
    for (const attempts of ['2', '1']) {
      const { response } = await rig.client.chat.completions.create(asks(extra)).withResponse();
      assert.equal(response.headers.get('x-tokenferry-attempts'), attempts, name);
      assert.deepEqual(droppedOf(response), dropped);
      const sent = rig.bodies().at(-1) ?? {};
      assert.deepEqual(
        Object.keys(sent).toSorted(),
        ['messages', 'model', ...Object.keys(expected)].toSorted(),
      );
    }
  }
});

test('one value of several is left out, the others are sent', async () => {
  for (const says of [
    refusal(
      "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'low', 'medium', and 'high'.",
      { param: 'reasoning_effort', code: 'unsupported_value' },
    ),
    {
      status: 422,
      body: {
        detail: [
          {
            type: 'literal_error',
            loc: ['body', 'reasoning_effort'],
            msg: "Input should be 'low', 'medium' or 'high'",
            input: 'minimal',
          },
        ],
      },
    },
    refusal('reasoning_effort 取值错误，可选值为 low、medium、high'),
  ]) {
    await using rig = await startRig([(body) => (body.reasoning_effort === 'minimal' ? says : null)]);
    const first = await rig.client.chat.completions
      .create(asks({ reasoning_effort: 'minimal' }))
      .withResponse();
    assert.deepEqual(droppedOf(first.response), ['reasoning_effort']);
    const second = await rig.client.chat.completions
      .create(asks({ reasoning_effort: 'high' }))
      .withResponse();
    assert.deepEqual(droppedOf(second.response), []);
    assert.equal(rig.bodies().at(-1)?.reasoning_effort, 'high');
  }
});

/** Mistakes of the client: the words come back, and nothing is tried in another form. */
const MISTAKES: readonly (readonly [object, Says, RegExp])[] = [
  [
    { temperature: 3 },
    refusal('temperature must be between 0 and 2', { param: 'temperature' }),
    /between 0 and 2/,
  ],
  [
    { temperature: 3 },
    {
      status: 422,
      body: {
        detail: [
          {
            type: 'less_than_equal',
            loc: ['body', 'temperature'],
            msg: 'Input should be less than or equal to 2',
            input: 3,
          },
        ],
      },
    },
    /less than or equal to 2/,
  ],
  [
    { temperature: 3 },
    refusal("Invalid value for 'temperature': 3. Values above 2 are not supported.", {
      param: 'temperature',
    }),
    /above 2/,
  ],
  [{ temperature: 3 }, refusal('temperature 参数超出范围，取值范围为 [0, 2)'), /取值范围/],
  [{ temperature: 3 }, refusal('temperature muss zwischen 0 und 2 liegen'), /zwischen/],
  [
    { seed: 'x' },
    refusal("Invalid type for 'seed': expected an integer, but got a string instead.", {
      param: 'seed',
      code: 'invalid_type',
    }),
    /expected an integer/,
  ],
  [
    { metadata: 'x' },
    {
      status: 422,
      body: {
        detail: [
          {
            type: 'dict_type',
            loc: ['body', 'metadata'],
            msg: 'Input should be a valid dictionary',
            input: 'x',
          },
        ],
      },
    },
    /valid dictionary/,
  ],
  [
    { prompt_cache_key: 'k'.repeat(70) },
    refusal(
      "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, but got a string with length 70 instead.",
      { param: 'prompt_cache_key', code: 'string_above_max_length' },
    ),
    /too long/,
  ],
  [{ user: 'u' }, refusal('The user message is too long for this plan'), /too long/],
  [
    { user: 'u', seed: 1 },
    refusal(
      'Bad request: {"model":"m","user":"u","seed":1,"messages":[{"role":"user","content":"Hi"}]} could not be handled',
    ),
    /could not be handled/,
  ],
  [
    { max_tokens: 100_000 },
    refusal('max_tokens is too large: 100000. This model supports at most 4096 completion tokens', {
      param: 'max_tokens',
    }),
    /too large/,
  ],
  [
    { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] },
    refusal("Unsupported parameter: 'tools' is not supported with this model.", { param: 'tools' }),
    /'tools'/,
  ],
  [
    { response_format: { type: 'json_object' } },
    refusal("'response_format' of type 'json_object' is not supported", { param: 'response_format' }),
    /response_format/,
  ],
  [{ stop: ['x'], user: 'u' }, refusal("'stop' is not supported with this model"), /stop/],
];

for (const [extra, says, words] of MISTAKES) {
  test(`a mistake of the client comes back in the upstream's words: ${words.source}`, async () => {
    await using rig = await startRig([() => says]);
    await assert.rejects(rig.client.chat.completions.create(asks(extra)), (error: Error) =>
      words.test(error.message),
    );
    assert.equal(rig.bodies().length, 1, 'nothing was tried');
  });
}

test('a refusal that goes on after the change ends there, the change is forgotten, and the words come back', async () => {
  const words = 'Our policy does not like prompt_cache_key of this kind';
  await using rig = await startRig([() => refusal(words)]);
  await assert.rejects(rig.client.chat.completions.create(asks({ prompt_cache_key: 'k' })), (error: Error) =>
    error.message.includes(words),
  );
  assert.equal(rig.bodies().length, 2);
  rig.models[0]?.set({ intercept: () => false });
  await rig.client.chat.completions.create(asks({ prompt_cache_key: 'k' }));
  assert.equal(rig.bodies().at(-1)?.prompt_cache_key, 'k');
});

test('a parameter that the upstream misses without is its own: the client gets the first refusal', async () => {
  await using rig = await startRig([
    (body) =>
      'prompt_cache_key' in body
        ? refusal('prompt_cache_key of 7 is odd')
        : refusal("Missing required parameter: 'prompt_cache_key'.", {
            param: 'prompt_cache_key',
            code: 'missing_required_parameter',
          }),
  ]);
  await assert.rejects(
    rig.client.chat.completions.create(asks({ prompt_cache_key: 'k' })),
    /prompt_cache_key of 7 is odd/,
  );
  assert.equal(rig.bodies().length, 2);
  await assert.rejects(
    rig.client.chat.completions.create(asks({ prompt_cache_key: 'k' })),
    /prompt_cache_key of 7 is odd/,
  );
  assert.equal('prompt_cache_key' in (rig.bodies()[2] ?? {}), true, 'it was forgotten');
});

test('an upstream that refuses ever more is asked nine times at most', async () => {
  const extra = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`extra_${at}`, at]));
  await using rig = await startRig([
    (body) => {
      const name = Object.keys(body).find((key) => key.startsWith('extra_'));
      return name === undefined ? null : refusal(`Unknown parameter: '${name}'.`, { param: name });
    },
  ]);
  await assert.rejects(rig.client.chat.completions.create(asks(extra)), /Unknown parameter/);
  assert.equal(rig.bodies().length, 9);
});

test('cache_control in messages, parts and tools is left out where it is refused (anthropic to others)', async () => {
  const marker = { type: 'ephemeral' };
  const body = {
    messages: [
      { role: 'system', content: [{ type: 'text', text: 'Be brief.', cache_control: marker }] },
      { role: 'user', content: 'Hi', cache_control: marker },
    ],
    tools: [
      { type: 'function', function: { name: 'f', parameters: { type: 'object' } }, cache_control: marker },
    ],
  };
  for (const says of [
    {
      status: 422,
      body: {
        detail: [
          {
            type: 'extra_forbidden',
            loc: [
              'body',
              'messages',
              0,
              'system',
              'content',
              'list[ChatCompletionContentPartText]',
              0,
              'cache_control',
            ],
            msg: 'Extra inputs are not permitted',
          },
        ],
      },
    },
    refusal('Unknown name "cache_control" at \'messages[0].content[0]\': Cannot find field.'),
    refusal('messages.0.content.0.cache_control: property is unsupported'),
  ]) {
    await using rig = await startRig([
      (sent) => (JSON.stringify(sent).includes('cache_control') ? says : null),
    ]);
    const { response } = await rig.client.chat.completions.create(asks(body)).withResponse();
    assert.equal(response.headers.get('x-tokenferry-attempts'), '2');
    assert.deepEqual(droppedOf(response).toSorted(), [
      'messages.cache_control',
      'messages.content.cache_control',
      'tools.cache_control',
    ]);
    assert.deepEqual(rig.bodies().at(-1)?.messages?.[1], { role: 'user', content: 'Hi' });
  }
});

const isMessages = (path: string): boolean => path.includes('/messages');

test('drop_params holds on every JSON path: chat, completions, embeddings, responses, messages, others', async () => {
  await using rig = await startRig([
    {
      says: (_body, { path }) =>
        /chat|completions|embeddings/.test(path) ? null : { status: 200, body: replyOf(path) },
      profile: { drop_params: ['safety_identifier', 'messages.content.cache_control'] },
    },
  ]);
  const part = { type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } };
  const conversation = [{ role: 'user', content: [part] }];
  for (const [path, body] of [
    ['/v1/chat/completions', { messages: conversation }],
    ['/v1/completions', { prompt: 'Hi' }],
    ['/v1/embeddings', { input: 'Hi' }],
    ['/v1/responses', { input: 'Hi' }],
    ['/v1/messages', { messages: conversation, max_tokens: 9 }],
    ['/v1/messages/count_tokens', { messages: conversation }],
    ['/v1/moderations', { input: 'Hi' }],
  ] as const) {
    const response = await rig.gateway.post(path, { model: 'm', ...body, safety_identifier: 's' });
    assert.equal(response.status, 200, `${path} ${await response.text()}`);
    const sent = rig.bodies().at(-1) as RequestBody;
    assert.equal(JSON.stringify(sent).includes('safety_identifier'), false, path);
    assert.equal(JSON.stringify(sent).includes('cache_control'), false, path);
    assert.ok(droppedOf(response).includes('safety_identifier'), path);
  }
});

function replyOf(path: string): object {
  if (path.includes('/responses')) {
    return { id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'm', output: [] };
  }
  if (path.includes('count_tokens')) return { input_tokens: 1 };
  if (isMessages(path)) {
    return {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [{ type: 'text', text: 'all is well' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 1, output_tokens: 1 },
    };
  }
  return { id: 'modr_1', model: 'm', results: [{ flagged: false }] };
}

test('native /responses and /messages learn too, each for its own path', async () => {
  const says: Upstream = (body, { path }) => {
    if (path.includes('chat')) return null;
    if ('prompt_cache_key' in body)
      return refusal("Unknown parameter: 'prompt_cache_key'.", {
        param: 'prompt_cache_key',
        code: 'unknown_parameter',
      });
    if (JSON.stringify(body).includes('cache_control'))
      return {
        status: 400,
        body: {
          type: 'error',
          error: {
            type: 'invalid_request_error',
            message: 'messages.0.content.0.text.cache_control: Extra inputs are not permitted',
          },
        },
      };
    if (isMessages(path) && body.metadata !== undefined)
      return {
        status: 400,
        body: {
          type: 'error',
          error: { type: 'invalid_request_error', message: 'metadata: Extra inputs are not permitted' },
        },
      };
    return { status: 200, body: replyOf(path) };
  };
  await using rig = await startRig([says]);
  for (const attempts of ['2', '1']) {
    const { response } = await rig.client.responses
      .create({ model: 'm', input: 'Hi', prompt_cache_key: 'k' })
      .withResponse();
    assert.equal(response.headers.get('x-tokenferry-attempts'), attempts);
    assert.deepEqual(droppedOf(response), ['prompt_cache_key']);
  }
  const part = { type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } };
  for (const attempts of ['3', '1']) {
    const response = await rig.gateway.post('/v1/messages', {
      model: 'm',
      max_tokens: 9,
      metadata: { user_id: 'u' },
      messages: [{ role: 'user', content: [part] }],
    });
    assert.equal(response.status, 200, await response.text());
    assert.equal(response.headers.get('x-tokenferry-attempts'), attempts);
    assert.deepEqual(droppedOf(response).toSorted(), ['messages.content.cache_control', 'metadata']);
    assert.equal(rig.bodies().at(-1)?.max_tokens, 9);
  }
  await rig.client.chat.completions.create(asks({ messages: HI, metadata: { a: 'b' } }));
  assert.deepEqual(rig.bodies().at(-1)?.metadata, { a: 'b' }, 'chat has refused nothing');
});

test('with learn: false nothing is changed', async () => {
  await using rig = await startRig([
    {
      says: without('user', refusal("Unknown parameter: 'user'.", { param: 'user' })),
      profile: { learn: false },
    },
  ]);
  await assert.rejects(rig.client.chat.completions.create(asks({ user: 'u' })), /Unknown parameter/);
  assert.equal(rig.bodies().length, 1);
});
