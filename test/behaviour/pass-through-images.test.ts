import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn } from '../helpers/gateway.ts';
import {
  type Answering,
  answerText,
  ByteUpstream,
  formOf,
  answerJson as json,
  PassThroughScene,
  type SentAnswer,
  sendForm,
} from './pass-through-rig.ts';

let scene: PassThroughScene;

before(async () => {
  scene = await PassThroughScene.open();
});

after(() => scene.close());

interface Images {
  readonly created: number;
  readonly data: { readonly b64_json?: string; readonly url?: string; readonly revised_prompt?: string }[];
}

let asked = 0;

function draw(answering: Answering, format?: string): Promise<SentAnswer> {
  scene.answer(answering);
  const wish = format === undefined ? {} : { response_format: format };
  return scene.post('/v1/images/generations', { model: `image-${asked++}`, prompt: 'a ferry', ...wish });
}

async function drawn(answering: Answering, format?: string): Promise<Images> {
  const answer = await draw(answering, format);
  assert.equal(answer.status, 200, answer.text.slice(0, 300));
  assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
  const images = JSON.parse(answer.text) as Images;
  assert.ok(Number.isInteger(images.created), answer.text);
  assert.ok(Array.isArray(images.data) && images.data.length > 0);
  return images;
}

const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(60, 9)]);
const JPEG = Buffer.concat([Buffer.from('ffd8ffe0', 'hex'), Buffer.alloc(60, 8)]);
const B64 = PNG.toString('base64');
const OTHER = JPEG.toString('base64');
const URI = `data:image/png;base64,${B64}`;
const ADDRESS = 'https://images.example.com/a.png?sig=x';

test('S123 a canonical response in the requested format is passed through byte for byte', async () => {
  for (const [item, format] of [
    [{ b64_json: B64, revised_prompt: 'a big ferry' }, undefined],
    [{ b64_json: B64 }, 'b64_json'],
    [{ url: ADDRESS }, undefined],
    [{ url: ADDRESS, b64_json: null }, 'url'],
    [{ url: URI }, 'url'],
    [{ url: ADDRESS, b64_json: B64 }, 'b64_json'],
  ] as const) {
    const text = JSON.stringify(
      { created: 1_763_000_000, data: [item], usage: { total_tokens: 1 }, x: 1.5 },
      null,
      2,
    );
    const answer = await draw(answerText(text), format);
    assert.equal(answer.text, text);
  }
});

test('S123 Q163 base64 is found in any member, and returned as b64_json, or as a data URI when url was requested', async () => {
  const shapes: Record<string, Answering> = {
    'b64_json without created': json({ data: [{ b64_json: B64 }] }),
    image: json({ image: B64 }),
    'images[]': json({ images: [B64] }),
    'images[] of objects': json({ images: [{ b64: B64 }], timings: { inference: 1.2 } }),
    b64: json({ data: [{ b64: B64 }], created: 1 }),
    'a data URI in image': json({ image: URI }),
    'a data URI in b64_json': json({ created: 1, data: [{ b64_json: URI }] }),
    'a data URI in an envelope': json({ code: 0, data: { image_base64: [URI] }, message: 'success' }),
    'data as a list of texts': json({ created: 1, data: [B64] }),
    artifacts: json({ artifacts: [{ base64: B64, finishReason: 'SUCCESS', seed: 1 }] }),
    predictions: json({ predictions: [{ mimeType: 'image/png', bytesBase64Encoded: B64 }] }),
    output: json({ output: { results: [{ image: B64 }] }, request_id: 'r' }),
    'the picture itself': answerText(PNG, 'image/png'),
    'the picture itself, without a type': answerText(PNG, null),
  };
  for (const [name, answering] of Object.entries(shapes)) {
    assert.deepEqual((await drawn(answering)).data, [{ b64_json: B64 }], name);
    assert.deepEqual((await drawn(answering, 'b64_json')).data, [{ b64_json: B64 }], name);
    assert.deepEqual((await drawn(answering, 'url')).data, [{ url: URI }], name);
  }
});

test('S123 Q163 a data URI given as url is returned as b64_json when that was requested', async () => {
  const images = await drawn(json({ created: 1, data: [{ url: URI, revised_prompt: 'p' }] }), 'b64_json');
  assert.deepEqual(images, { created: 1, data: [{ b64_json: B64, revised_prompt: 'p' }] });
});

test('S123 several images stay several, each with its own type', async () => {
  const both = json({ images: [B64, OTHER], usage: { total_tokens: 2 } });
  assert.deepEqual((await drawn(both)).data, [{ b64_json: B64 }, { b64_json: OTHER }]);
  const asUrls = await drawn(both, 'url');
  assert.deepEqual(asUrls.data, [{ url: URI }, { url: `data:image/jpeg;base64,${OTHER}` }]);
  assert.deepEqual((asUrls as { usage?: unknown }).usage, { total_tokens: 2 });
});

test('Q163 addresses are passed on, even if b64_json was requested, and are never fetched', async () => {
  await using trap = await ByteUpstream.start(answerText(PNG, 'image/png'));
  const address = `${trap.url}/a.png`;
  for (const answering of [
    json({ data: [{ url: address }] }),
    json({ images: [{ url: address }], data: [] }),
    json({ data: { image_urls: [address] }, base_resp: { status_code: 0, status_msg: 'success' } }),
    json({ output: [address], status: 'succeeded' }),
    json({ output: { results: [{ url: address }], task_status: 'SUCCEEDED' } }),
  ]) {
    for (const format of [undefined, 'url', 'b64_json']) {
      assert.deepEqual((await drawn(answering, format)).data, [{ url: address }]);
    }
  }
  assert.equal(trap.taken.length, 0);
});

test('S123 edits and variations are handled the same way, by the format in their form', async () => {
  scene.answer(json({ image: B64 }));
  for (const path of ['/v1/images/edits', '/images/variations']) {
    const form = formOf([
      { name: 'image', filename: 'a.png', type: 'image/png', value: PNG },
      { name: 'model', value: 'image-edit' },
      { name: 'response_format', value: 'url' },
    ]);
    const answer = await sendForm(`${scene.gateway.url}${path}`, form);
    assert.deepEqual((JSON.parse(answer.text) as Images).data, [{ url: URI }], answer.text);
  }
});

test('S123 an error in a 200, an HTML page, an empty list and an asynchronous task are errors', async () => {
  for (const [answering, status, code] of [
    [json({ error: { message: 'prompt is too rude', code: 400 } }), 400, null],
    [json({ created: 1, data: [], error: { message: 'boom', code: 500 } }), 502, 'upstream_error'],
    [json({ base_resp: { status_code: 1002, status_msg: 'limit' }, data: null }), 429, 'rate_limit_exceeded'],
    [json({ created: 1, data: [] }), 502, 'upstream_invalid_response'],
    [json({ task_id: 'abcdefgh', status: 'PENDING' }), 502, 'upstream_invalid_response'],
    [answerText('<html><title>Sign in</title>', 'text/html'), 502, 'upstream_invalid_response'],
    [answerText(''), 502, 'upstream_invalid_response'],
    [answerText('sorry', 'text/plain'), 502, 'upstream_invalid_response'],
    [answerText(`{"data":[{"b64_json":"${B64}`), 502, 'upstream_disconnected'],
  ] as const) {
    const answer = await draw(answering);
    assert.equal(answer.status, status, answer.text);
    assert.equal(errorIn(answer.text).code, code, answer.text);
  }
});

test('S123 a stream of partial images is passed through unchanged, and an error as its first event is an error', async () => {
  const events = [0, 1]
    .map((index) => ({ type: 'image_generation.partial_image', partial_image_index: index, b64_json: OTHER }))
    .map(
      (event) => `event: ${event.type}\ndata: ${JSON.stringify({ ...event, big: 'A'.repeat(100_000) })}\n\n`,
    )
    .join('');
  const answer = await draw(answerText(events, 'text/event-stream'));
  assert.equal(answer.text, events);
  assert.equal(answer.headers['content-type'], 'text/event-stream');
  const failed = await draw(
    answerText(
      'event: error\ndata: {"type":"error","error":{"message":"no","code":503}}\n\n',
      'text/event-stream',
    ),
  );
  assert.equal(failed.status, 503, failed.text);
  errorIn(failed.text);
});
