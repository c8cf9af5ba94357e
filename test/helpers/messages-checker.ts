import assert from 'node:assert/strict';

// biome-ignore lint/suspicious/noExplicitAny: the checker's whole purpose is to look at JSON of unknown shape.
type Json = Record<string, any>;

export interface ReadMessage {
  /** Every event in its order, pings and the error included. */
  readonly events: readonly Json[];
  /** The message as a client assembles it; null when nothing of it came. */
  readonly message: Json | null;
  readonly error: Json | null;
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly { id: string; name: string; input: unknown; json: string }[];
}

const STOP_REASONS = ['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'refusal'];
const MEMBERS = [
  'container',
  'content',
  'id',
  'model',
  'role',
  'stop_details',
  'stop_reason',
  'stop_sequence',
  'type',
  'usage',
];
/** The types of Anthropic's errors (API reference, "Errors", 2026) with their statuses. */
const ERROR_TYPES: Readonly<Record<string, readonly number[]>> = {
  invalid_request_error: [400, 405, 408, 415, 422, 426, 431, 501],
  authentication_error: [401],
  billing_error: [402],
  permission_error: [403],
  not_found_error: [404],
  request_too_large: [413],
  rate_limit_error: [429],
  api_error: [500, 502],
  overloaded_error: [503, 529],
  timeout_error: [504],
};

/**
 * Reads a stream of Anthropic's Messages API as the strictest client would: an event line that names the type of its data,
 * `message_start` first, blocks one after the other with indexes without gaps, only the deltas that belong to a block, one
 * `message_delta`, and `message_stop` or `error` as the last event.
 */
export function checkMessagesStream(text: string): ReadMessage {
  const events = eventsIn(text);
  const last = events.at(-1) as Json;
  const isBroken = last.type === 'error';
  assert.ok(isBroken || last.type === 'message_stop', `the last event: ${last.type}`);
  const error = isBroken ? checkErrorBody(last) : null;
  const told = events.slice(0, -1).filter(({ type }) => type !== 'ping');
  if (told.length === 0) {
    assert.ok(isBroken, 'only an error comes without a message');
    return { events, message: null, error, text: '', thinking: '', calls: [] };
  }
  const reader = new MessageReader(told[0] as Json);
  for (const event of told.slice(1)) reader.read(event);
  if (!isBroken) reader.finish();
  return { events, error, message: reader.message, ...reader.said() };
}

function eventsIn(text: string): Json[] {
  assert.ok(!text.includes('\r'), 'no carriage return');
  assert.ok(text.endsWith('\n\n'), 'the last event is complete');
  const blocks = text.split('\n\n').slice(0, -1);
  let hasBegun = false;
  return blocks.flatMap((block) => {
    if (block === ': keep-alive') {
      assert.ok(!hasBegun, 'a ping in place of a comment once the message has begun');
      return [];
    }
    const [, name, data] = /^event: (\w+)\ndata: ([^\n]+)$/.exec(block) ?? [];
    assert.ok(data !== undefined, `event and data lines: ${block.slice(0, 200)}`);
    const event = JSON.parse(data) as Json;
    assert.equal(event.type, name, 'the event line names the type');
    if (name === 'ping') assert.deepEqual(event, { type: 'ping' });
    hasBegun = true;
    return [event];
  });
}

/** Fails unless `body` is an error as Anthropic's API has it; `status` is that of the response. */
export function checkErrorBody(body: Json, status?: number): Json {
  assert.deepEqual(Object.keys(body).sort(), ['error', 'request_id', 'type']);
  assert.equal(body.type, 'error');
  assert.ok(typeof body.request_id === 'string' && body.request_id !== '');
  const { error } = body;
  const { details, ...rest } = error;
  assert.deepEqual(Object.keys(rest).sort(), ['message', 'type']);
  if (details !== undefined) assert.equal(typeof details.error_code, 'string');
  const statuses = ERROR_TYPES[error.type];
  assert.ok(statuses !== undefined, `a type of Anthropic's: ${error.type}`);
  if (status !== undefined) assert.ok(statuses.includes(status), `${error.type} with status ${status}`);
  assert.ok(typeof error.message === 'string' && error.message !== '');
  return error;
}

/** Fails unless `message` is a whole message as Anthropic's API sends it. */
export function checkMessage(message: Json): Json {
  checkHead(message);
  assert.ok(STOP_REASONS.includes(message.stop_reason), `stop_reason ${message.stop_reason}`);
  checkEnd(message);
  for (const block of message.content) checkBlock(block);
  const hasCalls = message.content.some(({ type }: Json) => type === 'tool_use');
  assert.ok(hasCalls || message.stop_reason !== 'tool_use', 'tool_use only with a call');
  return message;
}

function checkHead(message: Json): void {
  assert.deepEqual(Object.keys(message).sort(), MEMBERS);
  assert.match(message.id, /^msg_\w{16,}$/);
  assert.deepEqual([message.type, message.role], ['message', 'assistant']);
  assert.ok(typeof message.model === 'string' && message.model !== '');
  assert.ok(Array.isArray(message.content));
  checkUsage(message.usage);
}

function checkEnd({ stop_reason: reason, stop_sequence: sequence, stop_details: details }: Json): void {
  assert.equal(
    typeof sequence === 'string',
    reason === 'stop_sequence',
    'stop_sequence with its reason only',
  );
  assert.equal(details !== null, reason === 'refusal', 'details of a refusal only');
  if (details !== null) assert.equal(details.type, 'refusal');
}

function checkUsage(usage: Json): void {
  for (const name of [
    'input_tokens',
    'output_tokens',
    'cache_creation_input_tokens',
    'cache_read_input_tokens',
  ])
    assert.ok(Number.isSafeInteger(usage[name]) && usage[name] >= 0, name);
  assert.ok(!('prompt_tokens' in usage), 'not in the shape of a chat');
}

const BLOCK_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  text: ['citations', 'text', 'type'],
  thinking: ['signature', 'thinking', 'type'],
  tool_use: ['id', 'input', 'name', 'type'],
};

function checkBlock(block: Json): void {
  assert.deepEqual(Object.keys(block).sort(), BLOCK_MEMBERS[block.type], `a block of type ${block.type}`);
  if (block.type === 'text') assert.ok(typeof block.text === 'string' && block.text !== '', 'text');
  if (block.type === 'thinking') {
    assert.equal(typeof block.thinking, 'string');
    assert.ok(typeof block.signature === 'string' && block.signature !== '', 'a signature');
  }
  if (block.type === 'tool_use') {
    assert.match(block.id, /^[\w-]+$/);
    assert.ok(typeof block.name === 'string' && block.name !== '');
    assert.ok(typeof block.input === 'object' && block.input !== null && !Array.isArray(block.input));
  }
}

const DELTAS: Readonly<Record<string, readonly string[]>> = {
  text: ['text_delta'],
  thinking: ['thinking_delta', 'signature_delta'],
  tool_use: ['input_json_delta'],
};
const EMPTY: Readonly<Record<string, Json>> = {
  text: { text: '', citations: null },
  thinking: { thinking: '', signature: '' },
  tool_use: { input: {} },
};

/** Assembles the message as the SDKs do. */
class MessageReader {
  readonly message: Json;
  readonly #jsons = new Map<Json, string>();
  #open: Json | null = null;
  #isEnded = false;

  constructor(first: Json) {
    assert.equal(first.type, 'message_start', 'the first event');
    checkHead(first.message);
    assert.deepEqual(first.message.content, []);
    assert.deepEqual([first.message.stop_reason, first.message.stop_sequence], [null, null]);
    this.message = structuredClone(first.message);
  }

  read(event: Json): void {
    assert.ok(!this.#isEnded, `${event.type} behind message_delta`);
    switch (event.type) {
      case 'content_block_start':
        this.#start(event);
        return;
      case 'content_block_delta':
        this.#delta(event);
        return;
      case 'content_block_stop':
        assert.ok(this.#open !== null && event.index === this.message.content.length - 1, 'the open block');
        this.#stop();
        return;
      case 'message_delta':
        this.#end(event);
        return;
      default:
        assert.fail(`unexpected ${event.type}`);
    }
  }

  finish(): void {
    assert.ok(this.#isEnded, 'message_delta before message_stop');
    checkMessage(this.message);
  }

  said() {
    const { content } = this.message;
    const join = (type: string, member: string): string =>
      content
        .filter((block: Json) => block.type === type)
        .map((block: Json) => block[member])
        .join('');
    const calls = content
      .filter(({ type }: Json) => type === 'tool_use')
      .map((block: Json) => ({
        id: block.id,
        name: block.name,
        input: block.input,
        json: this.#jsons.get(block) ?? '',
      }));
    return { text: join('text', 'text'), thinking: join('thinking', 'thinking'), calls };
  }

  #start({ index, content_block: block }: Json): void {
    assert.equal(this.#open, null, 'one block after the other');
    assert.equal(index, this.message.content.length, 'indexes from 0 without gaps');
    const { type, id, name, ...rest } = block;
    assert.deepEqual(rest, EMPTY[type], `a ${type} block begins empty`);
    this.#open = structuredClone(block);
    this.message.content.push(this.#open);
  }

  #delta({ index, delta }: Json): void {
    const open = this.#open;
    assert.ok(open !== null && index === this.message.content.length - 1, 'a delta of the open block');
    assert.ok(DELTAS[open.type]?.includes(delta.type), `${delta.type} in a ${open.type} block`);
    if (open.type === 'thinking') assert.equal(open.signature, '', 'nothing behind the signature');
    const [member] = Object.keys(delta).filter((name) => name !== 'type');
    assert.ok(delta[member as string] !== '', 'no empty delta');
    if (delta.type === 'text_delta') open.text += delta.text;
    else if (delta.type === 'thinking_delta') open.thinking += delta.thinking;
    else if (delta.type === 'signature_delta') open.signature = delta.signature;
    else this.#jsons.set(open, (this.#jsons.get(open) ?? '') + delta.partial_json);
  }

  #stop(): void {
    const open = this.#open as Json;
    const json = this.#jsons.get(open);
    // What the limit has cut is no JSON; the message then says so.
    if (json !== undefined) open.input = parsed(json);
    this.#open = null;
  }

  #end({ delta, usage }: Json): void {
    assert.equal(this.#open, null, 'every block is closed');
    assert.deepEqual(Object.keys(delta).sort(), [
      'container',
      'stop_details',
      'stop_reason',
      'stop_sequence',
    ]);
    Object.assign(this.message, delta);
    checkUsage(usage);
    this.message.usage = usage;
    this.#isEnded = true;
  }
}

function parsed(json: string): unknown {
  try {
    const input = JSON.parse(json);
    return typeof input === 'object' && input !== null && !Array.isArray(input) ? input : {};
  } catch {
    return {};
  }
}
