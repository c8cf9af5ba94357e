import assert from 'node:assert/strict';

// biome-ignore lint/suspicious/noExplicitAny: the checker's whole purpose is to look at JSON of unknown shape.
type Json = Record<string, any>;

export interface ReadResponse {
  /** Every event in its order, the error included. */
  readonly events: readonly Json[];
  /** The Response of the last event; null when the stream broke. */
  readonly response: Json | null;
  readonly error: Json | null;
  /** What the deltas said, joined. */
  readonly text: string;
  readonly reasoning: string;
  readonly refusal: string;
  readonly calls: readonly { id: string; name: string; arguments: string }[];
}

const ID_PREFIXES: Readonly<Record<string, RegExp>> = {
  message: /^msg_\w{16,}$/,
  reasoning: /^rs_\w{16,}$/,
  function_call: /^fc_\w{16,}$/,
  custom_tool_call: /^ctc_\w{16,}$/,
  tool_search_call: /^tsc_\w{16,}$/,
};
const LAST = ['response.completed', 'response.incomplete', 'error'];

/**
 * Reads a stream of the Responses API as the strictest client would (S125, S126): sequence numbers without
 * gaps, each item and part opened, told and closed under the same ids, and a last event that repeats all of it.
 */
export function checkResponsesStream(text: string): ReadResponse {
  const events = eventsIn(text);
  for (const [position, { sequence_number: number }] of events.entries())
    assert.equal(number, position, 'S125 sequence_number from 0 without gaps');
  const last = events.at(-1) as Json;
  assert.ok(LAST.includes(last.type), `S125 the last event: ${last.type}`);
  assert.equal(events.filter(({ type }) => LAST.includes(type)).length, 1, 'S125 one last event');
  const isBroken = last.type === 'error';
  const error = isBroken ? checkError(last) : null;
  // Codex reads the one before it, openai for Python the last one.
  if (isBroken)
    checkFailed(events.at(-2) as Json, events.length > 2 ? events[0]?.response : null, last.message);
  const said = isBroken ? events.slice(0, -2) : events;
  if (said.length > 0) checkBeginning(said);
  const items = new Items();
  for (const event of said.slice(2, isBroken ? undefined : -1)) items.read(event);
  const response = isBroken ? null : checkEnd(last, said[0]?.response, items.finished());
  return { events, response, error, ...items.said };
}

function eventsIn(text: string): Json[] {
  assert.ok(!text.includes('\r'), 'no carriage return');
  assert.ok(text.endsWith('\n\n'), 'the last event is complete');
  assert.ok(!/^data: \[DONE\]/m.test(text), 'the Responses API has no [DONE]');
  const blocks = text.split('\n\n').slice(0, -1);
  return blocks
    .filter((block) => block !== ': keep-alive')
    .map((block) => {
      const [, name, data] = /^event: ([\w.]+)\ndata: ([^\n]+)$/.exec(block) ?? [];
      assert.ok(data !== undefined, `S125 event and data lines: ${block.slice(0, 200)}`);
      const event = JSON.parse(data) as Json;
      assert.equal(event.type, name, 'S125 the event line names the type');
      return event;
    });
}

function checkError(event: Json): Json {
  const { error, code, message, param } = event;
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type'], 'S126 nested error');
  assert.deepEqual(
    { code, message, param },
    { code: error.code, message: error.message, param: error.param },
  );
  assert.ok(typeof message === 'string' && message !== '', 'S126 a message');
  return error;
}

function checkFailed({ type, response }: Json, first: Json | null, message: string): void {
  assert.equal(type, 'response.failed', 'S126 the event before the last');
  assert.equal(response.object, 'response');
  assert.equal(response.status, 'failed');
  assert.ok(['server_error', 'rate_limit_exceeded'].includes(response.error.code));
  assert.equal(response.error.message, message);
  assert.ok(Array.isArray(response.output));
  for (const name of ['id', 'created_at', 'model', 'tools', 'instructions', 'metadata'])
    if (first !== null) assert.deepEqual(response[name], first[name], `S126 the same ${name}`);
}

function checkBeginning(events: readonly Json[]): void {
  assert.equal(events[0]?.type, 'response.created');
  assert.equal(events[1]?.type, 'response.in_progress');
  for (const { response } of events.slice(0, 2)) {
    checkResponseObject(response, 'in_progress');
    assert.equal(response.id, events[0]?.response.id, 'S125 the same id');
    assert.deepEqual(response.output, []);
    assert.equal(response.usage, null);
  }
}

function checkEnd(last: Json, first: Json, output: readonly Json[]): Json {
  const { response } = last;
  assert.equal(last.type, `response.${response.status}`);
  checkResponseObject(response, response.status);
  for (const name of ['id', 'created_at', 'model', 'tools', 'instructions', 'metadata'])
    assert.deepEqual(response[name], first[name], `S125 the same ${name}`);
  assert.deepEqual(response.output, output, 'S125 response.completed.response.output is complete');
  return response;
}

/** Fails unless `response` is a Response as OpenAI's specification requires it (S124). */
export function checkResponseObject(response: Json, status?: string): void {
  assert.match(response.id, /^resp_\w{16,}$/);
  assert.equal(response.object, 'response');
  assert.ok(Number.isSafeInteger(response.created_at) && response.created_at > 1e9, 'created_at in seconds');
  if (status !== undefined) assert.equal(response.status, status);
  assert.ok(typeof response.model === 'string' && response.model !== '');
  const { status: own, incomplete_details: details } = response;
  assert.equal(details === null, own !== 'incomplete');
  if (details !== null) assert.ok(['max_output_tokens', 'content_filter'].includes(details.reason));
  for (const name of ['error', 'instructions', 'temperature', 'top_p', 'previous_response_id'])
    assert.ok(name in response, `required: ${name}`);
  assert.equal(response.error, null);
  assert.equal(response.store, false);
  assert.ok(Array.isArray(response.tools) && Array.isArray(response.output));
  assert.equal(typeof response.parallel_tool_calls, 'boolean');
  for (const item of response.output) checkItem(item);
  if (own !== 'in_progress') checkUsage(response.usage);
}

function checkUsage(usage: Json): void {
  const { input_tokens: input, output_tokens: output, total_tokens: total } = usage;
  for (const count of [input, output, total]) assert.ok(Number.isSafeInteger(count) && count >= 0);
  assert.equal(total, input + output);
  assert.ok(Number.isSafeInteger(usage.input_tokens_details.cached_tokens));
  assert.ok(Number.isSafeInteger(usage.output_tokens_details.reasoning_tokens));
  assert.ok(!('prompt_tokens' in usage), 'not in the shape of a chat');
}

function checkItem(item: Json): void {
  assert.match(item.id, ID_PREFIXES[item.type] ?? /^$/, `an id for a ${item.type}`);
  if (item.type === 'reasoning') {
    for (const part of item.summary) assert.equal(part.type, 'summary_text');
    return;
  }
  assert.ok(['in_progress', 'completed', 'incomplete'].includes(item.status));
  if (item.type === 'message') {
    assert.equal(item.role, 'assistant');
    for (const part of item.content) {
      if (part.type === 'refusal') assert.deepEqual(Object.keys(part), ['type', 'refusal']);
      else assert.deepEqual(Object.keys(part), ['type', 'text', 'annotations', 'logprobs']);
    }
    return;
  }
  assert.equal(typeof item.call_id, 'string');
  if (item.type === 'tool_search_call') return;
  const input = item.type === 'custom_tool_call' ? 'input' : 'arguments';
  for (const name of ['name', input]) assert.equal(typeof item[name], 'string', name);
}

/** An item between its `added` and its `done`, with what the deltas have made of it so far. */
interface OpenItem {
  readonly item: Json;
  /** A part was added and is not done. */
  isPartOpen: boolean;
  /** The part's text, or the call's arguments, were told whole. */
  isTextDone: boolean;
}

/** Follows the items by their output index, and their parts by their own. */
class Items {
  readonly said = {
    text: '',
    reasoning: '',
    refusal: '',
    calls: [] as { id: string; name: string; arguments: string }[],
  };
  readonly #open = new Map<number, OpenItem>();
  readonly #done: Json[] = [];
  #added = 0;

  read(event: Json): void {
    const { type, output_index: index } = event;
    if (type === 'response.output_item.added') {
      this.#add(event);
      return;
    }
    const open = this.#open.get(index);
    assert.ok(open !== undefined, `${type} for an item that is not open`);
    if (type === 'response.output_item.done') this.#close(open, event);
    else this.#readWithin(open, event);
  }

  /** Every item is closed by now; they stand at their indexes. */
  finished(): readonly Json[] {
    assert.equal(this.#open.size, 0, 'S125 every item is done');
    assert.equal(this.#done.length, this.#added);
    return this.#done;
  }

  #add({ output_index: index, item }: Json): void {
    assert.equal(index, this.#added, 'output_index from 0 without gaps');
    this.#added += 1;
    checkItem(item);
    const parts = item.type === 'reasoning' ? item.summary : item.content;
    assert.deepEqual(parts ?? [], [], 'an item begins empty');
    if (item.type === 'function_call') assert.equal(item.arguments, '');
    if (item.type === 'custom_tool_call') assert.equal(item.input, '');
    if (item.type !== 'reasoning') assert.equal(item.status, 'in_progress');
    this.#open.set(index, { item: structuredClone(item), isPartOpen: false, isTextDone: false });
  }

  #close(open: OpenItem, { output_index: index, item }: Json): void {
    this.#open.delete(index);
    assert.ok(!open.isPartOpen, 'every part is done');
    assert.equal('status' in item, item.type !== 'reasoning');
    if ('status' in item) assert.ok(['completed', 'incomplete'].includes(item.status));
    // Its arguments have no deltas.
    const told = item.type === 'tool_search_call' ? { ...open.item, arguments: item.arguments } : open.item;
    assert.deepEqual({ ...item, status: '' }, { ...told, status: '' }, 'S125 done repeats the deltas');
    if (item.type === 'function_call') {
      assert.ok(open.isTextDone, 'the arguments are told whole');
      this.said.calls.push({ id: item.call_id, name: item.name, arguments: item.arguments });
    }
    this.#done[index] = item;
  }

  #readWithin(open: OpenItem, event: Json): void {
    assert.equal(event.item_id, open.item.id, 'S125 the same id in added, delta and done');
    if (open.item.type === 'function_call') this.#readCall(open, event);
    else if (open.item.type === 'custom_tool_call') readInput(open, event);
    else this.#readPart(open, event);
  }

  #readCall(open: OpenItem, event: Json): void {
    const { item } = open;
    assert.ok(!open.isTextDone, 'nothing after the arguments are done');
    if (event.type === 'response.function_call_arguments.delta') {
      assert.ok(event.delta !== '', 'no empty delta');
      item.arguments += event.delta;
      return;
    }
    assert.equal(event.type, 'response.function_call_arguments.done');
    assert.deepEqual([event.name, event.arguments], [item.name, item.arguments]);
    open.isTextDone = true;
  }

  #readPart(open: OpenItem, event: Json): void {
    const isReasoning = open.item.type === 'reasoning';
    const parts = isReasoning ? open.item.summary : open.item.content;
    const index = isReasoning ? event.summary_index : event.content_index;
    const added = isReasoning ? 'response.reasoning_summary_part.added' : 'response.content_part.added';
    if (event.type === added) {
      assert.equal(index, parts.length, 'parts from 0 without gaps');
      assert.ok(!open.isPartOpen, 'one part after the other');
      assert.equal(event.part.text ?? event.part.refusal, '');
      parts.push(structuredClone(event.part));
      open.isPartOpen = true;
      open.isTextDone = false;
      return;
    }
    assert.ok(open.isPartOpen && index === parts.length - 1, 'the part that is open');
    this.#readText(open, parts[index], event);
  }

  #readText(open: OpenItem, part: Json, event: Json): void {
    const member = part.type === 'refusal' ? 'refusal' : 'text';
    const said = part.type === 'refusal' ? 'refusal' : part.type === 'summary_text' ? 'reasoning' : 'text';
    switch (event.type) {
      case 'response.output_text.delta':
      case 'response.refusal.delta':
      case 'response.reasoning_summary_text.delta':
        assert.ok(event.delta !== '' && !open.isTextDone, 'no empty delta, and none behind the whole');
        part[member] += event.delta;
        this.said[said] += event.delta;
        return;
      case 'response.output_text.done':
      case 'response.refusal.done':
      case 'response.reasoning_summary_text.done':
        assert.equal(event[member], part[member], 'S125 the deltas joined are the whole');
        assert.ok(!open.isTextDone, 'told whole once');
        open.isTextDone = true;
        return;
      case 'response.content_part.done':
      case 'response.reasoning_summary_part.done':
        assert.deepEqual(event.part, part);
        assert.ok(open.isTextDone, 'the text is told whole before its part is done');
        open.isPartOpen = false;
        return;
      default:
        assert.fail(`unexpected ${event.type}`);
    }
  }
}

/** The free text of a custom tool's call. */
function readInput(open: OpenItem, event: Json): void {
  const { item } = open;
  assert.ok(!open.isTextDone, 'nothing after the input is done');
  if (event.type === 'response.custom_tool_call_input.delta') {
    assert.ok(event.delta !== '', 'no empty delta');
    item.input += event.delta;
    return;
  }
  assert.equal(event.type, 'response.custom_tool_call_input.done');
  assert.equal(event.input, item.input, 'done repeats the deltas');
  open.isTextDone = true;
}
