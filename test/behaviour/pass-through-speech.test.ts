import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { after, before, test } from 'node:test';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import {
  type Answering,
  answerText,
  ByteUpstream,
  answerJson as json,
  PassThroughScene,
  type SentAnswer,
} from './pass-through-rig.ts';

let scene: PassThroughScene;

before(async () => {
  scene = await PassThroughScene.open();
});

after(() => scene.close());

/** A 429 pauses its model, so each request names another one. */
let asked = 0;

function speak(answering: Answering, format?: string): Promise<SentAnswer> {
  scene.answer(answering);
  const wish = format === undefined ? {} : { response_format: format };
  return scene.post('/v1/audio/speech', { model: `tts-${asked++}`, input: 'Hello', voice: 'alloy', ...wish });
}

const MP3 = Buffer.concat([Buffer.from('ID3\x04\x00\x00'), Buffer.alloc(500, 0xfb)]);
const FRAMES = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0x64]), Buffer.alloc(100, 7)]);
const WAV = Buffer.concat([Buffer.from('RIFF\x24\x08\x00\x00WAVEfmt '), Buffer.alloc(400)]);
const OGG = Buffer.concat([Buffer.from('OggS\x00\x02'), Buffer.alloc(90, 3)]);
const FLAC = Buffer.concat([Buffer.from('fLaC\x00\x00'), Buffer.alloc(90, 4)]);
const AAC = Buffer.concat([Buffer.from([0xff, 0xf1, 0x50, 0x80]), Buffer.alloc(90, 5)]);
const PCM = Buffer.from(Array.from({ length: 600 }, (_, index) => (index * 37) % 251));

test('S122 speech is passed through byte for byte with the content-type of the upstream, the bytes or the format', async () => {
  for (const [bytes, type, format, expected] of [
    [MP3, 'audio/mpeg', undefined, 'audio/mpeg'],
    [MP3, 'audio/mp3', undefined, 'audio/mp3'],
    [MP3, null, undefined, 'audio/mpeg'],
    [FRAMES, 'application/octet-stream', undefined, 'audio/mpeg'],
    [WAV, 'application/json', undefined, 'audio/wav'],
    [WAV, 'text/html; charset=utf-8', 'wav', 'audio/wav'],
    [OGG, null, 'opus', 'audio/ogg'],
    [AAC, 'binary/octet-stream', 'aac', 'audio/aac'],
    [PCM, null, 'constructor', 'audio/mpeg'],
    [FLAC, null, 'flac', 'audio/flac'],
    [PCM, null, 'pcm', 'audio/pcm'],
    [PCM, null, 'wav', 'audio/wav'],
    [PCM, null, undefined, 'audio/mpeg'],
    [FRAMES, null, 'pcm', 'audio/pcm'],
    [Buffer.from('no sign at all'), 'audio/mpeg', 'mp3', 'audio/mpeg'],
    [Buffer.from([0xff]), null, 'mp3', 'audio/mpeg'],
  ] as const) {
    const answer = await speak(answerText(bytes, type), format);
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.bytes.equals(bytes), `${type} ${format}`);
    assert.equal(answer.headers['content-type'], expected);
  }
});

/** An answer whose bytes are read when the test says. */
async function openSpeech(): Promise<IncomingMessage> {
  const request = httpRequest(`${scene.gateway.url}/v1/audio/speech`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  request.end('{"model":"tts","input":"Hello"}');
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

test('S122 speech is streamed, no faster than it is read', async () => {
  let go: (() => void) | null = null;
  scene.answer(async (_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/mpeg' });
    response.write(MP3.subarray(0, 5));
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    response.end(MP3.subarray(5));
  });
  const response = await openSpeech();
  const [first] = (await once(response, 'data')) as [Buffer];
  assert.ok(first.equals(MP3.subarray(0, 5)), 'five bytes before the sixth was made');
  assert.equal(response.headers['content-type'], 'audio/mpeg');
  (go as unknown as () => void)();
  const rest: Buffer[] = [];
  for await (const piece of response) rest.push(piece as Buffer);
  assert.ok(Buffer.concat(rest).equals(MP3.subarray(5)));
});

test('S122 a client that does not read slows the upstream down', async () => {
  let written = 0;
  let isHeldBack = false;
  scene.answer((_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/wav' });
    const block = Buffer.alloc(256 * 1024, 1);
    const more = (): void => {
      while (written < 64 && !response.destroyed) {
        written += 1;
        if (!response.write(block)) {
          isHeldBack = true;
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  const response = await openSpeech();
  await until(() => isHeldBack, 'the upstream is held back');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(written < 64, 'not all of 16 MiB went into buffers');
  let size = 0;
  for await (const piece of response) size += (piece as Buffer).length;
  assert.equal(size, 64 * 256 * 1024);
});

test('S122 Q162 audio encoded as text is decoded: base64, hexadecimal, data URIs, bare and in JSON', async () => {
  const base64 = MP3.toString('base64');
  const shapes: Record<string, Answering> = {
    audio: json({ audio: base64 }),
    'data.audio': json({ data: { audio: base64, status: 2 } }),
    'a data URI': json({ audio: `data:audio/mpeg;base64,${base64}` }),
    'a data URI with parameters': json({
      url: null,
      output: { audio: `data:audio/mp3;codecs=mp3;base64,${base64}` },
    }),
    'hexadecimal, as MiniMax': json({
      data: { audio: MP3.toString('hex'), status: 2 },
      extra_info: { audio_format: 'mp3', audio_length: 9900 },
      trace_id: '01b8bf9bb7433cc75c18eee6cfa8fe21',
      base_resp: { status_code: 0, status_msg: 'success' },
    }),
    'a code of success and a word': json({ reqid: 'r', code: 3000, message: 'Success', data: base64 }),
    audioContent: json({ audioContent: base64 }),
    audio_base64: json({ audio_base64: base64, alignment: { characters: ['H'] } }),
    'a list': json({ audios: [base64] }),
    'an object with data': json({ id: 'x', audio: { id: 'audio_abcdefgh', format: 'mp3', data: base64 } }),
    'a JSON string': answerText(JSON.stringify(base64)),
    'bare text': answerText(base64, 'text/plain'),
    'lines of base64': answerText(base64.replace(/(.{76})/g, '$1\n'), 'text/plain'),
    'an id beside': json({ audio_id: 'abcdefghijkl', audio: base64 }),
    'called audio': answerText(JSON.stringify({ audio: base64 }), 'audio/mpeg'),
  };
  for (const [name, answering] of Object.entries(shapes)) {
    const answer = await speak(answering);
    assert.equal(answer.status, 200, `${name}: ${answer.text.slice(0, 300)}`);
    assert.ok(answer.bytes.equals(MP3), name);
    assert.equal(answer.headers['content-type'], 'audio/mpeg', name);
    assert.equal(answer.headers['content-length'], String(MP3.length), name);
  }
  const samples = await speak(json({ audio: PCM.toString('base64') }), 'pcm');
  assert.ok(samples.bytes.equals(PCM), 'samples have no sign of their own');
  assert.equal(samples.headers['content-type'], 'audio/pcm');
});

test('Q162 an address instead of audio is a 502; nothing is fetched, and the upstream stays healthy', async () => {
  await using trap = await ByteUpstream.start(answerText(MP3, 'audio/mpeg'));
  for (const answering of [
    json({ audio: `${trap.url}/a.mp3` }),
    json({ data: { audio_url: `${trap.url}/a.mp3`, duration: 1 } }),
    json({ output: [`${trap.url}/a.mp3`] }),
  ]) {
    const answer = await speak(answering);
    assert.equal(answer.status, 502);
    const error = errorIn(answer.text);
    assert.equal(error.code, 'upstream_invalid_response');
    assert.match(error.message, /URL instead of audio.*not fetched/);
    assert.doesNotMatch(error.message, /127\.0\.0\.1/);
  }
  assert.equal(trap.taken.length, 0);
  assert.deepEqual((await scene.gateway.readiness()).degraded, []);
});

test('S122 errors stay JSON, with a status of 200 as well', async () => {
  for (const [answering, status, code, says] of [
    [
      json({ error: { message: 'voice "alloy" is unknown', code: 400 } }),
      400,
      null,
      /voice "alloy" is unknown/,
    ],
    [
      answerText('{"detail":"Voice alloy not found"}', 'application/json', 400),
      400,
      null,
      /Voice alloy not found/,
    ],
    [json({ base_resp: { status_code: 1002, status_msg: 'rate limit' } }), 429, 'rate_limit_exceeded', /./],
    [
      json({ data: null, base_resp: { status_code: 2013, status_msg: 'invalid params' } }),
      400,
      '2013',
      /invalid params/,
    ],
    [answerText('{"error":{"message":"no","code":500}}', 'audio/mpeg'), 502, 'upstream_error', /./],
    [answerText('<html><title>Login</title>', 'text/html'), 502, 'upstream_invalid_response', /HTML/],
    [answerText('<!DOCTYPE html><p>', 'audio/mpeg'), 502, 'upstream_invalid_response', /HTML/],
    [answerText('Voice not found', 'text/plain'), 502, 'upstream_invalid_response', /Voice not found/],
    [answerText('', 'audio/mpeg'), 502, 'upstream_invalid_response', /empty/],
    [
      json({ task_id: 'abcdefghijklmnop', status: 'queued' }),
      502,
      'upstream_invalid_response',
      /JSON without audio/,
    ],
    [json({ audio: '', message: 'nothing to say' }), 502, 'upstream_invalid_response', /JSON without audio/],
  ] as const) {
    const answer = await speak(answering);
    assert.equal(answer.status, status, answer.text);
    const error = errorIn(answer.text);
    assert.equal(error.code, code, answer.text);
    assert.match(error.message, says);
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
  }
});

test('S122 another upstream is used when the first one responds with an HTML page or an error in a 200', async () => {
  for (const bad of [
    answerText('<html>', 'text/html'),
    json({ error: { message: 'overloaded', code: 503 } }),
  ]) {
    await using first = await ByteUpstream.start(bad);
    await using second = await ByteUpstream.start(answerText(MP3, null));
    await using gateway = await Gateway.start({
      noauth: true,
      dbtype: 'none',
      upstreams: [
        { name: 'first', endpoint: first.url, token: 'none' },
        { name: 'second', endpoint: second.url, token: 'none' },
      ],
    });
    const response = await gateway.post('/v1/audio/speech', { model: 'tts', input: 'Hello', voice: 'alloy' });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'second');
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(MP3));
  }
});

test('S122 events of speech pass as they are', async () => {
  const events = `data: {"type":"speech.audio.delta","audio":"${MP3.toString('base64')}"}\n\ndata: {"type":"speech.audio.done"}\n\n`;
  const answer = await speak(answerText(events, 'text/event-stream; charset=utf-8'));
  assert.equal(answer.text, events);
  assert.equal(answer.headers['content-type'], 'text/event-stream; charset=utf-8');
});
