/**
 * What an upstream put into a conversation comes back to it unchanged, and what it does not accept of another one's is left
 * out. The SDK keeps the history: the message of a response is appended to the next request as it came.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type OpenAI from 'openai';
import type { RequestBody } from '../helpers/stand-in-model.ts';
import { asks, droppedOf, HI, refusal, type Says, startRig, type Upstream } from './reports-rig.ts';

type Message = OpenAI.ChatCompletionMessageParam;

/** The messages that an upstream received last, without OpenAI's types. */
function lastMessages(bodies: readonly RequestBody[]): readonly Record<string, unknown>[] {
  return (bodies.at(-1)?.messages ?? []) as unknown as readonly Record<string, unknown>[];
}

/** The tool calls of the second message. */
function callsIn(bodies: readonly RequestBody[]): readonly Record<string, unknown>[] {
  const [, assistant] = lastMessages(bodies);
  return (assistant?.tool_calls ?? []) as readonly Record<string, unknown>[];
}

const CALL = { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{"zone":"UTC"}' } };
const RESULT: Message = { role: 'tool', tool_call_id: 'call_1', content: '12:00' };

/** Sends a first question and then its history with a result, whole or as a stream that the SDK puts together. */
async function twoTurns(client: OpenAI, isStream: boolean): Promise<OpenAI.ChatCompletionMessage> {
  const first = isStream
    ? await client.chat.completions.stream({ model: 'm', messages: HI }).finalChatCompletion()
    : await client.chat.completions.create({ model: 'm', messages: HI });
  const message = first.choices[0]?.message;
  assert.ok(message !== undefined);
  await client.chat.completions.create({ model: 'm', messages: [...HI, message as Message, RESULT] });
  return message;
}

const isFirstTurn = (body: RequestBody): boolean => body.messages?.length === 1;

const DETAILS = [
  { type: 'reasoning.summary', summary: 'It asks for the time.', format: 'openai-responses-v1', index: 0 },
  { type: 'reasoning.encrypted', data: 'gAAAAABo+/=', id: 'rs_1', format: 'openai-responses-v1', index: 0 },
];

for (const isStream of [false, true]) {
  const how = isStream ? 'a stream' : 'a whole response';
  test(`reasoning_details of ${how} come back after a tool call as they came (OpenRouterTeam/ai-sdk-provider#423, hebo-gateway#226)`, async () => {
    await using rig = await startRig([
      (body) => {
        if (!isFirstTurn(body)) {
          const [, assistant] = lastMessages([body]);
          const details = JSON.stringify(assistant?.reasoning_details);
          return details === JSON.stringify(DETAILS) ? null : refusal(`reasoning_details differ: ${details}`);
        }
        if (!isStream)
          return {
            message: { role: 'assistant', content: null, tool_calls: [CALL], reasoning_details: DETAILS },
            finish: 'tool_calls',
          };
        return {
          deltas: [
            {
              role: 'assistant',
              content: '',
              reasoning: 'It asks ',
              reasoning_details: [{ ...DETAILS[0], summary: 'It asks ' }],
            },
            { reasoning: 'for the time.', reasoning_details: [{ ...DETAILS[0], summary: 'for the time.' }] },
            { content: '', reasoning_details: [DETAILS[1]] },
            { tool_calls: [{ index: 0, ...CALL }] },
          ],
          finish: 'tool_calls',
        };
      },
    ]);
    if (isStream) {
      // The SDK for Node keeps the last value of members that it does not know; other clients join the fragments.
      const stream = await rig.client.chat.completions.create({ model: 'm', messages: HI, stream: true });
      const details: object[] = [];
      for await (const chunk of stream) {
        const delta = chunk.choices[0]?.delta as { reasoning_details?: object[] } | undefined;
        details.push(...(delta?.reasoning_details ?? []));
      }
      assert.deepEqual(details.length, 3);
      assert.deepEqual(details[2], DETAILS[1], 'alone in a delta');
      const message = { role: 'assistant', content: null, tool_calls: [CALL], reasoning_details: DETAILS };
      await rig.client.chat.completions.create(asks({ messages: [...HI, message, RESULT] }));
    } else {
      const message = (await twoTurns(rig.client, false)) as unknown as Record<string, unknown>;
      assert.deepEqual(message.reasoning_details, DETAILS);
      assert.equal(
        message.reasoning_content,
        'It asks for the time.',
        'its text is readable for other clients',
      );
    }
  });
}

test('a stream that is put together for a whole response has its reasoning_details in one piece each', async () => {
  const fragments = ['It asks ', 'for the ', 'time.'].map((text, at) => ({
    type: 'reasoning.text',
    text,
    index: 0,
    ...(at === 2 && { signature: 'sig+/=' }),
  }));
  await using rig = await startRig([
    {
      says: () => ({
        deltas: [
          { role: 'assistant', content: '' },
          ...fragments.map((fragment) => ({ reasoning: fragment.text, reasoning_details: [fragment] })),
          { content: 'Noon.' },
        ],
      }),
      profile: { always_stream: true },
    },
  ]);
  const { choices } = await rig.client.chat.completions.create(asks({}));
  const message = choices[0]?.message as unknown as Record<string, unknown>;
  assert.deepEqual(message.reasoning_details, [
    { type: 'reasoning.text', text: 'It asks for the time.', index: 0, signature: 'sig+/=' },
  ]);
  assert.equal(message.reasoning_content, 'It asks for the time.');
});

const SIGNATURE = { google: { thought_signature: 'CpYBAdHtim9+/w==' } };

for (const [where, fragments] of [
  ['the first fragment', [{ index: 0, ...CALL, extra_content: SIGNATURE }]],
  [
    'a fragment of the arguments',
    [
      { index: 0, ...CALL, function: { name: 'now', arguments: '' } },
      { index: 0, function: { arguments: '{"zone":' } },
      { index: 0, function: { arguments: '"UTC"}' }, extra_content: SIGNATURE },
    ],
  ],
  [
    'a fragment of its own',
    [
      { index: 0, ...CALL },
      { index: 0, extra_content: SIGNATURE },
    ],
  ],
] as const) {
  test(`Gemini's thought_signature in ${where} comes back, and Gemini refuses no history (rust-genai#298, opencode#4832)`, async () => {
    const gemini: Upstream = (body) => {
      if (isFirstTurn(body)) {
        return {
          deltas: [{ role: 'assistant', content: '' }, ...fragments.map((call) => ({ tool_calls: [call] }))],
          finish: 'tool_calls',
        };
      }
      const [call] = callsIn([body]);
      return JSON.stringify(call?.extra_content) === JSON.stringify(SIGNATURE)
        ? null
        : refusal('Function call `now` in the 2. content block is missing a `thought_signature`.');
    };
    await using rig = await startRig([gemini]);
    await twoTurns(rig.client, true);
    assert.equal(rig.bodies().length, 2, 'nothing was refused');
    assert.deepEqual(callsIn(rig.bodies())[0]?.function, CALL.function);
  });
}

test('a signature in the function of a call, as LiteLLM has it, comes back too', async () => {
  const signed = { ...CALL.function, provider_specific_fields: { thought_signature: 'abc' } };
  for (const isStream of [false, true]) {
    await using rig = await startRig([
      (body) => {
        if (!isFirstTurn(body)) return null;
        const call = { ...CALL, function: signed };
        return isStream
          ? {
              deltas: [{ role: 'assistant', content: '' }, { tool_calls: [{ index: 0, ...call }] }],
              finish: 'tool_calls',
            }
          : { message: { role: 'assistant', content: null, tool_calls: [call] }, finish: 'tool_calls' };
      },
    ]);
    if (!isStream) {
      await twoTurns(rig.client, false);
      assert.deepEqual(callsIn(rig.bodies())[0], { ...CALL, function: signed });
    } else {
      const stream = await rig.client.chat.completions.create({ model: 'm', messages: HI, stream: true });
      const functions: unknown[] = [];
      for await (const chunk of stream) functions.push(chunk.choices[0]?.delta.tool_calls?.[0]?.function);
      assert.deepEqual(functions.find(Boolean), signed);
    }
  }
});

test('cache markers and unknown members that the client writes reach the upstream byte for byte', async () => {
  await using rig = await startRig([() => null]);
  const messages = [
    {
      role: 'system',
      content: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    },
    { role: 'user', content: 'Hi', cache_control: { type: 'ephemeral' } },
    { role: 'assistant', content: 'Yes?', reasoning_details: DETAILS, thinking_blocks: [{ signature: 's' }] },
    { role: 'user', content: 'Go on' },
  ];
  const body = JSON.stringify({ model: 'm', messages });
  assert.equal((await rig.gateway.post('/v1/chat/completions', body)).status, 200);
  assert.equal(rig.models[0]?.received[0]?.text, body);
});

/** Groq's and Cerebras' refusals of the other name (2026), of freellmapi#1070. */
const groqRefusal = (at: number, name: string): Says =>
  refusal(
    `'messages.${at}' : for 'role:assistant' the following must be satisfied[('messages.${at}' : property '${name}' is unsupported)]`,
  );
const cerebrasRefusal = (at: number, name: string): Says => ({
  status: 422,
  body: {
    message: `body.messages.${at}.assistant.${name}: property 'messages.${at}.assistant.${name}' is unsupported`,
    type: 'invalid_request_error',
    param: 'validation_error',
    code: 'wrong_api_format',
  },
});

function refusingMember(name: string, says: (at: number, name: string) => Says): Upstream {
  return (body) => {
    const at = lastMessages([body]).findIndex((message) => name in message);
    return at === -1 ? null : says(at, name);
  };
}

test('an upstream that responds with `reasoning` gets it back under that name, without a refusal (freellmapi#1070)', async () => {
  for (const isStream of [false, true]) {
    await using rig = await startRig([
      (body, request) => {
        if (!isFirstTurn(body)) return refusingMember('reasoning_content', groqRefusal)(body, request);
        return isStream
          ? {
              deltas: [
                { role: 'assistant', content: '' },
                { reasoning: 'Hm.' },
                { tool_calls: [{ index: 0, ...CALL }] },
              ],
              finish: 'tool_calls',
            }
          : {
              message: { role: 'assistant', content: null, reasoning: 'Hm.', tool_calls: [CALL] },
              finish: 'tool_calls',
            };
      },
    ]);
    const first = isStream
      ? await rig.client.chat.completions.stream({ model: 'm', messages: HI }).finalChatCompletion()
      : await rig.client.chat.completions.create({ model: 'm', messages: HI });
    const message = first.choices[0]?.message as unknown as Record<string, unknown>;
    assert.equal(message.reasoning_content, 'Hm.');
    await rig.client.chat.completions.create(asks({ messages: [...HI, message, RESULT] }));
    const [, assistant] = lastMessages(rig.bodies());
    assert.deepEqual([assistant?.reasoning, assistant?.reasoning_content], ['Hm.', undefined]);
    assert.equal(rig.bodies().length, 2);
  }
});

const WITH_REASONING = (name: string): readonly object[] => [
  ...HI,
  { role: 'assistant', content: 'Noon.', [name]: 'Hm.' },
  { role: 'user', content: 'Thanks' },
];

for (const [who, name, other, says] of [
  ['Groq', 'reasoning_content', 'reasoning', groqRefusal],
  ['Cerebras', 'reasoning_content', 'reasoning', cerebrasRefusal],
  [
    'a FastAPI server',
    'reasoning',
    'reasoning_content',
    (at: number, member: string): Says => ({
      status: 422,
      body: {
        detail: [
          {
            type: 'extra_forbidden',
            loc: ['body', 'messages', at, 'assistant', member],
            msg: 'Extra inputs are not permitted',
            input: 'Hm.',
          },
        ],
      },
    }),
  ],
  [
    'a server in Chinese',
    'reasoning',
    'reasoning_content',
    (at: number, member: string): Says => refusal(`参数错误：messages[${at}] 中存在不支持的字段 ${member}`),
  ],
] as const) {
  test(`${who} refuses ${name} in a history: it is sent as ${other}, and remembered`, async () => {
    await using rig = await startRig([refusingMember(name, says)]);
    await assert.rejects(
      rig.direct.chat.completions.create(asks({ messages: WITH_REASONING(name) })),
      'direct',
    );
    const before = rig.bodies().length;
    for (const attempts of [2, 1]) {
      const { response } = await rig.client.chat.completions
        .create(asks({ messages: WITH_REASONING(name) }))
        .withResponse();
      assert.equal(response.headers.get('x-tokenferry-attempts'), String(attempts));
      assert.equal(lastMessages(rig.bodies())[1]?.[other], 'Hm.');
    }
    assert.equal(rig.bodies().length, before + 3);
  });
}

test('an upstream that refuses both names gets none, which is named', async () => {
  await using rig = await startRig([
    (body, request) =>
      refusingMember('reasoning_content', groqRefusal)(body, request) ??
      refusingMember('reasoning', groqRefusal)(body, request),
  ]);
  for (const attempts of [3, 1]) {
    const { response } = await rig.client.chat.completions
      .create(asks({ messages: WITH_REASONING('reasoning_content') }))
      .withResponse();
    assert.equal(response.headers.get('x-tokenferry-attempts'), String(attempts));
    assert.deepEqual(droppedOf(response), ['messages.reasoning_content']);
    assert.deepEqual(Object.keys(lastMessages(rig.bodies())[1] ?? {}).sort(), ['content', 'role']);
  }
});

test('refusal: null that we added is not sent to an upstream that never sent one (opencode#23193, litellm#30835, crush#1590)', async () => {
  const strict: Upstream = (body) => {
    const at = lastMessages([body]).findIndex((message) => 'refusal' in message);
    if (at >= 0) return refusal(`messages.${at}.refusal: Extra inputs are not permitted`);
    return isFirstTurn(body)
      ? { message: { role: 'assistant', content: null, tool_calls: [CALL] }, finish: 'tool_calls' }
      : null;
  };
  await using rig = await startRig([strict]);
  const message = await twoTurns(rig.client, false);
  assert.equal(message.refusal, null, 'clients want it');
  assert.equal(rig.bodies().length, 2, 'nothing was refused');
  assert.deepEqual(lastMessages(rig.bodies())[1], { role: 'assistant', content: null, tool_calls: [CALL] });
});

test('refusal: null of an upstream that sends it comes back byte for byte', async () => {
  const message = { role: 'assistant', content: 'Noon.', refusal: null };
  for (const isStream of [false, true]) {
    await using rig = await startRig([
      (body) => {
        if (!isFirstTurn(body)) return null;
        return isStream
          ? { deltas: [{ role: 'assistant', content: '', refusal: null }, { content: 'Noon.' }] }
          : { message };
      },
    ]);
    const response = await rig.gateway.post('/v1/chat/completions', {
      model: 'm',
      messages: HI,
      stream: isStream,
    });
    await response.text();
    const body = JSON.stringify({
      model: 'm',
      messages: [...HI, message, { role: 'user', content: 'Thanks' }],
    });
    assert.equal((await rig.gateway.post('/v1/chat/completions', body)).status, 200);
    assert.equal(rig.models[0]?.received.at(-1)?.text, body);
  }
});

test('nulls that SDKs for Python replay are left out where they are refused, and only the nulls', async () => {
  await using rig = await startRig([
    (body) => {
      const at = lastMessages([body]).findIndex(
        (message) => message.function_call === null || message.tool_calls === null,
      );
      if (at === -1) return null;
      const name = lastMessages([body])[at]?.tool_calls === null ? 'tool_calls' : 'function_call';
      return {
        status: 422,
        body: {
          detail: [
            {
              type: 'list_type',
              loc: ['body', 'messages', at, name],
              msg: 'Input should be a valid list',
              input: null,
            },
          ],
        },
      };
    },
  ]);
  const nulls = { audio: null, function_call: null };
  const messages = [
    ...HI,
    { role: 'assistant', content: null, tool_calls: [CALL], ...nulls },
    RESULT,
    { role: 'assistant', content: 'Noon.', tool_calls: null, ...nulls },
    { role: 'user', content: 'Thanks' },
  ];
  await rig.client.chat.completions.create(asks({ messages }));
  const sent = lastMessages(rig.bodies());
  assert.deepEqual(sent[1]?.tool_calls, [CALL]);
  assert.deepEqual(['tool_calls' in (sent[3] ?? {}), 'function_call' in (sent[3] ?? {})], [false, false]);
});

const MISTRAL_ID = /^[a-zA-Z0-9]{9}$/;

function idsOf(messages: readonly Record<string, unknown>[]): readonly string[] {
  return messages.flatMap(({ tool_calls: calls, tool_call_id: id }) => [
    ...((calls as readonly { id: string }[] | undefined)?.map((call) => call.id) ?? []),
    ...(id === undefined ? [] : [id as string]),
  ]);
}

const HISTORY_OF_CALLS = (...ids: readonly string[]): readonly object[] => [
  ...HI,
  { role: 'assistant', content: null, tool_calls: ids.map((id) => ({ ...CALL, id })) },
  ...ids.map((id) => ({ role: 'tool', tool_call_id: id, content: '12:00' })),
];

for (const [who, form, says] of [
  [
    'Mistral',
    MISTRAL_ID,
    (id: string): Says => ({
      status: 400,
      body: {
        object: 'error',
        message: `Tool call id was ${id} but must be a-z, A-Z, 0-9, with a length of 9.`,
        type: 'invalid_request_message_order',
        param: null,
        code: '3280',
      },
    }),
  ],
  [
    'OpenAI',
    /^.{1,40}$/,
    (id: string): Says =>
      refusal(
        `Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length ${id.length} instead.`,
        { param: 'messages[1].tool_calls[0].id', code: 'string_above_max_length' },
      ),
  ],
  [
    'Bedrock',
    /^[a-zA-Z0-9_-]{1,64}$/,
    (id: string): Says =>
      refusal(
        `1 validation error detected: Value '${id}' at 'messages.2.member.content.1.member.toolUse.toolUseId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+`,
      ),
  ],
  [
    'a server in German',
    MISTRAL_ID,
    (): Says => refusal('Die tool_call_id ist ungültig: genau 9 alphanumerische Zeichen, Länge muss 9 sein.'),
  ],
] as const) {
  test(`ids of tool calls that ${who} refuses for their form are mapped, each call with its result, and remembered`, async () => {
    const own = 'aB3dE6gH9';
    await using rig = await startRig([
      (body) => {
        const wrong = idsOf(lastMessages([body])).find((id) => !form.test(id));
        return wrong === undefined ? null : says(wrong);
      },
    ]);
    const ids = ['functions.now:0', `call_${'x'.repeat(70)}`, own];
    for (const attempts of [2, 1]) {
      const { response } = await rig.client.chat.completions
        .create(asks({ messages: HISTORY_OF_CALLS(...ids) }))
        .withResponse();
      // A limit of the length says nothing of the signs.
      assert.ok(Number(response.headers.get('x-tokenferry-attempts')) <= attempts);
      const sent = idsOf(lastMessages(rig.bodies()));
      assert.deepEqual(sent.slice(0, 3), sent.slice(3), 'a call and its result have one id');
      assert.equal(new Set(sent).size, 3, 'different calls have different ids');
      assert.equal(sent[2], own, 'one that has the form stays');
    }
  });
}

/** Members that families of models write into a history, and how others refuse them. */
const FOREIGN: readonly (readonly [string, object, Says, string])[] = [
  [
    'Google',
    { reasoning_details: DETAILS },
    {
      status: 400,
      body: [
        {
          error: {
            code: 400,
            message:
              'Invalid JSON payload received. Unknown name "reasoning_details" at \'messages[1]\': Cannot find field.',
            status: 'INVALID_ARGUMENT',
          },
        },
      ],
    },
    'messages.reasoning_details',
  ],
  [
    'Mistral',
    { reasoning_details: DETAILS },
    {
      status: 422,
      body: {
        object: 'error',
        message: {
          detail: [
            {
              type: 'extra_forbidden',
              loc: ['body', 'messages', 1, 'assistant', 'reasoning_details'],
              msg: 'Extra inputs are not permitted',
              input: DETAILS,
            },
          ],
        },
        type: 'invalid_request_error',
        raw_status_code: 422,
      },
    },
    'messages.reasoning_details',
  ],
  [
    'a server in Rust',
    { thinking_blocks: [{ type: 'thinking', thinking: 'Hm.', signature: 's' }] },
    {
      status: 422,
      body: 'Failed to deserialize the JSON body into the target type: messages[1]: unknown field `thinking_blocks`, expected one of `role`, `content`, `name`, `tool_calls` at line 1 column 120',
    },
    'messages.thinking_blocks',
  ],
  [
    'Bailian',
    { extra_content: SIGNATURE },
    refusal('<400> InternalError.Algo.InvalidParameter: 不支持的参数 extra_content'),
    'messages.extra_content',
  ],
  [
    'vLLM',
    { annotations: [{ type: 'url_citation' }] },
    {
      status: 400,
      body: {
        object: 'error',
        message:
          "[{'type': 'extra_forbidden', 'loc': ('body', 'messages', 1, 'ChatCompletionAssistantMessageParam', 'annotations'), 'msg': 'Extra inputs are not permitted', 'input': [{'type': 'url_citation'}]}]",
        type: 'BadRequestError',
        code: 400,
      },
    },
    'messages.annotations',
  ],
];

for (const [who, members, says, name] of FOREIGN) {
  test(`a history of another family fails over to ${who}: ${name} is left out, once, and named`, async () => {
    const [member] = Object.keys(members);
    await using rig = await startRig([
      () => ({ status: 503, body: { error: { message: 'overloaded' } } }),
      (body) => (lastMessages([body]).some((message) => (member ?? '') in message) ? says : null),
    ]);
    const messages = [
      ...HI,
      { role: 'assistant', content: 'Noon.', ...members },
      { role: 'user', content: 'Thanks' },
    ];
    for (const calls of [2, 3]) {
      const { response } = await rig.client.chat.completions.create(asks({ messages })).withResponse();
      assert.equal(response.headers.get('x-tokenferry-upstream'), 'u1');
      assert.deepEqual(droppedOf(response), [name]);
      assert.equal(rig.bodies(1).length, calls, 'refused once');
      assert.deepEqual(lastMessages(rig.bodies(1))[1], { role: 'assistant', content: 'Noon.' });
    }
  });
}

test('a signature that another family wrote is left out of that conversation only', async () => {
  const signed = (data: string) => [{ type: 'reasoning.text', text: 'Hm.', signature: data }];
  await using rig = await startRig([
    (body) =>
      JSON.stringify(body.messages).includes('foreign')
        ? refusal('messages.1.content.0: Invalid `signature` in `thinking` block')
        : null,
  ]);
  const history = (data: string) => [
    ...HI,
    { role: 'assistant', content: 'Noon.', reasoning_details: signed(data) },
    { role: 'user', content: 'Thanks' },
  ];
  const foreign = await rig.client.chat.completions
    .create(asks({ messages: history('foreign') }))
    .withResponse();
  assert.deepEqual(droppedOf(foreign.response), ['messages.reasoning_details']);
  const own = await rig.client.chat.completions.create(asks({ messages: history('own') })).withResponse();
  assert.deepEqual(droppedOf(own.response), []);
  assert.deepEqual(lastMessages(rig.bodies())[1]?.reasoning_details, signed('own'));
});

test('what a family needs in each history is added where another has written it: reasoning_content, a signature', async () => {
  const lacking =
    (name: string) =>
    (body: RequestBody): boolean =>
      lastMessages([body]).some((message) => message.role === 'assistant' && !(name in message));
  await using deepseek = await startRig([
    (body) =>
      lacking('reasoning_content')(body)
        ? refusal(
            'Missing `reasoning_content` field in the assistant message at message index 1. For more information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls',
          )
        : null,
  ]);
  const messages = HISTORY_OF_CALLS('call_1');
  const first = await deepseek.client.chat.completions.create(asks({ messages })).withResponse();
  assert.equal(first.response.headers.get('x-tokenferry-attempts'), '2');
  assert.equal(lastMessages(deepseek.bodies())[1]?.reasoning_content, '');
  await using gemini = await startRig([
    (body) => {
      const [call] = callsIn([body]);
      return call !== undefined && 'extra_content' in call
        ? null
        : refusal('Function call is missing a thought_signature in functionCall parts.', {}, 400);
    },
  ]);
  const second = await gemini.client.chat.completions.create(asks({ messages })).withResponse();
  assert.deepEqual(droppedOf(second.response), ['messages:thought_signature']);
});

test('a mistake of the client in its history comes back in the words of the upstream', async () => {
  const words = 'messages.2: tool_call_id call_9 has no matching tool call';
  await using rig = await startRig([() => refusal(words, { param: 'messages.2.tool_call_id' })]);
  await assert.rejects(
    rig.client.chat.completions.create(asks({ messages: HISTORY_OF_CALLS('call_1') })),
    (error: Error & { status?: number }) => error.status === 400 && error.message.includes(words),
  );
  assert.equal(rig.bodies().length, 1, 'nothing was tried in another form');
});
