import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn } from '../helpers/gateway.ts';
import {
  type Answering,
  answerText,
  formOf,
  answerJson as json,
  PassThroughScene,
  type SentAnswer,
  sendForm,
} from './pass-through-rig.ts';

let scene: PassThroughScene;

before(async () => {
  scene = await PassThroughScene.open({ limits: { response: '64KiB' } });
});

after(() => scene.close());

const SILENCE = Buffer.concat([Buffer.from('RIFF....WAVEfmt '), Buffer.alloc(16_000)]);

/** A 429 pauses its model, so each request names another one. */
let asked = 0;

/** Asks for the transcript of a recording that the upstream answers so. */
async function transcribe(
  answering: Answering,
  format?: string,
  path = '/v1/audio/transcriptions',
): Promise<SentAnswer> {
  scene.answer(answering);
  const wish = format === undefined ? [] : [{ name: 'response_format', value: format }];
  const form = formOf([
    { name: 'file', filename: 'a.wav', value: SILENCE },
    { name: 'model', value: `w-${asked++}` },
    ...wish,
  ]);
  return sendForm(`${scene.gateway.url}${path}`, form);
}

const HELLO = 'Hello there, 你好.';
const SEGMENTS = [
  { id: 0, start: 0, end: 1.5, text: ' Hello there,' },
  { id: 1, start: 1.5, end: 3661.25, text: ' 你好.' },
];

test('S121 Q161 a transcript comes as {"text"}, however the upstream wraps it', async () => {
  const shapes: Record<string, Answering> = {
    'plain text': answerText(`${HELLO}\n`, 'text/plain'),
    'plain text without a type': answerText(HELLO, null),
    'plain text called JSON': answerText(HELLO),
    'a JSON string': answerText(JSON.stringify(HELLO)),
    result: json({ result: HELLO }),
    'result beside a word': json({ code: 1000, message: 'Success', result: HELLO }),
    'result that is an object': json({ status: 'success', result: { text: HELLO, language: 'en' } }),
    'data.text': json({ code: 0, msg: 'ok', data: { text: HELLO } }),
    data: json({ success: true, data: HELLO }),
    'an unknown envelope': json({ asr: { result_info: { text: HELLO } }, request_id: 'r-1' }),
    transcription: json({ transcription: HELLO, words: [{ word: 'Hello' }] }),
    'segments only': json({ segments: SEGMENTS, language: 'en' }),
    'a bare list': json([{ text: 'Hello there,' }, { text: '你好.' }]),
    sentences: json({ output: { sentence: [{ text: 'Hello there, ' }, { text: '你好.' }] } }),
    alternatives: json({
      results: [{ alternatives: [{ transcript: HELLO, confidence: 0.9 }, { transcript: 'Yellow' }] }],
    }),
    'a chat': json({ choices: [{ index: 0, message: { role: 'assistant', content: [{ text: HELLO }] } }] }),
    'with a byte order mark': answerText(`\ufeff${JSON.stringify({ result: HELLO })}`),
  };
  for (const [name, answering] of Object.entries(shapes)) {
    for (const path of ['/v1/audio/transcriptions', '/audio/translations']) {
      for (const format of [undefined, 'json']) {
        const answer = await transcribe(answering, format, path);
        assert.equal(answer.status, 200, `${name}: ${answer.text}`);
        assert.match(answer.headers['content-type'] ?? '', /^application\/json/, name);
        assert.deepEqual(JSON.parse(answer.text), { text: HELLO }, name);
      }
    }
  }
});

test('S121 what is canonical stays byte for byte, with all that the upstream adds', async () => {
  const text = '{ "text" : "Hallo\\u00e9 ", "usage":{"seconds":1.0}, "x":12345678901234567890 }\n';
  for (const [type, wished] of [
    ['application/json', undefined],
    ['application/json; charset=utf-8', 'json'],
    ['text/plain', 'json'],
    [null, 'verbose_json'],
  ] as const) {
    const answer = await transcribe(answerText(text, type), wished);
    assert.equal(answer.text, text);
    assert.equal(answer.headers['content-length'], String(Buffer.byteLength(text)));
    assert.equal(answer.headers['content-type'], type?.startsWith('application') ? type : 'application/json');
  }
});

test('S121 half a second of silence is a 200 with an empty text', async () => {
  for (const answering of [
    json({ text: '' }),
    json({ text: null, segments: [] }),
    json({ segments: [] }),
    answerText('', 'text/plain'),
    answerText('\n', 'text/plain; charset=utf-8'),
  ]) {
    const answer = await transcribe(answering);
    assert.equal(answer.status, 200, answer.text);
    assert.equal((JSON.parse(answer.text) as { text: string }).text, '');
  }
  const asText = await transcribe(answerText('', 'text/plain'), 'text');
  assert.equal(asText.status, 200);
  assert.equal(asText.text, '');
});

test('S121 text, srt and vtt come as text/plain, from text as from JSON', async () => {
  const srt = '1\n00:00:00,000 --> 00:00:01,500\nHello there,\n';
  for (const [format, body, type] of [
    ['text', HELLO, 'text/plain'],
    ['text', HELLO, 'application/json'],
    ['srt', srt, null],
    ['vtt', `WEBVTT\n\n${srt}`, 'text/vtt'],
    ['srt', srt, 'application/x-subrip'],
  ] as const) {
    const answer = await transcribe(answerText(body, type), format);
    assert.equal(answer.status, 200);
    assert.equal(answer.text, body, 'byte for byte');
    assert.match(answer.headers['content-type'] ?? '', /^text\/plain/);
  }
  for (const [format, answering, expected] of [
    ['text', json({ text: HELLO, usage: {} }), HELLO],
    ['text', answerText(JSON.stringify(HELLO)), HELLO],
    ['text', json({ data: { text: HELLO } }), HELLO],
    ['srt', json({ text: srt }), srt],
    [
      'srt',
      json({ text: HELLO, segments: SEGMENTS }),
      '1\n00:00:00,000 --> 00:00:01,500\nHello there,\n\n2\n00:00:01,500 --> 01:01:01,250\n你好.\n',
    ],
    [
      'vtt',
      json({ result: { segments: SEGMENTS } }),
      'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello there,\n\n00:00:01.500 --> 01:01:01.250\n你好.\n',
    ],
  ] as const) {
    const answer = await transcribe(answering, format);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text.trim(), expected.trim());
    assert.match(answer.headers['content-type'] ?? '', /^text\/plain/);
  }
});

test('S121 subtitles from text without times are a 502, and the upstream stays healthy', async () => {
  const answer = await transcribe(json({ text: HELLO }), 'srt');
  assert.equal(answer.status, 502);
  const error = errorIn(answer.text);
  assert.equal(error.code, 'upstream_invalid_response');
  assert.match(error.message, /without times.*"srt"/);
  assert.deepEqual((await scene.gateway.readiness()).degraded, []);
});

test('S121 verbose_json passes; an envelope around it is taken off', async () => {
  const verbose = { task: 'transcribe', language: 'english', duration: 3.1, text: HELLO, segments: SEGMENTS };
  const bytes = JSON.stringify(verbose, null, 1);
  assert.equal((await transcribe(answerText(bytes), 'verbose_json')).text, bytes);
  const { text: _text, ...without } = verbose;
  for (const [answering, expected] of [
    [json({ code: 0, data: verbose }), verbose],
    [json(without), verbose],
    [answerText(HELLO, 'text/plain'), { text: HELLO }],
  ] as const) {
    const answer = await transcribe(answering, 'verbose_json');
    assert.deepEqual(JSON.parse(answer.text), expected);
  }
});

test('S121 an error in a 200 is the error, with any requested format', async () => {
  for (const format of [undefined, 'text', 'srt', 'verbose_json']) {
    for (const [answering, status, code] of [
      [json({ error: { message: 'The audio is too short', code: 400 } }), 400, null],
      [json({ code: 400, message: 'no speech in the file', data: null }), 400, null],
      [json({ error: 'overloaded', text: '' }), 503, 'upstream_error'],
      [json({ base_resp: { status_code: 1002, status_msg: 'rate limit' } }), 429, 'rate_limit_exceeded'],
      [answerText('<!doctype html><title>Sign in</title>', 'text/html'), 502, 'upstream_invalid_response'],
      [answerText('<html><body>hi', 'application/json'), 502, 'upstream_invalid_response'],
      [json({ id: 'task-1', status: 'queued' }), 502, 'upstream_invalid_response'],
      [answerText('{"text":"cut o'), 502, 'upstream_disconnected'],
      [answerText(Buffer.from([0, 1, 2, 3]), null), 502, 'upstream_invalid_response'],
    ] as const) {
      const answer = await transcribe(answering, format);
      assert.equal(answer.status, status, answer.text);
      assert.equal(errorIn(answer.text).code, code, answer.text);
      assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
    }
  }
  const empty = await transcribe(answerText(''));
  assert.equal(empty.status, 502);
  assert.equal(errorIn(empty.text).code, 'upstream_invalid_response');
});

test('a transcript longer than limits.response is refused', async () => {
  const answer = await transcribe(json({ result: 'x'.repeat(100_000) }));
  assert.equal(answer.status, 502);
  assert.match(errorIn(answer.text).message, /limits\.response/);
});

test('S121 a stream of transcript events passes as it is, unless its first event is an error', async () => {
  const events =
    'data: {"type":"transcript.text.delta","delta":"Hel"}\r\n\r\ndata: {"type":"transcript.text.done","text":"Hello"}\n\n';
  const answer = await transcribe(answerText(events, 'text/event-stream'));
  assert.equal(answer.text, events);
  assert.match(answer.headers['content-type'] ?? '', /^text\/event-stream/);
  const failed = await transcribe(
    answerText('data: {"error":{"message":"slow down","code":429}}\n\n', 'text/event-stream'),
  );
  assert.equal(failed.status, 429, failed.text);
  errorIn(failed.text);
});

test('S121 a format after the first 64 KiB of an upload is unknown, so the response is passed through unchanged', async () => {
  const own = await PassThroughScene.open({ limits: { replay: '64KiB' } });
  try {
    const form = formOf([
      { name: 'model', value: 'w' },
      { name: 'file', filename: 'a.wav', value: Buffer.alloc(200_000) },
      { name: 'response_format', value: 'text' },
    ]);
    for (const body of [HELLO, JSON.stringify({ text: HELLO })]) {
      own.answer(answerText(body, 'text/plain'));
      const answer = await sendForm(`${own.gateway.url}/v1/audio/transcriptions`, form);
      assert.equal(answer.text, body);
    }
    own.answer(json({ error: { message: 'no such voice', code: 400 } }));
    assert.equal((await sendForm(`${own.gateway.url}/v1/audio/transcriptions`, form)).status, 400);
  } finally {
    await own.close();
  }
});
