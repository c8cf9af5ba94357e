import assert from 'node:assert/strict';

/** What a reader of a canonical stream has at its end. */
export interface ReadChoice {
  role: string;
  reasoning: string;
  content: string;
  refusal: string;
  readonly calls: { id: string; name: string; arguments: string }[];
  functionCall: { name: string; arguments: string } | null;
  finish: string | null;
}

export interface ReadStream {
  readonly choices: ReadChoice[];
  readonly chunks: readonly Json[];
  readonly usage: Json | null;
  readonly error: { message: string; type: string; param: string | null; code: string | null } | null;
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

// biome-ignore lint/suspicious/noExplicitAny: the checker's whole purpose is to look at JSON of unknown shape.
type Json = Record<string, any>;

export interface CheckRules {
  readonly form?: 'chat' | 'completions';
  readonly includeUsage?: boolean;
  readonly legacyFunctions?: boolean;
}

const KINDS = ['reasoning_content', 'content', 'tool_calls', 'refusal', 'function_call'];
const REASONS = ['stop', 'length', 'tool_calls', 'content_filter', 'function_call'];

/**
 * Reads a canonical stream as the strictest client would and fails at the first byte
 * that one of the measured clients would misread.
 */
export function checkCanonicalStream(text: string, rules: CheckRules = {}): ReadStream {
  assert.ok(!text.includes('\r'), 'S37 no carriage return');
  assert.ok(!text.startsWith('\ufeff'), 'S40 no byte order mark');
  assert.ok(text.endsWith('data: [DONE]\n\n'), `S58 [DONE] comes last: ${JSON.stringify(text.slice(-200))}`);
  const events = text
    .split('\n\n')
    .slice(0, -1)
    .map(dataOf)
    .filter((data) => data !== null);
  assert.equal(events.filter((data) => data === '[DONE]').length, 1, 'S58 [DONE] once');
  const chunks = events.slice(0, -1).map((data) => JSON.parse(data) as Json);
  const last = chunks.at(-1);
  const error = last !== undefined && 'error' in last ? errorOf(last) : null;
  const body = error === null ? chunks : chunks.slice(0, -1);
  return { ...checkChunks(body, rules, error !== null), chunks: body, error };
}

function dataOf(block: string): string | null {
  if (block === ': keep-alive') return null;
  assert.match(block, /^data: [^\n]+$/, `S37 S39 one data line: ${JSON.stringify(block.slice(0, 200))}`);
  assert.ok(Buffer.byteLength(block) <= 1024 * 1024, 'S61 a line is at most 1 MiB');
  return block.slice(6);
}

function errorOf(event: Json): ReadStream['error'] {
  assert.deepEqual(Object.keys(event), ['error'], 'S92 an error event has no choices');
  const { message, type, param, code } = event.error;
  assert.deepEqual(Object.keys(event.error).sort(), ['code', 'message', 'param', 'type'], 'S81 four fields');
  assert.ok(typeof message === 'string' && message !== '', 'S82 a message');
  assert.ok(typeof type === 'string' && (param === null || typeof param === 'string'));
  assert.ok(code === null || typeof code === 'string');
  return event.error;
}

function checkChunks(chunks: readonly Json[], rules: CheckRules, isBroken: boolean) {
  const choices: ReadChoice[] = [];
  let usage: Json | null = null;
  const first = chunks[0] ?? {};
  for (const [position, chunk] of chunks.entries()) {
    checkOuter(chunk, first, rules);
    if (chunk.choices.length === 0) {
      assert.equal(position, chunks.length - 1, 'S54 the usage chunk comes directly before [DONE]');
      assert.ok(rules.includeUsage, 'S55 no usage chunk unless asked');
      usage = usageOf(chunk);
    } else {
      assert.ok(chunk.usage == null, 'S55 no usage beside choices');
      for (const choice of chunk.choices) checkChoice(choice, choices, rules);
    }
  }
  if (!isBroken) {
    assert.ok(chunks.length > 0, 'a stream is never empty');
    if (rules.includeUsage) assert.ok(usage !== null, 'S54 a usage chunk when asked');
    for (const choice of choices) checkWhole(choice);
    assert.equal(choices.filter(Boolean).length, choices.length, 'S63 indexes without gaps');
  }
  return { choices, usage, id: first.id, created: first.created, model: first.model };
}

function checkOuter(chunk: Json, first: Json, rules: CheckRules): void {
  const object = rules.form === 'completions' ? 'text_completion' : 'chat.completion.chunk';
  assert.equal(chunk.object, object, 'S45 object');
  assert.ok(typeof chunk.id === 'string' && chunk.id !== '', 'S45 id');
  assert.ok(Number.isSafeInteger(chunk.created) && chunk.created > 0, 'S45 created');
  assert.ok(typeof chunk.model === 'string' && chunk.model !== '', 'S45 model');
  for (const name of ['id', 'created', 'model']) assert.equal(chunk[name], first[name], `S45 one ${name}`);
  assert.ok(Array.isArray(chunk.choices), 'S46 choices');
  assert.ok(!('error' in chunk) || chunk.error === null, 'S92 no error beside choices');
}

function usageOf(chunk: Json): Json {
  const { usage } = chunk;
  for (const name of ['prompt_tokens', 'completion_tokens', 'total_tokens']) {
    assert.ok(Number.isSafeInteger(usage[name]) && usage[name] >= 0, `S56 ${name} is an integer`);
  }
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens, 'S56 total');
  for (const name of ['prompt_tokens_details', 'completion_tokens_details']) {
    if (name in usage) assert.equal(typeof usage[name], 'object', `S56 ${name}`);
  }
  return usage;
}

function checkChoice(choice: Json, choices: ReadChoice[], rules: CheckRules): void {
  assert.ok(Number.isSafeInteger(choice.index) && choice.index >= 0, 'S47 index');
  assert.ok(choice.finish_reason === null || REASONS.includes(choice.finish_reason), 'S47 finish_reason');
  if (choice.logprobs != null) assert.equal(typeof choice.logprobs, 'object', 'S64 logprobs');
  const isFirst = choices[choice.index] === undefined;
  const read = choices[choice.index] ?? unread();
  choices[choice.index] = read;
  assert.equal(read.finish, null, 'S52 nothing after the finish');
  read.finish = choice.finish_reason;
  if (rules.form === 'completions') {
    assert.equal(typeof choice.text, 'string', 'text is a string');
    assert.ok((choice.text === '') === (choice.finish_reason !== null), 'an empty text only with the finish');
    read.content += choice.text;
  } else {
    checkDelta(choice, read, isFirst);
  }
}

function unread(): ReadChoice {
  return { role: '', reasoning: '', content: '', refusal: '', calls: [], functionCall: null, finish: null };
}

function checkDelta(choice: Json, read: ReadChoice, isFirst: boolean): void {
  const { delta } = choice;
  assert.ok(typeof delta === 'object' && delta !== null && !Array.isArray(delta), 'S47 delta');
  if (isFirst) {
    assert.equal(delta.role, 'assistant', 'S44 role first');
    assert.equal(delta.content, '', 'S44 role with empty content');
    assert.equal(choice.finish_reason, null);
    read.role = delta.role;
    return;
  }
  assert.ok(!('role' in delta), 'S44 role only once');
  for (const [name, value] of Object.entries(delta)) assert.notEqual(value, null, `S71 ${name} is not null`);
  if (choice.finish_reason !== null) {
    assert.deepEqual(delta, {}, 'S51 the finish has an empty delta');
    return;
  }
  const kinds = KINDS.filter((kind) => kind in delta);
  assert.ok(kinds.length <= 1, `S49 one kind: ${kinds.join()}`);
  assert.ok(Object.keys(delta).length > 0, 'S50 no empty delta');
  for (const kind of ['content', 'reasoning_content', 'refusal']) {
    if (kind in delta) assert.ok(typeof delta[kind] === 'string' && delta[kind] !== '', `S48 ${kind}`);
  }
  read.content += delta.content ?? '';
  read.reasoning += delta.reasoning_content ?? '';
  read.refusal += delta.refusal ?? '';
  if ('tool_calls' in delta) checkCall(delta.tool_calls, read);
  if ('function_call' in delta) checkFunction(delta.function_call, read);
}

function checkCall(calls: Json[], read: ReadChoice): void {
  assert.ok(Array.isArray(calls) && calls.length === 1, 'S74 one call a chunk');
  const call = calls[0] as Json;
  assert.equal(typeof call.function?.arguments, 'string', 'S70 arguments are text');
  if (call.index === read.calls.length) {
    for (const name of ['function', 'id', 'index', 'type'])
      assert.ok(name in call, `S70 first delta: ${name}`);
    assert.ok(typeof call.id === 'string' && call.id !== '', 'S70 id');
    assert.equal(call.type, 'function', 'S70 type');
    assert.equal(typeof call.function.name, 'string', 'S70 name');
    assert.ok(!read.calls.some(({ id }) => id === call.id), 'S72 ids are unique');
    read.calls.push({ id: call.id, name: call.function.name, arguments: call.function.arguments });
    return;
  }
  assert.equal(call.index, read.calls.length - 1, 'S69 S73 one call after the other');
  // Signatures come with any fragment, and must reach the client (rust-genai#298).
  const own = Object.keys(call).filter((name) => !isHistoryMember(name, call[name]));
  assert.deepEqual(own.sort(), ['function', 'index'], 'S71 later deltas');
  const ofFunction = Object.keys(call.function).filter((name) => !isHistoryMember(name, call.function[name]));
  assert.deepEqual(ofFunction, ['arguments'], 'S71 later deltas');
  (read.calls.at(-1) as { arguments: string }).arguments += call.function.arguments;
}

function checkFunction(call: Json, read: ReadChoice): void {
  assert.equal(typeof call.arguments, 'string');
  if (read.functionCall === null) assert.equal(typeof call.name, 'string');
  else assert.ok(!('name' in call), 'the name comes once');
  read.functionCall ??= { name: call.name, arguments: '' };
  read.functionCall.arguments += call.arguments;
}

function checkWhole(choice: ReadChoice): void {
  assert.ok(choice.finish !== null, 'S51 S53 a finish for each choice');
  const isCut = choice.finish === 'length' || choice.finish === 'content_filter';
  if (choice.calls.length > 0 && !isCut) assert.equal(choice.finish, 'tool_calls', 'S77 finish_reason');
  if (choice.finish === 'tool_calls')
    assert.ok(choice.calls.length > 0, 'tool_calls means that there are some');
}

/** Whether every call's arguments are JSON (S75); apart, since what a model wrote wrongly is relayed as it is. */
export function haveJsonArguments(stream: ReadStream): boolean {
  return stream.choices.every(({ calls }) =>
    calls.every((call) => {
      try {
        return JSON.parse(call.arguments) !== undefined;
      } catch {
        return false;
      }
    }),
  );
}

/** Members of vendors that a history must bring back. */
function isHistoryMember(name: string, value: unknown): boolean {
  return name !== 'function' && ((typeof value === 'object' && value !== null) || /signature$/i.test(name));
}

/** Fails unless a whole reply fulfils S27 to S35. */
export function checkCanonicalReply(text: string, rules: CheckRules = {}): Json {
  assert.ok(!text.includes('\n') && text.startsWith('{'), 'S35 one line, nothing before it');
  const reply = JSON.parse(text) as Json;
  assert.equal(reply.object, rules.form === 'completions' ? 'text_completion' : 'chat.completion', 'S27');
  assert.ok(typeof reply.id === 'string' && reply.id !== '', 'S28 id');
  assert.ok(Number.isSafeInteger(reply.created) && reply.created > 0, 'S28 created');
  assert.ok(typeof reply.model === 'string' && reply.model !== '', 'S28 model');
  assert.ok(Array.isArray(reply.choices) && reply.choices.length > 0, 'S28 choices');
  for (const [position, choice] of reply.choices.entries()) {
    assert.equal(choice.index, position, 'S28 index');
    assert.ok('logprobs' in choice, 'S28 logprobs');
    assert.ok(REASONS.includes(choice.finish_reason), 'S30 finish_reason');
    if (rules.form === 'completions') assert.equal(typeof choice.text, 'string', 'S27 text');
    else checkMessage(choice, rules);
  }
  usageOf(reply);
  return reply;
}

function checkMessage({ message, finish_reason: finish }: Json, rules: CheckRules): void {
  assert.equal(message.role, 'assistant', 'S29 role');
  assert.ok('refusal' in message, 'S29 refusal');
  const mayBeNull = 'tool_calls' in message || 'function_call' in message || message.refusal !== null;
  assert.ok(typeof message.content === 'string' || (message.content === null && mayBeNull), 'S29 content');
  if ('reasoning_content' in message) assert.equal(typeof message.reasoning_content, 'string', 'S33');
  if (rules.legacyFunctions) assert.ok(!('tool_calls' in message), 'S79 legacy form');
  if (!('tool_calls' in message)) return;
  assert.ok(message.tool_calls.length > 0, 'S31 absent when there are none');
  if (finish !== 'length' && finish !== 'content_filter') assert.equal(finish, 'tool_calls', 'S30');
  for (const call of message.tool_calls) {
    assert.ok(typeof call.id === 'string' && call.id !== '' && call.type === 'function', 'S31 id and type');
    assert.equal(typeof call.function.name, 'string', 'S31 name');
    assert.equal(typeof call.function.arguments, 'string', 'S31 arguments');
  }
}
