import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { messagesAsChat } from '../../../src/openai/messages/messages-request.ts';
import { thinkingSignature } from '../../../src/openai/messages/thinking-signature.ts';
import { toolUseId } from '../../../src/openai/messages/tool-names.ts';
import { parseRequest } from '../../../src/openai/request/parsed-request.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { refusalOf } from '../refused-request.ts';

// biome-ignore lint/suspicious/noExplicitAny: JSON of a schema, looked at by the test.
type Json = Record<string, any>;

const HELLO = [{ role: 'user', content: 'Hello' }];

function translate(request: object | string) {
  const text =
    typeof request === 'string'
      ? request
      : JSON.stringify({ model: 'm', max_tokens: 50, messages: HELLO, ...request });
  return messagesAsChat(parseRequest(Buffer.from(text), 'chat'));
}

/** The chat that an upstream gets, without the model and the limit. */
function chatOf(request: object) {
  const { model, max_tokens: limit, ...rest } = JSON.parse(translate(request).chat.body.toString());
  assert.deepEqual([model, limit], ['m', 50]);
  return rest;
}

const messagesOf = (messages: unknown, more: object = {}) => chatOf({ messages, ...more }).messages;
const user = (...content: readonly unknown[]) => ({ role: 'user', content });
const assistant = (...content: readonly unknown[]) => ({ role: 'assistant', content });
const text = (said: string, more: object = {}) => ({ type: 'text', text: said, ...more });
const use = (id: string, name = 'read', input: object = {}) => ({ type: 'tool_use', id, name, input });
const result = (id: string, content?: unknown, more: object = {}) => ({
  type: 'tool_result',
  tool_use_id: id,
  content,
  ...more,
});
const PNG = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } };
const PNG_PART = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };
const TOOL = {
  name: 'read',
  description: 'Reads.',
  input_schema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
};

const refusal = (request: object) => refusalOf(() => translate(request));

test('a text and a list of text blocks are one text of the user, without cache_control', () => {
  assert.deepEqual(messagesOf(HELLO), [{ role: 'user', content: 'Hello' }]);
  const blocks = [user(text('one', { cache_control: { type: 'ephemeral' } }), text('two'))];
  assert.deepEqual(messagesOf(blocks), [{ role: 'user', content: 'one\ntwo' }]);
});

test('the system prompt is one leading message, as a text or as blocks, without the billing line of Claude Code', () => {
  const leading = (system: unknown) => messagesOf(HELLO, { system })[0];
  assert.deepEqual(leading('Be brief.'), { role: 'system', content: 'Be brief.' });
  const blocks = [
    text('x-anthropic-billing-header: cc_version=2.1.332.66e; cc_entrypoint=sdk-cli;'),
    text('Be brief.', { cache_control: { type: 'ephemeral' } }),
    text('Be kind.'),
  ];
  assert.deepEqual(leading(blocks), { role: 'system', content: 'Be brief.\n\nBe kind.' });
  assert.deepEqual(messagesOf(HELLO, { system: '' }), [{ role: 'user', content: 'Hello' }]);
});

test('system messages within the conversation join the leading one, and the turns around them are one', () => {
  const system = { role: 'system', content: [text('# Environment')] };
  const messages = [...HELLO, system, { role: 'user', content: 'Go.' }];
  assert.deepEqual(messagesOf(messages, { system: 'Be brief.' }), [
    { role: 'system', content: 'Be brief.\n\n# Environment' },
    { role: 'user', content: 'Hello\nGo.' },
  ]);
});

test('messages of the same role in a row are one turn', () => {
  const messages = [
    { role: 'user', content: 'one' },
    { role: 'user', content: 'two' },
    { role: 'assistant', content: 'three' },
    assistant(use('toolu_1')),
    user(result('toolu_1', 'ok')),
    { role: 'user', content: 'four' },
  ];
  assert.deepEqual(messagesOf(messages), [
    { role: 'user', content: 'one\ntwo' },
    {
      role: 'assistant',
      content: 'three',
      tool_calls: [{ id: 'toolu_1', type: 'function', function: { name: 'read', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'toolu_1', content: 'ok' },
    { role: 'user', content: 'four' },
  ]);
});

test('images are parts by their data or their address, between the texts as they came', () => {
  const byUrl = { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } };
  assert.deepEqual(messagesOf([user(text('What is'), PNG, text('and'), byUrl)])[0].content, [
    { type: 'text', text: 'What is' },
    PNG_PART,
    { type: 'text', text: 'and' },
    { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
  ]);
});

test('documents are texts, their own blocks, or a file; search results are texts', () => {
  const document = (source: object, more: object = {}) => user({ type: 'document', source, ...more });
  const contentOf = (message: object) => messagesOf([message])[0].content;
  const plain = { type: 'text', media_type: 'text/plain', data: 'The ferry leaves at noon.' };
  assert.equal(
    contentOf(document(plain, { title: 'Timetable', context: 'of 2026', citations: { enabled: true } })),
    'Timetable\nof 2026\nThe ferry leaves at noon.',
  );
  assert.deepEqual(contentOf(document({ type: 'content', content: [text('page'), PNG] })), [
    { type: 'text', text: 'page' },
    PNG_PART,
  ]);
  const pdf = { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' };
  assert.deepEqual(contentOf(document(pdf, { title: 'a.pdf' })), [
    { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
  ]);
  const found = { type: 'search_result', source: 'https://x', title: 'X', content: [text('one')] };
  assert.equal(contentOf(user(found)), 'X\nhttps://x\none');
});

test('outputs of tools come right behind the calls in their order, and what the user says behind them', () => {
  const messages = [
    ...HELLO,
    assistant(text('Let me look.'), use('toolu_1', 'read', { path: 'a' }), use('toolu_2')),
    user(text('Also:'), result('toolu_2', [text('b1'), text('b2')]), result('toolu_1', 'a'), text('go on')),
  ];
  assert.deepEqual(messagesOf(messages).slice(1), [
    {
      role: 'assistant',
      content: 'Let me look.',
      tool_calls: [
        { id: 'toolu_1', type: 'function', function: { name: 'read', arguments: '{"path":"a"}' } },
        { id: 'toolu_2', type: 'function', function: { name: 'read', arguments: '{}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'toolu_2', content: 'b1\nb2' },
    { role: 'tool', tool_call_id: 'toolu_1', content: 'a' },
    { role: 'user', content: 'Also:\ngo on' },
  ]);
});

test('an error of a tool says so, an empty output is an empty text, an unknown block is told as it is', () => {
  const outputs = (...results: readonly object[]) =>
    messagesOf([...HELLO, assistant(use('t1'), use('t2'), use('t3')), user(...results)])
      .filter(({ role }: { role: string }) => role === 'tool')
      .map(({ content }: { content: string }) => content);
  assert.deepEqual(
    outputs(
      result('t1', 'no such file', { is_error: true }),
      result('t2'),
      result('t3', [{ type: 'x', a: 1 }]),
    ),
    ['Error: no such file', '', '{"type":"x","a":1}'],
  );
  for (const said of ['Error: no', '<tool_use_error>no</tool_use_error>', 'error: no'])
    assert.deepEqual(outputs(result('t1', said, { is_error: true })), [said]);
});

test('an image in the output of a tool follows as a message of the user, behind all outputs', () => {
  const messages = [
    ...HELLO,
    assistant(use('t1'), use('t2')),
    user(result('t1', [text('the picture'), PNG]), result('t2', 'ok'), text('What is it?')),
  ];
  const [, , first, second, last] = messagesOf(messages);
  assert.match(first.content, /^the picture\n\(.+next message/);
  assert.deepEqual([second.role, second.content], ['tool', 'ok']);
  assert.deepEqual(last, {
    role: 'user',
    content: [
      { type: 'text', text: 'Output of the tool call t1:' },
      PNG_PART,
      { type: 'text', text: 'What is it?' },
    ],
  });
});

test('thinking of this model goes back as its reasoning, with or without display; that of others is left out', () => {
  const turn = (...content: readonly object[]) => messagesOf([...HELLO, assistant(...content)])[1];
  const shown = { type: 'thinking', thinking: 'Hm.', signature: thinkingSignature('') };
  const omitted = { type: 'thinking', thinking: '', signature: thinkingSignature('Hm. Ü') };
  const foreign = { type: 'thinking', thinking: 'Hm.', signature: 'EqQBCgIYAhIM' };
  const redacted = { type: 'redacted_thinking', data: 'abc' };
  assert.equal(turn(shown, text('Yes.')).reasoning_content, 'Hm.');
  assert.equal(turn(omitted, use('t1')).reasoning_content, 'Hm. Ü');
  assert.deepEqual(turn(foreign, redacted, text('Yes.')), { role: 'assistant', content: 'Yes.' });
});

test('tools are functions with their schemas', () => {
  assert.deepEqual(chatOf({ tools: [TOOL] }).tools, [
    {
      type: 'function',
      function: { name: 'read', description: 'Reads.', parameters: TOOL.input_schema },
    },
  ]);
  const bare = { type: 'custom', name: 'now', input_schema: { type: 'object' }, strict: true };
  assert.deepEqual(chatOf({ tools: [bare] }).tools[0].function, {
    name: 'now',
    parameters: { type: 'object', properties: {} },
    strict: true,
  });
});

test('tool_choice has its words in a chat, and disable_parallel_tool_use as well', () => {
  const chosen = (choice: object) => {
    const { tool_choice: own, parallel_tool_calls: parallel } = chatOf({
      tools: [TOOL],
      tool_choice: choice,
    });
    return [own, parallel];
  };
  assert.deepEqual(chosen({ type: 'auto' }), ['auto', undefined]);
  assert.deepEqual(chosen({ type: 'any' }), ['required', undefined]);
  assert.deepEqual(chosen({ type: 'none' }), ['none', undefined]);
  const named = { type: 'function', function: { name: 'read' } };
  assert.deepEqual(chosen({ type: 'tool', name: 'read' }), [named, undefined]);
  assert.deepEqual(chosen({ type: 'auto', disable_parallel_tool_use: true }), ['auto', false]);
  assert.deepEqual(chosen({ type: 'auto', disable_parallel_tool_use: false }), ['auto', undefined]);
  assert.equal(chatOf({ tool_choice: { type: 'auto' } }).tool_choice, undefined);
});

test('tools that Anthropic runs are left out and named, with a choice of one of them', () => {
  const search = { type: 'web_search_20250305', name: 'web_search', max_uses: 3 };
  const { chat, ignored } = translate({
    tools: [TOOL, search],
    tool_choice: { type: 'tool', name: 'web_search' },
  });
  assert.equal((chat.json.tools as object[]).length, 1);
  assert.deepEqual(ignored, ['web_search_20250305', 'tool_choice']);
  assert.equal(translate({ tools: [search] }).chat.hasTools, false);
});

test('tools of Anthropic’s that the client runs become functions with what its models know of them', () => {
  const functionOf = (tool: object) => {
    const { chat, ignored } = translate({ tools: [tool], tool_choice: { type: 'any' } });
    assert.deepEqual([ignored, chat.json.tool_choice], [[], 'required']);
    const [sent] = chat.json.tools as { function: { name: string; description: string; parameters: Json } }[];
    return sent?.function as NonNullable<typeof sent>['function'];
  };
  const membersOf = (tool: object) => Object.keys(functionOf(tool).parameters.properties);
  for (const version of ['20241022', '20250124', '20270101']) {
    const bash = functionOf({ type: `bash_${version}`, name: 'bash', cache_control: { type: 'ephemeral' } });
    assert.deepEqual([bash.name, Object.keys(bash.parameters.properties)], ['bash', ['command', 'restart']]);
    assert.ok(bash.description.length > 20);
  }
  const editor = (version: string, more: object = {}) =>
    functionOf({ type: `text_editor_${version}`, name: 'str_replace_based_edit_tool', ...more });
  const commandsOf = (version: string) => editor(version).parameters.properties.command.enum;
  assert.deepEqual(commandsOf('20250124'), ['view', 'create', 'str_replace', 'insert', 'undo_edit']);
  for (const version of ['20250429', '20250728'])
    assert.deepEqual(commandsOf(version), ['view', 'create', 'str_replace', 'insert']);
  assert.equal(editor('20250429').parameters.properties.insert_text, undefined);
  assert.equal(editor('20250728').parameters.properties.insert_text.type, 'string');
  assert.match(editor('20250728', { max_characters: 5_000 }).description, /at most 5000 characters/);
  const memory = membersOf({ type: 'memory_20250818', name: 'memory' });
  assert.ok(memory.includes('old_path') && memory.includes('insert_text'));
  const screen = { name: 'computer', display_width_px: 1024, display_height_px: 768 };
  const computer = (version: string, more: object = {}) =>
    functionOf({ type: `computer_${version}`, ...screen, ...more });
  assert.match(computer('20250124').description, /1024 pixels wide and 768 high/);
  assert.equal(computer('20241022').parameters.properties.scroll_direction, undefined);
  const hasZoom = (more: object) => {
    const { properties } = computer('20251124', more).parameters;
    return [properties.action.enum.includes('zoom'), 'region' in properties];
  };
  assert.deepEqual(
    [hasZoom({}), hasZoom({ enable_zoom: true })],
    [
      [false, false],
      [true, true],
    ],
  );
});

test('blocks of server tools in the history are left out and named', () => {
  const messages = [
    ...HELLO,
    assistant(
      { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} },
      { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] },
      text('Found.'),
    ),
  ];
  const { chat, ignored } = translate({ messages });
  assert.deepEqual((chat.json.messages as object[])[1], { role: 'assistant', content: 'Found.' });
  assert.deepEqual(ignored, ['server_tool_use', 'web_search_tool_result']);
});

test('deferred tools are there once a result, or a message, has loaded them', () => {
  const tools = [TOOL, { ...TOOL, name: 'later', defer_loading: true }];
  const namesOf = (request: object) =>
    chatOf({ tools, ...request }).tools.map((tool: { function: { name: string } }) => tool.function.name);
  assert.deepEqual(namesOf({}), ['read']);
  const reference = { type: 'tool_reference', tool_name: 'later' };
  const loaded = [...HELLO, assistant(use('t1', 'read')), user(result('t1', [reference]))];
  assert.deepEqual(namesOf({ messages: loaded }), ['read', 'later']);
  const change = (type: string, tool: object) => ({ role: 'system', content: [{ type, tool }] });
  const byName = { type: 'tool_reference', name: 'later' };
  const added = [...HELLO, change('tool_addition', byName)];
  assert.deepEqual(namesOf({ messages: added }), ['read', 'later']);
  assert.deepEqual(namesOf({ messages: [...added, change('tool_removal', byName)] }), ['read']);
  const defined = { type: 'tool_definition', definition: { ...TOOL, name: 'own' } };
  assert.deepEqual(namesOf({ messages: [...HELLO, change('tool_addition', defined)] }), ['read', 'own']);
  // What the service searches is loaded from the beginning, since there is no search.
  const search = { type: 'tool_search_tool_regex_20251119', name: 'tool_search_tool_regex' };
  assert.deepEqual(namesOf({ tools: [...tools, search] }), ['read', 'later']);
});

test('a name longer than a chat takes is shortened the same way everywhere, and told back', () => {
  const name = `mcp__${'server'.repeat(10)}__tool`;
  const { chat, expectations } = translate({
    messages: [...HELLO, assistant(use('t1', name)), user(result('t1', 'ok'))],
    tools: [
      { ...TOOL, name },
      { ...TOOL, name: `${name}2` },
    ],
    tool_choice: { type: 'tool', name },
  });
  // biome-ignore lint/suspicious/noExplicitAny: the chat's JSON, looked at by the test.
  const json = chat.json as any;
  const sent = json.tools[0].function.name;
  assert.match(sent, /^[\w-]{64}$/);
  assert.notEqual(json.tools[1].function.name, sent);
  assert.equal(json.tool_choice.function.name, sent);
  assert.equal(json.messages[1].tool_calls[0].function.name, sent);
  assert.deepEqual([expectations.names.original(sent), expectations.names.original('read')], [name, 'read']);
});

test('an id that only Anthropic’s clients get is the upstream’s own again', () => {
  const id = toolUseId({ id: 'functions.read:0', extensions: null });
  const [, told, output] = messagesOf([...HELLO, assistant(use(id)), user(result(id, 'ok'))]);
  assert.deepEqual([told.tool_calls[0].id, output.tool_call_id], ['functions.read:0', 'functions.read:0']);
});

test('members of a call that its upstream wants back come back with it', () => {
  const google = { thought_signature: 'abc' };
  const id = toolUseId({ id: 'call_1', extensions: { extra_content: { google }, function: { x: 1 } } });
  assert.match(id, /^[\w-]+$/);
  const [, told, output] = messagesOf([...HELLO, assistant(use(id)), user(result(id, 'ok'))]);
  assert.deepEqual(told.tool_calls[0], {
    extra_content: { google },
    id: 'call_1',
    type: 'function',
    function: { x: 1, name: 'read', arguments: '{}' },
  });
  assert.equal(output.tool_call_id, 'call_1');
  assert.equal(messagesOf([...HELLO, assistant(use('toolu_b64_e30'))])[1].tool_calls[0].id, 'toolu_b64_e30');
});

test('limits, stops, sampling, the format and the user have their names in a chat', () => {
  const schema = { type: 'object', properties: {}, additionalProperties: false };
  const chat = chatOf({
    stop_sequences: ['END'],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    metadata: { user_id: 'anna' },
    output_config: { format: { type: 'json_schema', schema } },
    service_tier: 'auto',
  });
  assert.deepEqual(chat, {
    messages: [{ role: 'user', content: 'Hello' }],
    stop: ['END'],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    user: 'anna',
    response_format: { type: 'json_schema', json_schema: { name: 'response', schema, strict: true } },
  });
  const long = chatOf({ metadata: { user_id: 'x'.repeat(190) } }).user;
  assert.match(long, /^[0-9a-f]{64}$/);
});

test('thinking is the effort of the reasoning, by its own effort or by its budget', () => {
  const effort = (more: object) => chatOf(more).reasoning_effort;
  const adaptive = { type: 'adaptive', display: 'omitted' };
  assert.equal(effort({ thinking: adaptive, output_config: { effort: 'medium' } }), 'medium');
  assert.equal(effort({ output_config: { effort: 'max' } }), 'high');
  assert.equal(effort({ thinking: adaptive }), undefined);
  assert.equal(effort({ thinking: { type: 'disabled' }, output_config: { effort: 'low' } }), undefined);
  for (const [tokens, word] of [
    [1024, 'low'],
    [4096, 'medium'],
    [32_000, 'high'],
  ])
    assert.equal(effort({ thinking: { type: 'enabled', budget_tokens: tokens } }), word);
  assert.equal(translate({ thinking: adaptive }).expectations.showsThinking, false);
  assert.equal(translate({ thinking: { type: 'adaptive' } }).expectations.showsThinking, true);
});

test('what only Anthropic’s service can do is left out and named; what means nothing is left out', () => {
  const { chat, ignored } = translate({
    context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
    mcp_servers: [{ type: 'url', url: 'https://x', name: 'x' }],
    container: null,
    speed: 'standard',
    betas: ['a'],
  });
  assert.deepEqual(Object.keys(chat.json).sort(), ['max_tokens', 'messages', 'model']);
  assert.deepEqual(ignored, ['context_management', 'mcp_servers']);
});

test('a stream is requested with usage', () => {
  const { chat } = translate({ stream: true });
  assert.deepEqual([chat.json.stream, chat.json.stream_options], [true, { include_usage: true }]);
  assert.deepEqual([chat.stream, chat.includeUsage], [true, true]);
});

test('numbers that a double would change keep their digits', () => {
  const { chat } = translate(
    '{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"a":12345678901234567890,"b":1.0}}]}]}',
  );
  assert.match(chat.text, /\{\\"a\\":12345678901234567890,\\"b\\":1\.0\}/);
});

test('an invalid request, and what a chat cannot do, is a 400 that names its place', () => {
  for (const [request, param, says] of [
    [{ messages: undefined }, 'messages', /no "messages"/],
    [{ messages: [] }, 'messages', /at least one/],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role', /role "tool"/],
    [{ messages: [user({ type: 'video' })] }, 'messages.0.content.0', /"video"/],
    [{ messages: [user('x', 7)] }, 'messages.0.content.1', /must be an object/],
    [{ messages: [user({ type: 'image' })] }, 'messages.0.content.0.source', /"source"/],
    [
      { messages: [user({ type: 'image', source: { type: 'file', file_id: 'f' } })] },
      'messages.0.content.0.source',
      /stored file/,
    ],
    [
      { messages: [user({ type: 'document', source: { type: 'url', url: 'https://x/a.pdf' } })] },
      'messages.0.content.0.source',
      /by its URL/,
    ],
    [{ messages: [user({ type: 'tool_result' })] }, 'messages.0.content.0', /tool_use_id/],
    [{ system: 7 }, 'system', /text or a list/],
    [{ tools: {} }, 'tools', /list/],
    [{ tools: [{}] }, 'tools.0.name', /"name"/],
    [{ tools: [TOOL], tool_choice: { type: 'both' } }, 'tool_choice', /auto, any/],
    [{ tools: [TOOL], tool_choice: { type: 'tool', name: 'x' } }, 'tool_choice.name', /"x".* not among/],
  ] as const) {
    const { param: place, message } = refusal(request);
    assert.equal(place, param, JSON.stringify(request));
    assert.match(message, says);
  }
});

/** A value of one of these, or something that no client should send. */
const BLOCKS: readonly unknown[] = [
  text('a'),
  text(''),
  PNG,
  use('t1'),
  use('functions.read:0'),
  result('t1', 'ok'),
  result('t1', [text('a'), PNG], { is_error: true }),
  result('t2'),
  { type: 'thinking', thinking: 'Hm.', signature: thinkingSignature('') },
  { type: 'redacted_thinking', data: 'x' },
  { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
  { type: 'tool_addition', tool: { type: 'tool_reference', name: 'read' } },
  { type: 'document', source: { type: 'text', data: 'd' } },
  { type: 'document' },
  { type: 'text', text: 7 },
  { type: '__proto__' },
  {},
  null,
  'a',
  7,
];
const ROLES = ['user', 'assistant', 'user', 'assistant', 'system', 'tool', undefined];

test('5,000 generated conversations: a 400 that names its place, or a chat in the order that servers require', () => {
  const random = randomFrom(11);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  let chats = 0;
  for (let made = 0; made < 5_000; made++) {
    const messages = Array.from({ length: 1 + Math.floor(random() * 6) }, () => ({
      role: pick(ROLES),
      content: random() < 0.3 ? 'said' : Array.from({ length: Math.floor(random() * 4) }, () => pick(BLOCKS)),
    }));
    let chat: Record<string, unknown>[];
    try {
      chat = messagesOf(messages, { tools: [TOOL] });
    } catch (error) {
      assert.ok(error instanceof FerryError && error.status === 400, JSON.stringify(messages));
      assert.match(error.param ?? '', /^messages\.\d/);
      continue;
    }
    chats += 1;
    for (const [position, { role, content }] of chat.entries()) {
      const before = chat[position - 1]?.role;
      assert.ok(role !== 'system' || position === 0, 'one leading system message');
      assert.ok(role === 'tool' || role !== before, `turns alternate: ${JSON.stringify(messages)}`);
      assert.ok(typeof content === 'string' || Array.isArray(content) || role === 'assistant');
    }
  }
  assert.ok(chats > 500, String(chats));
});
