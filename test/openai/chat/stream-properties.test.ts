import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorEvent, FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { parseChatResponse } from '../../../src/openai/chat/chat-response.ts';
import { ChatStream } from '../../../src/openai/chat/chat-stream.ts';
import { checkCanonicalReply, checkCanonicalStream } from '../../helpers/canonical-checker.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { chunk, type Overrides, optionsFor, stream } from '../upstream-bytes.ts';

type Random = () => number;

function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

function chance(random: Random, probability: number): boolean {
  return random() < probability;
}

/** What a model answers: pieces of reasoning and text, then calls. */
interface Answer {
  readonly reasoning: readonly string[];
  readonly content: readonly string[];
  readonly calls: readonly { readonly name: string; readonly pieces: readonly string[] }[];
}

const WORDS = [
  'Hello',
  ' world',
  ' 你好',
  '🎉',
  ' "quoted"',
  '\n\n',
  ' {"a":1}',
  ' <think>',
  ' data: x',
  '\u0007',
  ' é',
];

function answerFrom(random: Random): Answer {
  const words = (most: number) =>
    Array.from({ length: Math.floor(random() * most) }, () => pick(random, WORDS));
  const content = words(6);
  const calls = Array.from({ length: chance(random, 0.4) ? 1 + Math.floor(random() * 3) : 0 }, (_, n) => {
    const args = JSON.stringify({ n, text: pick(random, WORDS), deep: { list: [1, 2] } });
    const cut = Math.floor(random() * args.length);
    return { name: `tool_${n}`, pieces: [args.slice(0, cut), args.slice(cut)] };
  });
  return {
    reasoning: chance(random, 0.3) ? words(4) : [],
    content: content.length + calls.length > 0 ? content : ['x'],
    calls,
  };
}

/** The objects of an answer as a stream of some habit; every habit keeps the meaning. */
function objectsOf(answer: Answer, random: Random): object[] {
  const reasoningName = pick(random, ['reasoning_content', 'reasoning']);
  const hasIndex = chance(random, 0.7);
  const hasIds = !hasIndex || chance(random, 0.7);
  const deltas: object[] = [{ role: 'assistant', content: '' }];
  for (const text of answer.reasoning) deltas.push({ [reasoningName]: text });
  for (const text of answer.content) deltas.push({ content: text });
  for (const [n, call] of answer.calls.entries()) {
    const place = hasIndex ? { index: n } : {};
    const id = hasIds ? { id: `id-${n}` } : {};
    const [first, ...rest] = call.pieces;
    deltas.push({
      tool_calls: [{ ...place, ...id, type: 'function', function: { name: call.name, arguments: first } }],
    });
    for (const piece of rest) deltas.push({ tool_calls: [{ ...place, function: { arguments: piece } }] });
  }
  const reason = pick(
    random,
    answer.calls.length > 0 ? ['stop', 'tool_calls', 'tool_use'] : ['stop', 'eos_token'],
  );
  return [...deltas.map((delta) => chunk(delta)), chunk({}, reason)].map((event) =>
    withHabits(event, random),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: the habits rewrite JSON of any shape.
type Json = any;

/** Harmless habits of servers, put on one chunk. */
function withHabits(event: Json, random: Random): Json {
  const choice = event.choices[0];
  if (chance(random, 0.2)) choice.delta.role = pick(random, ['assistant', null, '', 'model']);
  if (chance(random, 0.2)) choice.finish_reason ??= '';
  if (chance(random, 0.2) && choice.delta.content === undefined)
    choice.delta.content = pick(random, [null, '']);
  if (chance(random, 0.1)) choice.delta.tool_calls ??= pick(random, [null, []]);
  if (chance(random, 0.1)) event.usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 9 };
  if (chance(random, 0.1)) delete event.object;
  if (chance(random, 0.1)) event.id = pick(random, ['', null, 'other', 7]);
  if (chance(random, 0.1)) event.created = pick(random, ['1763000000', 1_763_000_000_000, null]);
  if (chance(random, 0.1)) choice.index = pick(random, [undefined, '0']);
  if (chance(random, 0.1)) event.extra = { n: [1] };
  if (chance(random, 0.05)) return { code: 0, msg: 'ok', data: event };
  return event;
}

/** The bytes of these objects in some framing; every framing keeps the meaning. */
function framed(objects: readonly object[], random: Random): string {
  const texts = objects.map((object) => JSON.stringify(object));
  const done = chance(random, 0.8) ? [pick(random, ['[DONE]', '"[DONE]"', 'DONE'])] : [];
  const form = pick(random, ['sse', 'sse', 'sse', 'ndjson', 'tight', 'pretty', 'double']);
  if (form === 'ndjson') return texts.join(pick(random, ['\n', '\r\n', '\n\n']));
  const line = pick(random, ['\n', '\r\n', '\r']);
  if (form === 'tight')
    return [...texts, ...done.slice(0, 0), '[DONE]'].map((text) => `data: ${text}${line}`).join('');
  const block = (text: string) => {
    const before = pick(random, [
      '',
      '',
      '',
      `event: message${line}`,
      `id: 1${line}`,
      `: hi${line}`,
      `: hi${line}${line}`,
    ]);
    return `${before}data:${pick(random, ['', ' '])}${text}${line}${line}`;
  };
  const written = objects.map((object, n) => {
    if (form === 'pretty') return JSON.stringify(object, null, 1).replaceAll('\n', `${line}data: `);
    return form === 'double' ? JSON.stringify(texts[n]) : (texts[n] as string);
  });
  const noise = chance(random, 0.3)
    ? block(pick(random, ['', '{}', 'null', ': ping', '{"type":"ping"}']))
    : '';
  return pick(random, ['', '\ufeff', '\n\n']) + noise + [...written, ...done].map(block).join('');
}

function pieces(bytes: Buffer, random: Random): Buffer[] {
  const list: Buffer[] = [];
  const most = pick(random, [1, 3, 20, 300, 100_000]);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(random() * most);
    list.push(bytes.subarray(at, end));
    at = end;
  }
  return list;
}

/** The output with generated ids replaced, so that two runs can be compared. */
function comparable(text: string): string {
  let next = 0;
  const names = new Map<string, string>();
  return text.replace(/call_[0-9a-f]{24}/g, (id) => {
    if (!names.has(id)) names.set(id, `call-${next++}`);
    return names.get(id) as string;
  });
}

test('S131 S132 1,000 responses in all shapes and framings keep their contents, in any pieces', () => {
  for (let seed = 1; seed <= 1000; seed++) {
    const random = randomFrom(seed);
    const answer = answerFrom(random);
    const body = Buffer.from(framed(objectsOf(answer, random), random));
    const includeUsage = chance(random, 0.5);
    const whole = stream(body, { includeUsage });
    const told = checkCanonicalStream(whole.text, { includeUsage });
    const choice = told.choices[0];
    const label = `seed ${seed}: ${body.toString().slice(0, 3000)}`;
    assert.equal(told.error, null, label);
    assert.equal(choice?.content, answer.content.join(''), label);
    assert.equal(choice?.reasoning, answer.reasoning.join(''), label);
    assert.deepEqual(
      choice?.calls.map((call) => [call.name, call.arguments]),
      answer.calls.map((call) => [call.name, call.pieces.join('')]),
      label,
    );
    const cut = stream(pieces(body, random), { includeUsage });
    assert.equal(comparable(cut.text), comparable(whole.text), label);
    assert.equal(stream(whole.text, { includeUsage }).text, whole.text, `S133 ${label}`);
    const reply = checkCanonicalReply(parseChatResponse(body, optionsFor()).body.toString());
    assert.equal(reply.choices[0].message.content ?? '', answer.content.join(''), label);
  }
});

/** Damage of any kind, which may change the meaning. */
function damaged(body: Buffer, random: Random): Buffer {
  let bytes = body;
  for (let times = 1 + Math.floor(random() * 4); times > 0; times--) {
    const at = Math.floor(random() * bytes.length);
    const end = Math.min(bytes.length, at + Math.floor(random() * 60));
    const [before, middle, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
    const junk = Buffer.from(
      pick(random, [
        '"',
        '{',
        '}',
        '[',
        ']',
        '\n',
        '\r',
        '\n\n',
        'data: ',
        ':',
        '\\',
        '\0',
        '\ufeff',
        'null',
        ',',
        '[DONE]',
      ]),
    );
    bytes = Buffer.concat(
      pick(random, [
        [before, after],
        [before, junk, middle, after],
        [before, middle, middle, after],
        [before],
        [after, before],
        [before, Buffer.of(Math.floor(random() * 256)), after],
      ]),
    );
  }
  return bytes;
}

test('S132 2,000 damaged streams: never a crash, broken JSON, an empty response or another result in other pieces', () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const random = randomFrom(seed * 7919);
    const body = damaged(Buffer.from(framed(objectsOf(answerFrom(random), random), random)), random);
    const label = `seed ${seed}: ${JSON.stringify(body.toString().slice(0, 2000))}`;
    const overrides = {
      includeUsage: chance(random, 0.5),
      endpoint: pick(random, ['chat', 'chat', 'completions'] as const),
      legacyFunctions: chance(random, 0.2),
      replyModel: pick(random, ['upstream', 'requested'] as const),
      choiceCount: pick(random, [undefined, 1, 2]),
      profile: {
        thinkTags: pick(random, ['keep', 'split'] as const),
        cumulative: pick(random, ['never', 'always'] as const),
      },
    };
    const whole = stream(body, overrides);
    assert.ok(whole.stream.isFinished !== (whole.failure !== null), label);
    assert.notEqual(whole.failure?.message, 'The upstream sent a response that cannot be parsed.', label);
    try {
      checkCanonicalStream(whole.text, { ...overrides, form: overrides.endpoint });
    } catch (error) {
      assert.fail(`${label}\n${whole.text}\n${error}`);
    }
    const cut = stream(pieces(body, random), overrides);
    assert.equal(comparable(cut.text), comparable(whole.text), label);
    const changesText = overrides.profile.thinkTags === 'split' || overrides.profile.cumulative === 'always';
    // A call whose name was lost is held to the end each time, and what came beside it moves.
    if (whole.failure === null && !changesText && !whole.text.includes('"name":""')) {
      assert.equal(stream(whole.text, overrides).text, whole.text, `S133 ${label}`);
    }
    assertReplyOrFailure(body, overrides, label);
  }
});

function assertReplyOrFailure(body: Buffer, overrides: Overrides, label: string): void {
  try {
    const { endpoint: form, legacyFunctions } = optionsFor(overrides);
    const reply = parseChatResponse(body, optionsFor(overrides)).body.toString();
    checkCanonicalReply(reply, { form, legacyFunctions });
  } catch (error) {
    assert.ok(error instanceof FerryError, `${label}\n${error}`);
  }
}

test('random bytes after every kind of beginning end in a failure or a canonical stream', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = randomFrom(seed * 31);
    const start = pick(random, [
      '',
      'data: ',
      '{"choices":[',
      '[',
      '<',
      '"',
      'event: x\n',
      '{"choices":[{"delta":{"content":',
    ]);
    const noise = Buffer.from(
      Array.from({ length: Math.floor(random() * 400) }, () => Math.floor(random() * 256)),
    );
    const chat = new ChatStream(optionsFor());
    let out = chat.push(Buffer.from(start)) + chat.push(noise) + chat.end();
    if (chat.failure !== null) out += errorEvent(chat.failure);
    checkCanonicalStream(out);
  }
});

test('JSON that is nested too deeply for the built-in parser is a failure and no crash', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  for (const body of [
    deep,
    `data: ${deep}\n\n`,
    `data: {"choices":[{"delta":{"content":"x"},"x":${deep}}]}\n\n`,
  ]) {
    const { failure } = stream(body);
    assert.ok(failure instanceof FerryError);
  }
});
