/**
 * System messages in a place or number that an upstream refuses in words become one at the beginning: vllm#41114 (Qwen's
 * templates), litellm PR#39852, cognee#2537; roles: next-ai-draw-io#304.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestBody } from '../helpers/stand-in-model.ts';
import { asks, droppedOf, refusal, type Says, startRig, type Upstream } from './reports-rig.ts';

const messagesOf = (body: RequestBody | undefined) => body?.messages ?? [];

/** Whether there is a system message behind the first place. */
const isMisplaced = (body: RequestBody): boolean =>
  messagesOf(body).some(({ role }, at) => at > 0 && (role === 'system' || role === 'developer'));

const picky =
  (says: Says): Upstream =>
  (body) =>
    isMisplaced(body) ? says : null;

const TWO_LEADING = [
  { role: 'system', content: 'Be brief.' },
  { role: 'system', content: 'Answer in German.' },
  { role: 'user', content: 'Hi' },
];
const LATER = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hallo.' },
  { role: 'system', content: 'Answer in German.' },
  { role: 'user', content: 'Go on' },
];
const MERGED = { role: 'system', content: 'Be brief.\n\nAnswer in German.' };

for (const [who, says] of [
  [
    'vLLM with a template of Qwen',
    {
      status: 400,
      body: {
        error: {
          message: 'System message must be at the beginning.',
          type: 'BadRequestError',
          param: null,
          code: 400,
        },
      },
    },
  ],
  [
    'vLLM of 2025',
    {
      status: 400,
      body: {
        object: 'error',
        message: 'System message must be at the beginning. None',
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    },
  ],
  [
    'llama.cpp, as a fault of its template with 500',
    {
      status: 500,
      body: {
        error: {
          code: 500,
          message:
            '\n------------\nWhile executing CallExpression at line 85, column 32 in source:\n...\nError: Jinja Exception: System message must be at the beginning.',
          type: 'server_error',
        },
      },
    },
  ],
  ['a gateway', refusal('Only one system message is allowed, and it has to be the first message.')],
  [
    'Mistral',
    refusal("Unexpected role 'system' after role 'user'", {
      type: 'invalid_request_message_order',
      code: '3230',
    }),
  ],
  ['Gemma', refusal('Conversation roles must alternate user/assistant/user/assistant/...')],
  ['MiniMax', refusal('invalid params, chat content has multiple system messages (2013)')],
  ['a server in Chinese', refusal('system 消息只能出现在第一条')],
  [
    'another in Chinese',
    { status: 422, body: { code: 'InvalidParameter', message: '系统消息必须位于消息列表的开头' } },
  ],
  ['a server in German', refusal('Die Systemnachricht muss am Anfang stehen.')],
  ['a server in French', refusal('Le message système doit être le premier.')],
  ['a server in Italian', refusal('Il messaggio di sistema deve essere il primo.')],
  ['a server in Japanese', refusal('システムメッセージは先頭に置く必要があります')],
  ['a server in Korean', refusal('시스템 메시지는 맨 앞에 있어야 합니다')],
  ['a server in Russian', refusal('Системное сообщение должно быть первым')],
] as const satisfies readonly (readonly [string, Says])[]) {
  test(`${who}: system messages are merged into one leading message, and remembered`, async () => {
    await using rig = await startRig([picky(says)]);
    await assert.rejects(rig.direct.chat.completions.create(asks({ messages: LATER })), 'direct');
    const before = rig.bodies().length;
    for (const [messages, attempts] of [
      [LATER, '2'],
      [TWO_LEADING, '1'],
    ] as const) {
      const { data, response } = await rig.client.chat.completions.create(asks({ messages })).withResponse();
      assert.equal(data.choices[0]?.message.content, 'all is well');
      assert.equal(response.headers.get('x-tokenferry-attempts'), attempts);
      assert.deepEqual(droppedOf(response), ['messages:system']);
      const others = messages.filter(({ role }) => role !== 'system');
      assert.deepEqual(messagesOf(rig.bodies().at(-1)), [MERGED, ...others]);
    }
    assert.equal(rig.bodies().length, before + 3);
  });
}

test('a stream is merged too, and parts keep their cache markers', async () => {
  await using rig = await startRig([picky(refusal('System message must be at the beginning.'))]);
  const part = { type: 'text', text: 'Answer in German.', cache_control: { type: 'ephemeral' } };
  const messages = [
    ...TWO_LEADING.slice(0, 1),
    { role: 'user', content: 'Hi' },
    { role: 'system', content: [part] },
  ];
  const stream = await rig.client.chat.completions.create({ ...asks({ messages }), stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  assert.equal(text, 'all is well');
  assert.deepEqual(messagesOf(rig.bodies().at(-1)), [
    { role: 'system', content: [{ type: 'text', text: 'Be brief.' }, part] },
    { role: 'user', content: 'Hi' },
  ]);
});

test('profile.system: merge does it without a refusal; keep sends them as they are', async () => {
  await using rig = await startRig([
    { says: () => null, profile: { system: 'merge' }, entry: { allow: ['merging'] } },
    { says: () => null, entry: { allow: ['m'] } },
  ]);
  await rig.client.chat.completions.create(asks({ model: 'merging', messages: LATER }));
  assert.deepEqual(messagesOf(rig.bodies(0).at(-1))[0], MERGED);
  assert.equal(rig.bodies(0).length, 1);
  const body = JSON.stringify({ model: 'm', messages: LATER });
  assert.equal((await rig.gateway.post('/v1/chat/completions', body)).status, 200);
  assert.equal(rig.models[1]?.received[0]?.text, body);
});

test('one leading system message is sent byte for byte, also under merge', async () => {
  await using rig = await startRig([{ says: () => null, profile: { system: 'merge' } }]);
  const body = JSON.stringify({ model: 'm', messages: LATER.slice(0, 3) });
  assert.equal((await rig.gateway.post('/v1/chat/completions', body)).status, 200);
  assert.equal(rig.models[0]?.received[0]?.text, body);
});

test('a Responses request for a chat-only upstream has one system message at once', async () => {
  await using rig = await startRig([
    { says: picky(refusal('System message must be at the beginning.')), profile: { responses: 'via_chat' } },
  ]);
  const response = await rig.client.responses.create({
    model: 'm',
    instructions: 'Be brief.',
    input: [
      { role: 'developer', content: 'Answer in German.' },
      { role: 'user', content: 'Hi' },
      { role: 'developer', content: 'And kindly.' },
      { role: 'user', content: 'Go on' },
    ],
  });
  assert.equal(response.output_text, 'all is well');
  assert.equal(rig.bodies().length, 1);
  const [system, ...others] = messagesOf(rig.bodies()[0]);
  assert.deepEqual(system, { role: 'system', content: 'Be brief.\n\nAnswer in German.\n\nAnd kindly.' });
  assert.deepEqual(
    others.map(({ role }) => role),
    ['user', 'user'],
  );
});

test('a refused role developer is sent as system, beside others as one message (next-ai-draw-io#304)', async () => {
  await using rig = await startRig([
    (body) =>
      messagesOf(body).some(({ role }) => role === 'developer')
        ? refusal(
            "developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.['0].role'",
            { code: 'invalid_parameter_error' },
          )
        : isMisplaced(body)
          ? refusal('System message must be at the beginning.')
          : null,
  ]);
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
    { role: 'developer', content: 'Answer in German.' },
    { role: 'user', content: 'Go on' },
  ];
  for (const attempts of ['3', '1']) {
    const { response } = await rig.client.chat.completions.create(asks({ messages })).withResponse();
    assert.equal(response.headers.get('x-tokenferry-attempts'), attempts);
    assert.deepEqual(
      messagesOf(rig.bodies().at(-1)).map(({ role }) => role),
      ['system', 'user', 'user'],
    );
    assert.equal(messagesOf(rig.bodies().at(-1))[0]?.content, MERGED.content);
  }
});

test('words about the place of other messages are the client’s mistake, and come back once', async () => {
  const words = 'The last message must be of the role user.';
  await using rig = await startRig([() => refusal(words)]);
  for (const messages of [TWO_LEADING, LATER.slice(0, 3)]) {
    const count = rig.bodies().length;
    await assert.rejects(rig.client.chat.completions.create(asks({ messages })), (error: Error) =>
      error.message.includes(words),
    );
    assert.equal(rig.bodies().length, count + 1);
  }
});

test('merging that does not help is forgotten, and the client gets the refusal', async () => {
  const words = 'System message must be at the beginning, and nobody knows where that is.';
  await using rig = await startRig([() => refusal(words)]);
  await assert.rejects(rig.client.chat.completions.create(asks({ messages: LATER })), (error: Error) =>
    error.message.includes(words),
  );
  assert.equal(rig.bodies().length, 2);
  rig.models[0]?.set({ intercept: () => false });
  await rig.client.chat.completions.create(asks({ messages: LATER }));
  assert.deepEqual(messagesOf(rig.bodies().at(-1)), LATER);
});
