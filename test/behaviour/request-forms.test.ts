import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { checkCanonicalReply, checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { type RequestBody, StandInModel } from '../helpers/stand-in-model.ts';

interface Message {
  readonly role: string;
  readonly content?: unknown;
}

/** What a request is refused with; null: it is answered. */
type Refusal = (body: RequestBody) => object | null;

/** A gateway with one upstream that refuses some requests with 400 and answers all others. */
async function ferry(
  context: TestContext,
  refuse: Refusal,
  upstream: object = {},
  config: object = {},
): Promise<{ model: StandInModel; gateway: Gateway; chat: (body: object) => Promise<Response> }> {
  const model = await StandInModel.start({
    reply: 'all is well',
    intercept: ({ body }, response) => {
      const refusal = refuse(body);
      if (refusal === null) return false;
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify(refusal));
      return true;
    },
  });
  context.after(() => model.close());
  const gateway = await Gateway.start({
    noauth: true,
    ...config,
    upstreams: [{ name: 'up', endpoint: model.url, token: 'none', ...upstream }],
  });
  context.after(() => gateway.close());
  const chat = (body: object) =>
    gateway.post('/v1/chat/completions', {
      model: 'm',
      messages: [{ role: 'user', content: 'Hi' }],
      ...body,
    });
  return { model, gateway, chat };
}

const takesAll: Refusal = () => null;
const error = (message: string, facts: object = {}): object => ({
  error: { message, type: 'invalid_request_error', param: null, code: null, ...facts },
});
const bodies = (model: StandInModel): readonly RequestBody[] => model.received.map(({ body }) => body);

async function isGood(response: Response): Promise<void> {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.equal(checkCanonicalReply(text).choices[0].message.content, 'all is well');
}

for (const [where, refusal] of [
  ['FastAPI', { detail: 'Stream must be set to true' }],
  ['DashScope', error('This model only support stream mode, please enable the stream parameter.')],
  ['OpenAI', error("Unsupported value: 'stream' does not support false.", { param: 'stream' })],
] as const) {
  test(`Q47b an upstream that only streams is sent stream requests, and remembered (${where})`, async (context) => {
    const { model, gateway, chat } = await ferry(context, (body) => (body.stream === true ? null : refusal));
    const first = await chat({});
    assert.equal(first.headers.get('x-tokenferry-attempts'), '2');
    assert.equal(first.headers.get('x-tokenferry-dropped'), null, 'nothing of the request was lost');
    await isGood(first);
    await isGood(await chat({ stream: false }));
    const stream = await (await chat({ stream: true })).text();
    assert.equal(checkCanonicalStream(stream).choices[0]?.content, 'all is well');
    const completion = await gateway.post('/v1/completions', { model: 'm', prompt: 'Hi' });
    const { choices } = (await completion.json()) as { choices: { text: string }[] };
    assert.equal(choices[0]?.text, 'all is well');
    assert.deepEqual(
      bodies(model).map(({ stream }) => stream),
      [undefined, true, true, true, true],
      'only the first request was refused',
    );
  });
}

test('Q47b another model of the same upstream gets the request unchanged', async (context) => {
  const { model, chat } = await ferry(context, (body) =>
    body.model === 'streams' && body.stream !== true ? { detail: 'Stream must be set to true' } : null,
  );
  await isGood(await chat({ model: 'streams' }));
  await isGood(await chat({ model: 'other' }));
  assert.equal(bodies(model).at(-1)?.stream, undefined);
});

test('S67 an upstream that refuses streams is sent requests without, whose responses become streams', async (context) => {
  const { model, gateway, chat } = await ferry(context, (body) =>
    body.stream === true ? error('Streaming is not supported by this model.') : null,
  );
  for (const _ of ['refused', 'learned']) {
    const response = await chat({ stream: true, stream_options: { include_usage: true } });
    assert.equal(response.headers.get('x-tokenferry-dropped'), 'stream:true');
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    const stream = checkCanonicalStream(await response.text(), { includeUsage: true });
    assert.equal(stream.choices[0]?.content, 'all is well');
  }
  await isGood(await chat({}));
  const completion = await gateway.post('/v1/completions', { model: 'm', prompt: 'Hi', stream: true });
  assert.match(await completion.text(), /"object":"text_completion".*data: \[DONE\]/s);
  assert.deepEqual(
    bodies(model).map(({ stream, stream_options: options }) => [stream, options !== undefined]),
    [
      [true, true],
      [false, false],
      [false, false],
      [undefined, false],
      [false, false],
    ],
  );
});

test('Q47b with learn: false the client gets the refusal', async (context) => {
  const { model, chat } = await ferry(
    context,
    (body) => (body.stream === true ? null : { detail: 'Stream must be set to true' }),
    { profile: { learn: false } },
  );
  const response = await chat({});
  assert.equal(response.status, 400);
  assert.match(errorIn(await response.text()).message, /Stream must be set to true/);
  assert.equal(model.received.length, 1);
});

test('S98 a refused length limit is sent under its other name; both are sent unchanged', async (context) => {
  const { model, chat } = await ferry(context, (body) =>
    'max_tokens' in body
      ? error(
          "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
          {
            param: 'max_tokens',
            code: 'unsupported_parameter',
          },
        )
      : null,
  );
  await isGood(await chat({ max_completion_tokens: 16 }));
  await isGood(await chat({ max_tokens: 5 }));
  await isGood(await chat({ max_tokens: 5, max_completion_tokens: 16 }));
  assert.deepEqual(
    bodies(model).map((body) => [body.max_tokens, body.max_completion_tokens]),
    [
      [undefined, 16],
      [5, undefined],
      [undefined, 5],
      [undefined, 16],
    ],
  );
});

test('S99 limits of 1 to 16 are sent unchanged, and the error of a minimum makes Dify retry', async (context) => {
  const { model, chat } = await ferry(context, (body) =>
    (body.max_tokens as number) < 3 ? error('max_tokens must be at least 3', { param: 'max_tokens' }) : null,
  );
  for (const limit of [5, 10, 16]) await isGood(await chat({ max_tokens: limit }));
  assert.deepEqual(
    bodies(model).map((body) => body.max_tokens),
    [5, 10, 16],
  );
  const response = await chat({ max_tokens: 1 });
  assert.equal(response.status, 400);
  assert.equal(errorIn(await response.text()).code, 'integer_below_min_value');
});

test('S100 sampling parameters are passed on; refused ones are dropped and named', async (context) => {
  const refuses =
    (...names: string[]): Refusal =>
    (body) => {
      const name = names.find((one) => one in body);
      return name === undefined
        ? null
        : error(`Unsupported parameter: '${name}' is not supported.`, { param: name });
    };
  const sampling = { temperature: 0.9, top_p: 0.1, presence_penalty: 0.4, frequency_penalty: 0.7 };
  const all = await ferry(context, takesAll);
  await isGood(await all.chat(sampling));
  await isGood(await all.chat({ temperature: 0.1 }));
  const { temperature, top_p, presence_penalty, frequency_penalty } = all.model.received[0]?.body ?? {};
  assert.deepEqual({ temperature, top_p, presence_penalty, frequency_penalty }, sampling);

  const learned = await ferry(context, refuses('presence_penalty', 'frequency_penalty'));
  const response = await learned.chat(sampling);
  assert.equal(response.headers.get('x-tokenferry-dropped'), 'presence_penalty, frequency_penalty');
  await isGood(response);
  assert.equal(learned.model.received.at(-1)?.body.temperature, 0.9);

  const told = await ferry(context, refuses('temperature'));
  const refused = await told.chat(sampling);
  assert.equal(refused.headers.get('x-tokenferry-dropped'), 'temperature');
  await isGood(refused);

  const dropping = { profile: { drop_params: ['temperature', 'top_p'] } };
  const profiled = await ferry(context, refuses('temperature', 'top_p'), dropping);
  const dropped = await profiled.chat(sampling);
  assert.equal(dropped.headers.get('x-tokenferry-dropped'), 'temperature, top_p');
  await isGood(dropped);
  assert.equal(profiled.model.received.length, 1);
});

const messagesOf = (model: StandInModel): readonly Message[] =>
  (model.received.at(-1)?.body.messages ?? []) as readonly Message[];

test('S102 text parts are sent as one text to an upstream that refused parts', async (context) => {
  const { model, chat } = await ferry(context, (body) =>
    body.messages?.some(({ content }) => Array.isArray(content))
      ? {
          detail: [
            {
              loc: ['body', 'messages', 0, 'content'],
              msg: 'Input should be a valid string',
              type: 'string_type',
            },
          ],
        }
      : null,
  );
  const text = (...texts: string[]) => ({
    messages: [{ role: 'user', content: texts.map((one) => ({ type: 'text', text: one })) }],
  });
  const response = await chat(text('a', 'b'));
  assert.equal(response.headers.get('x-tokenferry-dropped'), 'messages:parts');
  await isGood(response);
  assert.deepEqual(messagesOf(model), [{ role: 'user', content: 'a\nb' }]);
  await isGood(await chat(text('c')));
  assert.equal(model.received.length, 3);
});

test('S102 parts that are no text pass as they are, or are a 400 that names the part', async (context) => {
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
  const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, image] }];
  const passing = await ferry(context, takesAll);
  await isGood(await passing.chat({ messages }));
  assert.deepEqual(messagesOf(passing.model), messages);
  const textOnly = await ferry(context, takesAll, { profile: { message_content: 'text' } });
  const refused = await textOnly.chat({ messages });
  assert.equal(refused.status, 400);
  const { message, param } = errorIn(await refused.text());
  assert.equal(param, 'messages.0.content.1');
  assert.match(message, /text only, and messages\.0\.content\.1 is image_url/);
  assert.equal(textOnly.model.received.length, 0);
});

const HISTORY = {
  messages: [
    { role: 'user', content: 'What time is it?' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'c', content: '' },
  ],
};

test('S103 null and empty contents are sent as the upstream takes them', async (context) => {
  const { model, chat } = await ferry(context, (body) => {
    const contents = (body.messages ?? []).map(({ content }) => content);
    if (contents.includes(null)) return error('messages.1.content: expected a string, got null');
    return contents.includes('') ? error('message content must not be empty') : null;
  });
  const response = await chat(HISTORY);
  assert.equal(response.headers.get('x-tokenferry-attempts'), '3');
  assert.equal(response.headers.get('x-tokenferry-dropped'), 'messages:null, messages:empty');
  await isGood(response);
  assert.deepEqual(
    messagesOf(model).map(({ content }) => content),
    ['What time is it?', '.', '.'],
  );
  await isGood(await chat(HISTORY));
  assert.equal(model.received.length, 4);
});

test('S103 an upstream that takes them gets them as they are, and message_content: text knows no null', async (context) => {
  const passing = await ferry(context, takesAll);
  await isGood(await passing.chat(HISTORY));
  assert.deepEqual(messagesOf(passing.model), HISTORY.messages);
  const textual = await ferry(context, takesAll, { profile: { message_content: 'text' } });
  await isGood(await textual.chat(HISTORY));
  assert.deepEqual(
    messagesOf(textual.model).map(({ content }) => content),
    ['What time is it?', '', ''],
  );
});

test('S104 stop in every form, seed, user, metadata and response_format pass, or are dropped without an error', async (context) => {
  const { model, chat } = await ferry(context, takesAll);
  for (const stop of ['END', ['a', 'b'], null]) {
    await isGood(await chat({ stop }));
    assert.deepEqual(model.received.at(-1)?.body.stop, stop);
  }
  await isGood(await chat({ stop: [] }));
  assert.equal(model.received.at(-1)?.body.stop, undefined);
  const extras = { seed: 1, user: 'u', metadata: { a: 'b' }, response_format: { type: 'json_object' } };
  const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
  await isGood(await chat({ ...extras, tools, parallel_tool_calls: false }));
  const last = model.received.at(-1)?.body ?? {};
  assert.deepEqual(
    { seed: last.seed, user: last.user, metadata: last.metadata, response_format: last.response_format },
    extras,
  );
  assert.equal(last.parallel_tool_calls, false);

  const strict = await ferry(context, (body) => {
    const name = ['seed', 'user', 'metadata', 'parallel_tool_calls'].find((one) => one in body);
    return name === undefined ? null : error(`${name}: Extra inputs are not permitted`);
  });
  const response = await strict.chat({ ...extras, tools, parallel_tool_calls: false });
  assert.equal(response.headers.get('x-tokenferry-dropped'), 'seed, user, metadata, parallel_tool_calls');
  await isGood(response);
});

test('S104 metadata that is only allowed with store is dropped', async (context) => {
  const { chat } = await ferry(context, (body) =>
    'metadata' in body ? error("The 'metadata' parameter is only allowed when 'store' is enabled.") : null,
  );
  const response = await chat({ metadata: { a: 'b' } });
  assert.equal(response.headers.get('x-tokenferry-dropped'), 'metadata');
  await isGood(response);
});

test('S105 stream_options without stream are dropped for an upstream that refuses them', async (context) => {
  const { model, chat } = await ferry(context, (body) =>
    'stream_options' in body && body.stream !== true
      ? error('The stream_options parameter is only allowed when stream is enabled.', {
          param: 'stream_options',
        })
      : null,
  );
  await isGood(await chat({ stream_options: { include_usage: true } }));
  assert.equal(model.received.length, 1);
});

test('S106 a prefixed or tagged model is resolved by its alias, and reply_model selects the name in the response', async (context) => {
  const models = { 'openai/gpt-4o': 'gpt-4o-240806', 'qwen3:latest': 'Qwen/Qwen3-32B' };
  for (const [reply_model, of] of [
    ['upstream', (name: keyof typeof models) => models[name]],
    ['requested', (name: keyof typeof models) => name],
  ] as const) {
    const { model, chat } = await ferry(
      context,
      takesAll,
      { models, allow: Object.values(models) },
      { reply_model },
    );
    for (const name of ['openai/gpt-4o', 'qwen3:latest'] as const) {
      const whole = (await (await chat({ model: name })).json()) as { model: string };
      assert.equal(whole.model, of(name));
      assert.equal(model.received.at(-1)?.body.model, models[name]);
      const stream = await (await chat({ model: name, stream: true })).text();
      const chunks = stream.split('\n\n').filter((event) => event.startsWith('data: {'));
      assert.deepEqual([...new Set(chunks.map((event) => JSON.parse(event.slice(6)).model))], [of(name)]);
    }
  }
});

test('Q145 many concurrent requests that an upstream refuses for one parameter all succeed', async (context) => {
  const { model, chat } = await ferry(context, (body) =>
    'seed' in body ? error('seed: Extra inputs are not permitted') : null,
  );
  const responses = await Promise.all(Array.from({ length: 12 }, () => chat({ seed: 1 })));
  for (const response of responses) await isGood(response);
  assert.ok(model.received.length <= 24);
  assert.equal(bodies(model).filter((body) => !('seed' in body)).length, 12);
});
