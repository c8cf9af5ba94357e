import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { parseRequest } from '../../../src/openai/request/parsed-request.ts';
import type { Recall } from '../../../src/openai/responses/responses-input.ts';
import { responsesAsChat } from '../../../src/openai/responses/responses-request.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { refusalOf } from '../refused-request.ts';

function translate(request: object | string, recall?: Recall) {
  const text = typeof request === 'string' ? request : JSON.stringify({ model: 'm', ...request });
  return responsesAsChat(parseRequest(Buffer.from(text), 'chat'), recall);
}

/** The chat that an upstream gets, without the model. */
function chatOf(request: object, recall?: Recall) {
  const { chat } = translate(request, recall);
  const { model, ...rest } = JSON.parse(chat.body.toString());
  assert.equal(model, 'm');
  return rest;
}

const messagesOf = (input: unknown, more: object = {}, recall?: Recall) =>
  chatOf({ input, ...more }, recall).messages;

const refusal = (request: object) => refusalOf(() => translate(request));

test('S124 a string is one message of the user', () => {
  assert.deepEqual(chatOf({ input: 'Hello' }), { messages: [{ role: 'user', content: 'Hello' }] });
});

test('S124 instructions are the first system message, joined with those of the input at its beginning', () => {
  const system = (content: string) => ({ role: 'system', content });
  const user = { role: 'user', content: 'Hi' };
  assert.deepEqual(messagesOf('Hi', { instructions: 'Be brief.' }), [system('Be brief.'), user]);
  const input = [{ role: 'developer', content: 'In German.' }, user];
  assert.deepEqual(messagesOf(input, { instructions: 'Be brief.' }), [
    system('Be brief.\n\nIn German.'),
    user,
  ]);
  assert.deepEqual(messagesOf(input), [system('In German.'), user]);
});

test('S124 a list of items becomes a conversation, without reasoning and with calls in the message before them', () => {
  const input = [
    {
      role: 'user',
      content: [
        { type: 'input_text', text: 'Weather in ' },
        { type: 'input_text', text: 'Paris?' },
      ],
    },
    { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm.' }] },
    {
      type: 'message',
      id: 'msg_1',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'Let me look.', annotations: [] }],
    },
    { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'weather', arguments: '{"city":"Paris"}' },
    { type: 'function_call', id: 'fc_2', call_id: 'call_2', name: 'clock', arguments: '{}' },
    { type: 'function_call_output', call_id: 'call_1', output: 'sunny' },
    { type: 'function_call_output', call_id: 'call_2', output: [{ type: 'input_text', text: 'noon' }] },
    { type: 'function_call', call_id: 'call_3', name: 'clock', arguments: '' },
  ];
  const call = (id: string, name: string, args: string) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  });
  assert.deepEqual(messagesOf(input), [
    { role: 'user', content: 'Weather in \nParis?' },
    {
      role: 'assistant',
      content: 'Let me look.',
      tool_calls: [call('call_1', 'weather', '{"city":"Paris"}'), call('call_2', 'clock', '{}')],
    },
    { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
    { role: 'tool', tool_call_id: 'call_2', content: 'noon' },
    { role: 'assistant', content: null, tool_calls: [call('call_3', 'clock', '')] },
  ]);
});

test('S124 images, files and audio stay parts', () => {
  const content = [
    { type: 'input_text', text: 'Look:' },
    { type: 'input_image', image_url: 'data:image/png;base64,AA==', detail: 'low' },
    { type: 'input_image', image_url: 'https://pictures.example/1.png' },
    { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AA==' },
    { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
  ];
  assert.deepEqual(messagesOf([{ role: 'user', content }])[0].content, [
    { type: 'text', text: 'Look:' },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==', detail: 'low' } },
    { type: 'image_url', image_url: { url: 'https://pictures.example/1.png' } },
    { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AA==' } },
    { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
  ]);
});

test('S124 functions are nested, the choice among them as well', () => {
  const parameters = { type: 'object', properties: {} };
  const tools = [
    { type: 'function', name: 'f', description: 'F', parameters, strict: true },
    { type: 'function', name: 'g', parameters: null, strict: null },
  ];
  const f = { type: 'function', function: { name: 'f', description: 'F', parameters, strict: true } };
  const g = { type: 'function', function: { name: 'g' } };
  const chat = chatOf({
    input: 'x',
    tools,
    tool_choice: { type: 'function', name: 'f' },
    parallel_tool_calls: false,
  });
  assert.deepEqual(chat.tools, [f, g]);
  assert.deepEqual(chat.tool_choice, { type: 'function', function: { name: 'f' } });
  assert.equal(chat.parallel_tool_calls, false);
  assert.equal(chatOf({ input: 'x', tools, tool_choice: 'required' }).tool_choice, 'required');
  const allowed = { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'g' }] };
  const some = chatOf({ input: 'x', tools, tool_choice: allowed });
  assert.deepEqual([some.tools, some.tool_choice], [[g], 'required']);
  const none = chatOf({ input: 'x', tools: [], tool_choice: 'auto' });
  assert.ok(!('tools' in none) && !('tool_choice' in none));
});

test('S124 format, verbosity, effort and limit have their names in a chat', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } } };
  const format = { type: 'json_schema', name: 'answer', strict: true, schema };
  const chat = chatOf({
    input: 'x',
    text: { format, verbosity: 'low' },
    reasoning: { effort: 'high', summary: 'auto' },
    max_output_tokens: 100,
    temperature: 0.5,
    top_p: 0.9,
    user: 'u',
  });
  const { messages: _, ...rest } = chat;
  assert.deepEqual(rest, {
    max_tokens: 100,
    reasoning_effort: 'high',
    verbosity: 'low',
    response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
    temperature: 0.5,
    top_p: 0.9,
    user: 'u',
  });
  assert.ok(!('response_format' in chatOf({ input: 'x', text: { format: { type: 'text' } } })));
  const json = chatOf({ input: 'x', text: { format: { type: 'json_object' } } });
  assert.deepEqual(json.response_format, { type: 'json_object' });
});

test('S124 the upstream’s own parameters are passed on, OpenAI’s own are not, nulls are ignored', () => {
  const chat = chatOf({
    input: 'x',
    chat_template_kwargs: { thinking: true },
    top_k: 5,
    store: true,
    metadata: { a: 'b' },
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: 'k',
    service_tier: 'auto',
    temperature: null,
    previous_response_id: null,
    background: false,
    truncation: 'disabled',
    n: 3,
  });
  assert.deepEqual(chat, {
    messages: [{ role: 'user', content: 'x' }],
    chat_template_kwargs: { thinking: true },
    top_k: 5,
  });
});

test('S124 a stream is requested with usage', () => {
  const chat = chatOf({ input: 'x', stream: true, stream_options: { include_obfuscation: false } });
  assert.equal(chat.stream, true);
  assert.deepEqual(chat.stream_options, { include_usage: true });
});

test('S124 numbers that a double would change keep their digits', () => {
  const { chat, echo } = translate(
    '{"model":"m","input":"x","temperature":1.0,"tools":[{"type":"function","name":"f","parameters":{"maximum":12345678901234567890}}]}',
  );
  assert.match(chat.text, /"temperature":1\.0/);
  assert.match(chat.text, /"maximum":12345678901234567890/);
  assert.match(JSON.stringify(echo), /12345678901234567890/);
});

test('S124 parameters that need stored responses or background work are a 400 that names them', () => {
  for (const [param, value] of [
    ['previous_response_id', 'resp_1'],
    ['conversation', { id: 'conv_1' }],
    ['background', true],
    ['prompt', { id: 'pmpt_1' }],
  ] as const) {
    const error = refusal({ input: 'x', [param]: value });
    assert.deepEqual([error.code, error.param], ['unsupported_parameter', param]);
    assert.match(error.message, new RegExp(param));
  }
});

test('S124 items and parts that a chat does not have are a 400 that names them', () => {
  for (const [request, param, names] of [
    [{ input: [{ type: 'hologram', id: 'h' }] }, 'input[0]', 'hologram'],
    [{ input: [{ role: 'user', content: [{ type: 'input_video' }] }] }, 'input[0].content[0]', 'input_video'],
    [
      { input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'file_1' }] }] },
      'input[0].content[0]',
      'image_url',
    ],
    [
      { input: [{ role: 'user', content: [{ type: 'input_file', file_url: 'https://a.example/b' }] }] },
      'input[0].content[0]',
      'file_data',
    ],
    [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0]', '"store" to false'],
  ] as const) {
    const error = refusal(request);
    assert.deepEqual([error.code, error.param], ['unsupported_parameter', param], error.message);
    assert.ok(error.message.includes(names), error.message);
  }
});

test('S124 an invalid Responses request is a 400 with the place of the error', () => {
  for (const [request, param] of [
    [{}, 'input'],
    [{ input: [] }, 'input'],
    [{ input: 7 }, 'input'],
    [{ input: ['x'] }, 'input[0]'],
    [{ input: [{ role: 'tool', content: 'x' }] }, 'input[0].role'],
    [{ input: [{ role: 'user', content: 7 }] }, 'input[0].content'],
    [{ input: [{ type: 'function_call', name: 'f' }] }, 'input[0]'],
    [{ input: 'x', instructions: ['y'] }, 'instructions'],
    [{ input: 'x', tools: 'f' }, 'tools'],
  ] as const) {
    assert.equal(refusal(request).param, param);
  }
});

test('S124 an item referenced by its id is replaced by the stored one; referenced reasoning is dropped', () => {
  const told = {
    msg_1: { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'At noon.' }] },
    fc_1: { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' },
  };
  const input = [
    { role: 'user', content: 'When?' },
    { type: 'item_reference', id: 'rs_1' },
    { type: 'item_reference', id: 'msg_1' },
    { type: 'item_reference', id: 'fc_1' },
    { type: 'function_call_output', call_id: 'call_1', output: { at: 12 } },
  ];
  const messages = messagesOf(input, {}, (id) => told[id as keyof typeof told] ?? null);
  assert.deepEqual(messages.slice(1), [
    {
      role: 'assistant',
      content: 'At noon.',
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'call_1', content: '{"at":12}' },
  ]);
});

test('S124 an item referenced twice is refused, so that a small request cannot become a huge one', () => {
  const told = { type: 'message', id: 'msg_1', role: 'assistant', content: 'long' };
  const reference = { type: 'item_reference', id: 'msg_1' };
  assert.throws(
    () => translate({ input: [reference, reference] }, () => told),
    (error) => error instanceof FerryError && error.status === 400 && error.param === 'input[1]',
  );
});

test('S124 100,000 calls in a row take linear time', () => {
  const call = { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' };
  const input = Array.from({ length: 100_000 }, () => call);
  const began = process.cpuUsage();
  const [message, ...others] = messagesOf(input);
  assert.equal(others.length, 0);
  assert.equal(message.tool_calls.length, input.length);
  // Copying the list for each call took over a minute.
  assert.ok(cpuMsSince(began) < 5_000);
});

test('S124 the Response repeats the request, and says that nothing is stored', () => {
  const tools = [{ type: 'function', name: 'f', parameters: {}, strict: null }];
  const { echo, ignored } = translate({
    input: 'x',
    instructions: 'Be brief.',
    tools,
    metadata: { a: 'b' },
    store: true,
    max_output_tokens: 7,
    temperature: 0.5,
    truncation: 'auto',
    text: { verbosity: 'low' },
    reasoning: { effort: 'low' },
  });
  assert.deepEqual(echo, {
    background: false,
    instructions: 'Be brief.',
    max_output_tokens: 7,
    max_tool_calls: null,
    metadata: { a: 'b' },
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: 'low', summary: null },
    store: false,
    temperature: 0.5,
    text: { verbosity: 'low', format: { type: 'text' } },
    tool_choice: 'auto',
    tools,
    top_p: null,
    truncation: 'auto',
  });
  assert.deepEqual(ignored, ['truncation']);
});

const EXEC = { type: 'function', name: 'exec_command', strict: false, parameters: { type: 'object' } };
const PATCH = {
  type: 'custom',
  name: 'apply_patch',
  description: 'Edits files.',
  format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
};
const AGENTS = {
  type: 'namespace',
  name: 'multi_agent',
  description: 'Sub-agents.',
  tools: [{ type: 'function', name: 'close', parameters: { type: 'object' } }, PATCH],
};

/** Names of the functions that the upstream gets. */
const functionsOf = (request: object): string[] =>
  chatOf(request).tools.map((tool: { function: { name: string } }) => tool.function.name);

test('S124 tools of namespaces and custom tools become functions, the latter with their grammar', () => {
  const { tools } = chatOf({ input: 'x', tools: [EXEC, PATCH, AGENTS] });
  const names = tools.map((tool: { function: { name: string } }) => tool.function.name);
  assert.deepEqual(names, ['exec_command', 'apply_patch', 'multi_agent__close', 'multi_agent__apply_patch']);
  const { description, parameters } = tools[1].function;
  assert.equal(description, 'Edits files.');
  assert.deepEqual([parameters.type, parameters.required], ['object', ['input']]);
  assert.match(parameters.properties.input.description, /lark grammar:\nstart: "x"$/);
});

test('S124 functions of one name in several namespaces, and names that a chat does not allow, stay apart', () => {
  const named = (name: string, inner: string) => ({
    type: 'namespace',
    name,
    tools: [{ type: 'function', name: inner }],
  });
  const tools = [
    named('mcp__files__', 'read'),
    named('mcp__web', 'read'),
    { type: 'function', name: 'mcp__web__read' },
    named('mcp.dots', 'a b'),
    named(`mcp__${'x'.repeat(60)}`, 'long_name'),
  ];
  const names = functionsOf({ input: 'x', tools });
  assert.equal(new Set(names).size, tools.length, names.join());
  for (const name of names) assert.match(name, /^[\w-]{1,64}$/);
  assert.deepEqual(names.slice(0, 2), ['mcp__files__read', 'mcp__web__read']);
  assert.deepEqual(functionsOf({ input: 'x', tools }), names, 'the same in every turn');
  const { tools: restored } = translate({ input: 'x', tools });
  for (const [position, name] of names.entries()) {
    const tool = tools[position] as { name: string; type: string; tools?: { name: string }[] };
    const namespace = tool.type === 'namespace' ? tool.name : null;
    const own = tool.tools?.[0]?.name ?? tool.name;
    assert.deepEqual(restored.called(name), { kind: 'function', name: own, namespace });
  }
});

test('S124 a call that lacks its namespace finds the only tool of that name', () => {
  const { tools } = translate({ input: 'x', tools: [EXEC, AGENTS] });
  assert.equal(tools.called('close').namespace, 'multi_agent');
  assert.deepEqual(tools.called('functions.exec_command').name, 'exec_command');
  assert.deepEqual(tools.called('unknown'), { kind: 'function', name: 'unknown', namespace: null });
});

test('S124 tools that OpenAI’s service runs are left out and named, and so is the choice of one', () => {
  const hosted = ['web_search', 'image_generation', 'local_shell', 'mcp', 'file_search', 'code_interpreter'];
  const tools = [EXEC, ...hosted.map((type) => ({ type }))];
  const request = { input: 'x', tools, tool_choice: { type: 'web_search' } };
  assert.deepEqual(functionsOf(request), ['exec_command']);
  assert.equal(chatOf(request).tool_choice, undefined);
  assert.deepEqual(translate(request).ignored, [...hosted, 'tool_choice']);
  const none = chatOf({
    input: 'x',
    tools: [{ type: 'web_search' }],
    tool_choice: 'auto',
    parallel_tool_calls: true,
  });
  assert.deepEqual(Object.keys(none), ['messages']);
});

test('S124 a choice names a custom tool and one of a namespace as the chat knows them', () => {
  const tools = [EXEC, PATCH, AGENTS];
  const chosen = (choice: object) => chatOf({ input: 'x', tools, tool_choice: choice }).tool_choice;
  assert.deepEqual(chosen({ type: 'custom', name: 'apply_patch' }), {
    type: 'function',
    function: { name: 'apply_patch' },
  });
  assert.deepEqual(chosen({ type: 'function', namespace: 'multi_agent', name: 'close' }), {
    type: 'function',
    function: { name: 'multi_agent__close' },
  });
});

test('S124 tools that come as items of the input are among those of the chat', () => {
  const input = [
    { type: 'additional_tools', role: 'developer', tools: [AGENTS] },
    { role: 'user', content: 'Hi' },
    { type: 'tool_search_call', call_id: 's', execution: 'client', arguments: { query: 'mail' } },
    { type: 'tool_search_output', call_id: 's', tools: [{ type: 'function', name: 'send_mail' }] },
  ];
  const search = { type: 'tool_search', execution: 'client', parameters: { type: 'object' } };
  const chat = chatOf({ input, tools: [search] });
  assert.deepEqual(functionsOf({ input, tools: [search] }), [
    'tool_search',
    'multi_agent__close',
    'multi_agent__apply_patch',
    'send_mail',
  ]);
  assert.equal(chat.messages[1].tool_calls[0].function.arguments, '{"query":"mail"}');
  assert.deepEqual(chat.messages[2], {
    role: 'tool',
    tool_call_id: 's',
    content: 'These tools are available now: send_mail',
  });
});

test('S124 calls in the history have the names of the tools that the upstream gets', () => {
  const input = [
    { type: 'function_call', call_id: 'a', namespace: 'multi_agent', name: 'close', arguments: '{}' },
    { type: 'custom_tool_call', call_id: 'b', name: 'apply_patch', input: '*** Begin "Patch"\n' },
    { type: 'function_call_output', call_id: 'a', output: 'closed' },
    { type: 'custom_tool_call_output', call_id: 'b', output: [{ type: 'input_text', text: 'done' }] },
  ];
  const [calls, ...results] = messagesOf(input, { tools: [PATCH, AGENTS] });
  const sent = calls.tool_calls.map((call: { function: object }) => call.function);
  assert.deepEqual(sent, [
    { name: 'multi_agent__close', arguments: '{}' },
    { name: 'apply_patch', arguments: JSON.stringify({ input: '*** Begin "Patch"\n' }) },
  ]);
  assert.deepEqual(
    results.map(({ tool_call_id: id, content }: { tool_call_id: string; content: string }) => [id, content]),
    [
      ['a', 'closed'],
      ['b', 'done'],
    ],
  );
});

test('S124 results stand directly behind their calls: text between joins them, other messages follow', () => {
  const call = { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' };
  const result = { type: 'function_call_output', call_id: 'a', output: 'x' };
  const said = { role: 'assistant', content: 'Let me look.' };
  const asked = { role: 'user', content: 'Hurry' };
  const messages = messagesOf([call, said, asked, result, { role: 'user', content: 'Well?' }]);
  assert.deepEqual(
    messages.map(({ role, content }: { role: string; content: unknown }) => [role, content]),
    [
      ['assistant', 'Let me look.'],
      ['tool', 'x'],
      ['user', 'Hurry'],
      ['user', 'Well?'],
    ],
  );
  const unanswered = messagesOf([call, asked, { ...call, call_id: 'b' }]);
  assert.deepEqual(
    unanswered.map(({ role }: { role: string }) => role),
    ['assistant', 'user', 'assistant'],
  );
});

test('S124 messages of the system and of developers become one at the beginning, wherever they stand', () => {
  const part = (text: string) => [{ type: 'input_text', text }];
  const input = [
    { role: 'developer', content: part('One.') },
    { role: 'developer', content: part('Two.') },
    { role: 'user', content: 'Hi' },
    { role: 'system', content: 'Three.' },
  ];
  assert.deepEqual(messagesOf(input), [
    { role: 'system', content: 'One.\n\nTwo.\n\nThree.' },
    { role: 'user', content: 'Hi' },
  ]);
});

test('S124 items of OpenAI’s own tools are left out of the history and named', () => {
  const input = [
    { type: 'web_search_call', id: 'ws_1', status: 'completed' },
    { type: 'local_shell_call', call_id: 'l' },
    { type: 'local_shell_call_output', call_id: 'l', output: 'x' },
    { type: 'compaction', encrypted_content: 'abc' },
    { role: 'user', content: 'Hi' },
  ];
  assert.deepEqual(messagesOf(input), [{ role: 'user', content: 'Hi' }]);
  assert.deepEqual(translate({ input }).ignored, [
    'web_search_call',
    'local_shell_call',
    'local_shell_call_output',
    'compaction',
  ]);
});

test('S124 reasoning that came from here returns with its turn, another model’s does not', () => {
  const own = (text: string) => ({
    type: 'reasoning',
    summary: [{ type: 'summary_text', text }],
    encrypted_content: 'tokenferry.',
  });
  const call = { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' };
  const foreign = { ...own('Secret.'), encrypted_content: 'gAAAA' };
  const [turn] = messagesOf([foreign, own('Hm.'), call]);
  assert.equal(turn.reasoning_content, 'Hm.');
  assert.equal(turn.tool_calls.length, 1);
});

test('S124 what Codex says of its user stays here', () => {
  assert.deepEqual(Object.keys(chatOf({ input: 'x', client_metadata: { installation: 'i' } })), ['messages']);
});
