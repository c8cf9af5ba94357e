import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { errorIn, Gateway } from '../../helpers/gateway.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'héllo' }] };
const BODIES: Readonly<Record<string, object>> = {
  '/v1/chat/completions': CHAT,
  '/v1/completions': { model: 'm', prompt: 'hello' },
  '/v1/embeddings': { model: 'm', input: ['hello'] },
  '/v1/rerank': { model: 'm', query: 'q', documents: ['a'] },
  '/v1/responses': { model: 'm', input: 'hello' },
  '/v1/moderations': { model: 'm', input: 'hello' },
};
const MEBIBYTE = 1024 * 1024;

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start({
    dbtype: 'none',
    limits: { body: '1MiB', replay: '1MiB' },
    upstreams: [
      {
        name: 'one',
        endpoint: model.url,
        sk: 'upstream-key',
        allow: ['m', '/v1/files'],
        keep_header: true,
        profile: { responses: 'native' },
      },
    ],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

function post(path: string, coding: string, body: Uint8Array, type = 'application/json'): Promise<Response> {
  return fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': type, 'content-encoding': coding },
    body: Buffer.from(body),
  });
}

const PACKERS: readonly (readonly [string, (text: string | Buffer) => Buffer])[] = [
  ['gzip', gzipSync],
  ['GZIP ', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['identity', (text) => Buffer.from(text)],
];

for (const [path, body] of Object.entries(BODIES)) {
  test(`a compressed body on ${path} is decoded, and the upstream gets it plain`, async () => {
    const text = JSON.stringify(body);
    for (const [coding, pack] of PACKERS) {
      const count = model.received.length;
      const response = await post(path, coding, pack(text));
      const answer = await response.text();
      const received = model.received.at(-1);
      assert.equal(model.received.length, count + 1, `${coding}: ${response.status} ${answer}`);
      assert.deepEqual(received?.body, body);
      assert.equal(received?.headers['content-encoding'], undefined);
      assert.equal(Number(received?.headers['content-length']), Buffer.byteLength(received?.text ?? ''));
    }
  });

  test(`an unsupported coding on ${path}, and two codings, are a 415 that names them`, async () => {
    const count = model.received.length;
    for (const coding of ['compress', 'aes128gcm', 'gzip, gzip', 'identity, br', 'lz4']) {
      const response = await post(path, coding, Buffer.from('any'));
      const answer = await response.text();
      assert.equal(response.status, 415, answer);
      assert.equal(errorIn(answer).code, 'unsupported_content_encoding');
      assert.ok(errorIn(answer).message.includes(coding), answer);
      assert.match(response.headers.get('accept-encoding') ?? '', /gzip.*zstd/);
      assert.equal(response.headers.get('x-should-retry'), 'false');
    }
    assert.equal(model.received.length, count);
  });

  test(`a small body on ${path} that decodes to more than limits.body is a 413`, async () => {
    const count = model.received.length;
    const bomb = Buffer.from(`{"model":"m","x":"${' '.repeat(40 * MEBIBYTE)}"}`);
    for (const [coding, pack] of PACKERS.slice(3, 7)) {
      const response = await post(path, coding, pack(bomb));
      const answer = await response.text();
      assert.equal(response.status, 413, `${coding}: ${answer}`);
      assert.equal(errorIn(answer).code, 'body_too_large');
    }
    assert.equal(model.received.length, count);
  });
}

test('a body that is cut, or not in the coding that it names, is a 400, and nothing is sent', async () => {
  const count = model.received.length;
  const text = JSON.stringify(CHAT);
  for (const [coding, pack] of PACKERS.slice(0, 7)) {
    const whole = pack(text);
    for (const bytes of [whole.subarray(0, -5), Buffer.from(text)]) {
      const response = await post('/v1/chat/completions', coding, bytes);
      assert.equal(response.status, 400, `${coding} ${bytes.length}: ${await response.text()}`);
    }
  }
  assert.equal(model.received.length, count);
});

test('files keep their coding', async () => {
  const bytes = gzipSync('a file');
  await post('/v1/files', 'gzip', bytes, 'application/octet-stream');
  assert.equal(model.received.at(-1)?.headers['content-encoding'], 'gzip');
});
