import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatStream } from '../../../src/openai/chat/chat-stream.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import {
  chunk,
  DONE,
  optionsFor,
  PLAIN,
  ROLE,
  read,
  STOP,
  sse,
  stream,
  text,
  USAGE,
} from '../upstream-bytes.ts';

function assertPlain(body: string | Uint8Array, note?: string): void {
  assert.equal(stream(body).text, PLAIN, note);
}

test('S37 a canonical stream is relayed byte for byte', () => {
  assertPlain(PLAIN);
});

test('S37 numbers that JSON.parse would change survive, because an event is sent as its own text', () => {
  const odd = PLAIN.replaceAll('"logprobs":null', '"logprobs":null,"seed":12345678901234567890,"weight":1.0');
  assert.equal(stream(odd).text, odd);
});

test('Q1 data: without the space is sent with it', () => {
  assertPlain(PLAIN.replaceAll('data: ', 'data:'));
});

test('Q2 CRLF line ends become LF', () => {
  assertPlain(PLAIN.replaceAll('\n', '\r\n'));
});

test('Q3 CR line ends become LF', () => {
  assertPlain(PLAIN.replaceAll('\n', '\r'));
});

test('Q4 mixed line ends, with the two halves of a CRLF in different pieces, make no phantom event', () => {
  const mixed = PLAIN.replace('\n\n', '\r\n\r\n').replace('\n\n', '\r\r');
  for (let cut = 1; cut < mixed.length; cut++) {
    const pieces = [Buffer.from(mixed.slice(0, cut)), Buffer.from(mixed.slice(cut))];
    assert.equal(stream(pieces).text, PLAIN, `cut at ${cut}`);
  }
});

test('Q5 S40 a byte order mark is dropped and the first event kept', () => {
  assertPlain(`\ufeff${PLAIN}`);
  assert.equal(stream([...Buffer.from(`\ufeff${PLAIN}`)].map((byte) => Buffer.of(byte))).text, PLAIN);
});

test('Q7 comments are not passed on, whether their own block or glued to an event', () => {
  assertPlain(`: OPENROUTER PROCESSING\n\n${PLAIN}`);
  assertPlain(PLAIN.replace('data: ', ': glued\ndata: ').replace('\n\n', '\n: glued\n\n'));
});

test('Q8 a comment that a proxy wrapped into data: is dropped', () => {
  assertPlain(`data: : keepalive\n\n${PLAIN}`);
});

test('Q8 such a proxy does the same to every line', () => {
  const wrapped = PLAIN.replaceAll('data: ', 'data: event: message\n\ndata: id: 1\n\ndata: data: ');
  assertPlain(wrapped);
});

test('Q9 events with empty data are dropped', () => {
  assertPlain(`data:\n\ndata: \n\ndata\n\n${PLAIN}`);
});

test('Q10 ping events with and without data are dropped', () => {
  assertPlain(`event: ping\ndata: {"type":"ping"}\n\nevent: ping\n\n${PLAIN}`);
});

test('Q11 S38 event: lines are dropped', () => {
  assertPlain(PLAIN.replaceAll('data: ', 'event: message\ndata: '));
  assertPlain(PLAIN.replaceAll('data: ', 'event:data\ndata:'));
});

test('Q12 S38 id: and retry: lines are dropped', () => {
  assertPlain(`retry: 3000\n\n${PLAIN.replaceAll('data: ', 'id: 17\ndata: ')}`);
});

test('Q13 S39 JSON over several data: lines becomes one line', () => {
  const pretty = (object: unknown) =>
    `data: ${JSON.stringify(object, null, 2).replaceAll('\n', '\ndata: ')}\n\n`;
  const body = `${pretty(ROLE)}${pretty(text('Hello'))}${pretty(text(' world'))}${pretty(STOP)}data: [DONE]\n\n`;
  assertPlain(body);
  assertPlain(body.replaceAll('}\n\n', '}\n'), 'and without blank lines between the events');
});

test('Q13 JSON of which only the first line has its data: is read', () => {
  const partly = `data: ${JSON.stringify(text('Hello'), null, 1)}\n\n`;
  const body = `${sse(ROLE)}${partly}${sse(text(' world'), STOP, DONE)}`;
  assertPlain(body);
});

test('Q15 two JSON objects on successive data: lines of one event are two events', () => {
  const [a, b] = [JSON.stringify(text('Hello')), JSON.stringify(text(' world'))];
  assertPlain(`${sse(ROLE)}data: ${a}\ndata: ${b}\n\n${sse(STOP, DONE)}`);
  assertPlain(`${sse(ROLE)}data: ${a}${b}\n\n${sse(STOP, DONE)}`, 'also on one line');
});

test('Q17 no blank line between events: each data: line with complete JSON is one event', () => {
  assertPlain(PLAIN.replaceAll('\n\n', '\n'));
});

test('Q17 without blank lines each event is still written as soon as its line is complete', () => {
  const chat = new ChatStream(optionsFor());
  assert.equal(chat.push(Buffer.from(`data: ${JSON.stringify(ROLE)}\n`)), sse(ROLE));
  assert.equal(chat.push(Buffer.from(`data: ${JSON.stringify(text('Hello'))}\n`)), sse(text('Hello')));
});

test('Q18 S131 one event in many pieces, and many events in one, give the same', () => {
  const bytes = Buffer.from(PLAIN);
  assert.equal(stream([...bytes].map((byte) => Buffer.of(byte))).text, PLAIN);
  assert.equal(stream(bytes).text, PLAIN);
});

test('Q19 S62 characters of several bytes survive every split', () => {
  const body = sse(ROLE, text('你好，世界'), text('👩‍👩‍👧‍👦 🎉'), STOP, DONE);
  const bytes = Buffer.from(body);
  assert.equal(stream([...bytes].map((byte) => Buffer.of(byte))).text, body);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    assert.equal(stream([bytes.subarray(0, cut), bytes.subarray(cut)]).text, body);
  }
});

test('Q20 U+FFFD from the upstream passes as it is', () => {
  const body = sse(ROLE, text('\ufffd'), text('你'), STOP, DONE);
  assert.equal(stream(body).text, body);
});

test('Q20 bytes that are no UTF-8 never break the JSON', () => {
  const broken = Buffer.concat([
    Buffer.from(sse(ROLE)),
    Buffer.from(sse(text('a#b'))),
    Buffer.from(sse(STOP, DONE)),
  ]);
  broken[broken.indexOf('#')] = 0xc3;
  assert.equal(read(broken).choices[0]?.content, 'a\ufffdb');
});

test('Q22 the last event counts with one line end or none after it', () => {
  assertPlain(PLAIN.slice(0, -1));
  assertPlain(PLAIN.slice(0, -2));
  const noDone = PLAIN.replace('data: [DONE]\n\n', '');
  assertPlain(noDone.slice(0, -1));
  assertPlain(noDone.slice(0, -2));
});

test('Q23 no [DONE] and a clean end after the finish: it is added', () => {
  assertPlain(PLAIN.replace('data: [DONE]\n\n', ''));
});

test('Q24 S58 a second [DONE] and everything after the first is ignored', () => {
  assertPlain(`${PLAIN}data: [DONE]\n\n${sse(text('late'))}`);
});

test('Q25 every spelling of the end marker ends the stream', () => {
  for (const mark of [
    'data: [DONE] ',
    'data:[DONE]',
    'data: "[DONE]"',
    '[DONE]',
    'data: DONE',
    'data: [ DONE ]',
  ]) {
    const { stream: chat, text: out } = stream([Buffer.from(PLAIN.replace('data: [DONE]', mark))]);
    assert.equal(out, PLAIN, mark);
    assert.ok(chat.isFinished, mark);
  }
});

test('Q26 at [DONE] the stream is finished though the upstream holds its socket open', () => {
  const { stream: chat } = stream([Buffer.from(PLAIN)]);
  assert.ok(chat.isFinished);
  assert.equal(chat.push(Buffer.from(PLAIN)), '');
  assert.equal(chat.end(), '');
});

test('Q26 an end marker without a line end ends the stream at once', () => {
  for (const mark of ['data: [DONE]', 'data:[DONE]']) {
    for (const size of [1, 7, 10_000]) {
      const chat = new ChatStream(optionsFor());
      const bytes = Buffer.from(PLAIN.replace('data: [DONE]\n\n', mark));
      let out = '';
      for (let at = 0; at < bytes.length; at += size) out += chat.push(bytes.subarray(at, at + size));
      assert.equal(out, PLAIN);
      assert.ok(chat.isFinished);
    }
  }
});

test('Q27 S94 an end without finish after text is a failure, never a silent stop', () => {
  const { failure, text: out, error, choices } = read(sse(ROLE, text('Hel')));
  assert.equal(failure?.kind, 'disconnected');
  assert.equal(error?.code, 'upstream_disconnected');
  assert.equal(choices[0]?.content, 'Hel');
  assert.ok(out.startsWith(sse(ROLE, text('Hel'))));
});

test('Q28 an end in the middle of the JSON is a failure after the text that came before', () => {
  const { failure, choices } = read(sse(ROLE, text('Hello')) + sse(text(' world')).slice(0, -30));
  assert.equal(failure?.kind, 'disconnected');
  assert.equal(choices[0]?.content, 'Hello');
});

test('Q28 an event that is cut after the finish does not matter', () => {
  assertPlain(`${PLAIN.replace('data: [DONE]\n\n', '')}data: {"id":"chatcm`);
});

test('Q29 Q40 an empty body is an invalid response with that message', () => {
  for (const body of ['', '\n\n', '   ', '\ufeff']) {
    const { failure, stream: chat } = stream(body);
    assert.equal(failure?.kind, 'invalid_response', JSON.stringify(body));
    assert.match(failure?.message ?? '', /empty/);
    assert.equal(chat.hasContent, false);
  }
});

test('Q29 an end after nothing but comments or heartbeats is a failure', () => {
  assert.equal(stream(': hello\n\n').failure?.kind, 'disconnected');
  assert.equal(stream(sse('{}', '{}')).failure?.kind, 'invalid_response');
  assert.equal(stream(sse(ROLE)).failure?.kind, 'disconnected');
  assert.equal(stream('data: {"id":"chatcmpl-1","obj').failure?.kind, 'disconnected');
});

test('JSON that is not a completion is reported as such, not as an empty body', () => {
  for (const body of [
    '{"choices":[]}',
    '{"status":"ok"}',
    sse('{"choices":[]}'),
    sse({ choices: [] }, DONE),
  ]) {
    const { failure } = stream(body);
    assert.equal(failure?.kind, 'invalid_response');
    assert.match(failure?.message ?? '', /not a completion/, body);
  }
});

test('[DONE] alone is not a response', () => {
  assert.equal(stream(sse(DONE)).failure?.kind, 'invalid_response');
  assert.equal(stream(sse(ROLE, DONE)).failure?.kind, 'invalid_response');
});

test('Q32 the body is judged by its first character, never by its content-type', () => {
  for (const contentType of ['application/json', 'text/plain', 'application/octet-stream', null]) {
    assert.equal(stream(PLAIN, { contentType }).text, PLAIN);
  }
});

test('Q33 NDJSON becomes events', () => {
  const ndjson = [ROLE, text('Hello'), text(' world'), STOP]
    .map((object) => JSON.stringify(object))
    .join('\n');
  assertPlain(ndjson);
  assertPlain(`${ndjson}\n[DONE]\n`);
  assertPlain(ndjson.replaceAll('\n', ''), 'and without line ends');
});

test('Q34 S67 one JSON completion for a stream becomes a whole canonical stream', () => {
  const completion = {
    id: 'c1',
    object: 'chat.completion',
    created: 1_763_000_000,
    model: 'up-model',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  };
  for (const body of [JSON.stringify(completion), JSON.stringify(completion, null, 2)]) {
    const { choices, usage } = read(body, { includeUsage: true });
    assert.deepEqual([choices[0]?.content, choices[0]?.finish, usage?.total_tokens], ['Hello', 'stop', 2]);
  }
});

test('Q34 a JSON completion without a finish reason is whole, but not when it is cut', () => {
  const body = '{"choices":[{"message":{"role":"assistant","content":"Hello"}}]}';
  assert.equal(read(body).choices[0]?.finish, 'stop');
  assert.equal(stream(body.slice(0, -3)).failure?.kind, 'disconnected');
});

test('Q37 whitespace before the body is ignored', () => {
  assertPlain(`\n\n  \n${PLAIN}`);
  assertPlain(`   \n${[ROLE, text('Hello'), text(' world'), STOP].map((o) => JSON.stringify(o)).join('\n')}`);
});

test('Q38 S97 an HTML page is an invalid response with an excerpt of its text', () => {
  const { failure } = stream(
    '<!DOCTYPE html><html><head><title>Sign in</title></head><body>SSO</body></html>',
  );
  assert.equal(failure?.kind, 'invalid_response');
  assert.match(failure?.message ?? '', /HTML/);
  assert.ok(!failure?.message.includes('<html'));
});

test('Q38 a long HTML page fails before its end', () => {
  const chat = new ChatStream(optionsFor());
  assert.equal(chat.push(Buffer.from(`<html>${'x'.repeat(5000)}`)), '');
  assert.equal(chat.failure?.kind, 'invalid_response');
});

test('S97 plain text is an invalid response with an excerpt', () => {
  const { failure } = stream('upstream connect error or disconnect/reset before headers');
  assert.equal(failure?.kind, 'invalid_response');
  assert.match(failure?.message ?? '', /upstream connect error/);
});

test('Q42 an envelope is opened, for a whole body and for each event', () => {
  const wrap = (object: unknown) => ({ code: 0, msg: 'ok', data: object });
  const inEvents = read(sse(wrap(ROLE), wrap(text('Hello')), wrap(text(' world')), wrap(STOP), DONE));
  assert.equal(inEvents.choices[0]?.content, 'Hello world');
  assert.equal(inEvents.id, 'chatcmpl-1');
  const whole = { choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] };
  assert.equal(read(JSON.stringify(wrap(whole))).choices[0]?.content, 'Hi');
  assert.equal(read(JSON.stringify(wrap(JSON.stringify(whole)))).choices[0]?.content, 'Hi');
  assert.equal(read(JSON.stringify({ success: true, result: whole })).choices[0]?.content, 'Hi');
  const beside = read(JSON.stringify({ ...wrap(whole), usage: USAGE }), { includeUsage: true });
  assert.equal(beside.usage?.total_tokens, USAGE.total_tokens);
});

test('Q42 an envelope with a code other than 0 is an error', () => {
  const { failure } = stream(JSON.stringify({ code: 1301, msg: 'too many requests', data: null }));
  assert.ok(failure !== null);
  assert.match(failure.message, /too many requests/);
});

test('Q44 heartbeats as JSON are dropped', () => {
  assertPlain(sse('{}', 'null', '{"heartbeat":1}', '[]', '0', 'true') + PLAIN);
});

test('Q45 NaN and Infinity become null', () => {
  const event = JSON.stringify(chunk({ content: 'NaN is a word' }, null, { score: 1 })).replace(
    ':1}',
    ':NaN}',
  );
  const { choices, text: out } = read(sse(ROLE) + sse(event) + sse(STOP, DONE));
  assert.equal(choices[0]?.content, 'NaN is a word');
  assert.ok(!/:\s*NaN/.test(out));
});

test('Q45 an event that is no JSON is skipped and counted as a repair', () => {
  const repairs: string[] = [];
  const body = sse(ROLE, text('Hello'), "{'single': 'quotes'}", '{"a":}', text(' world'), STOP, DONE);
  const { text: out } = stream(body, { onRepair: (repair) => repairs.push(repair) });
  assert.equal(out, PLAIN);
  assert.deepEqual(repairs, ['invalid_event_skipped'], 'once, not for each event');
});

test('Q45 nothing but invalid JSON is an invalid response', () => {
  const { failure } = stream(sse("{'choices': []}", "{'a': 1}", DONE));
  assert.equal(failure?.kind, 'invalid_response');
  assert.match(failure?.message ?? '', /choices/);
});

test('double-encoded JSON is opened once', () => {
  const twice = (object: unknown) => JSON.stringify(JSON.stringify(object));
  assertPlain(sse(twice(ROLE), twice(text('Hello')), twice(text(' world')), twice(STOP), DONE));
});

test('Q46 the charset of the header decodes the body', () => {
  // 你好 in GBK.
  const [before, after] = sse(ROLE, text('#'), STOP, DONE).split('#') as [string, string];
  const body = Buffer.concat([
    Buffer.from(before),
    Buffer.from([0xc4, 0xe3, 0xba, 0xc3]),
    Buffer.from(after),
  ]);
  const { text: out } = stream(
    [...body].map((byte) => Buffer.of(byte)),
    {
      contentType: 'text/event-stream; charset=GBK',
    },
  );
  assert.equal(out, sse(ROLE, text('你好'), STOP, DONE));
  assert.equal(stream(PLAIN, { contentType: 'text/event-stream; charset=nobody-knows' }).text, PLAIN);
});

test('Q47 S61 an event of 5 MB is read, and its text written in lines of at most 1 MiB', () => {
  const long = 'é'.repeat(2_500_000);
  const bytes = Buffer.from(sse(ROLE, text(long), STOP, DONE));
  const pieces = Array.from({ length: Math.ceil(bytes.length / 16_384) }, (_, n) =>
    bytes.subarray(n * 16_384, (n + 1) * 16_384),
  );
  const whole = stream(bytes).text;
  assert.equal(stream(pieces).text, whole);
  assert.equal(read(bytes).choices[0]?.content, long);
});

test('S61 control characters, which take six bytes each in JSON, respect the limit', () => {
  const long = '\u0001'.repeat(400_000);
  assert.equal(read(sse(ROLE, text(long), STOP, DONE)).choices[0]?.content, long);
});

test('an event beyond the limit is an invalid response in every framing', () => {
  const long = text('x'.repeat(5000));
  for (const body of [sse(ROLE, long, STOP, DONE), JSON.stringify(long), `data: ${'x'.repeat(9000)}`]) {
    for (const size of [100, 1_000_000]) {
      const bytes = Buffer.from(body);
      const pieces = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
      const { failure } = stream(pieces, { maxEventBytes: 2000 });
      assert.equal(failure?.kind, 'invalid_response', `${body.slice(0, 20)} in pieces of ${size}`);
    }
  }
});

test('pieces that end with lines mean the same as the whole: a name and its data, data in several lines', () => {
  const beginning = sse(ROLE, text('one'), text('two'));
  for (const rest of [
    'event: error\ndata: {"message":"the engine died"}\n\n',
    `data: {"id":"c","choices":[{"index":0,\ndata: "delta":{"content":"three"},"finish_reason":null}]}\n\n${sse(STOP, DONE)}`,
    `id: 7\nevent: message\n${sse(text('three'), STOP, DONE)}`,
    `: comment\n\n${sse(text('three'), STOP, DONE)}`,
  ]) {
    const lines = (beginning + rest).split(/(?<=\n)/);
    // Also with the last two line ends of an event in one piece, as events come that are sent line by line.
    for (const pieces of [lines, (beginning + rest).split(/(?<=\n)(?!\n)/)]) {
      const inPieces = stream(pieces.map((piece) => Buffer.from(piece)));
      const whole = stream(beginning + rest);
      assert.equal(inPieces.text, whole.text, rest);
      assert.equal(inPieces.failure?.message, whole.failure?.message, rest);
      assert.equal(inPieces.failure === null, !rest.startsWith('event: error'), rest);
    }
  }
});

test('a long line in one-byte pieces costs linear time', () => {
  const bytes = Buffer.from(sse(ROLE, text('x'.repeat(300_000)), STOP, DONE));
  const began = process.cpuUsage();
  const { text: out } = stream([...bytes].map((byte) => Buffer.of(byte)));
  assert.ok(cpuMsSince(began) < 3000);
  assert.equal(out.length, stream(bytes).text.length);
});

test('invalid JSON takes linear time', () => {
  const bodies = [
    `{"a":NaN,"b":"${'\\"'.repeat(500_000)}`,
    '{"a":'.repeat(200_000),
    '"'.repeat(500_001),
    '[NaN'.repeat(200_000),
    '{x}'.repeat(300_000),
  ];
  for (const body of bodies) {
    for (const form of [body, `data: ${body}\n\n`, `data: ${body.replaceAll('"', '"\n')}\n\n`]) {
      const began = process.cpuUsage();
      assert.notEqual(stream(form).failure, null);
      assert.ok(cpuMsSince(began) < 1500, body.slice(0, 30));
    }
  }
});

test('Q47c delta and a growing message in each chunk: only the delta counts', () => {
  const both = (delta: string, whole: string, finish: string | null = null) => {
    const event = chunk({ content: delta }, finish) as { choices: object[] };
    return { ...event, choices: [{ ...event.choices[0], message: { role: 'assistant', content: whole } }] };
  };
  const { choices } = read(sse(both('Hel', 'Hel'), both('lo', 'Hello'), both('', 'Hello', 'stop')));
  assert.equal(choices[0]?.content, 'Hello');
});
