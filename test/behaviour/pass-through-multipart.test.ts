import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { ByteUpstream, begin, FORM_TYPE, type FormPart, formOf, sendForm } from './pass-through-rig.ts';

const KIB = 1024;
const PATH = '/v1/audio/transcriptions';
/** So that uploads of this size are streamed and not kept. */
const LIMITS = { replay: '128KiB', upload: '16MiB' };

const model = (value: string): FormPart => ({ name: 'model', value });
const file = (size: number): FormPart => ({
  name: 'file',
  filename: 'Grüße 你好.wav',
  type: 'audio/wav',
  value: randomBytes(size),
});

interface Scene {
  readonly gateway: Gateway;
  readonly first: ByteUpstream;
  readonly second: ByteUpstream;
}

/** Two upstreams: the first has `whisper` and calls `alias` otherwise, the second has only the path. */
async function scene(run: (scene: Scene) => Promise<void>, settings: object = {}): Promise<void> {
  await using first = await ByteUpstream.start();
  await using second = await ByteUpstream.start();
  const models = { alias: 'Systran/faster-whisper-large-v3', 'long-alias-of-a-model': 'w' };
  await using gateway = await Gateway.start({
    noauth: true,
    limits: LIMITS,
    upstreams: [
      { name: 'first', endpoint: first.url, token: 'none', allow: ['whisper'], models },
      { name: 'second', endpoint: second.url, token: 'none', allow: [PATH], deny: ['whisper'] },
    ],
    ...settings,
  });
  await run({ gateway, first, second });
}

test('S121 the model of a form selects the upstream, streamed or buffered, chunked or not, in any order', async () => {
  await scene(async ({ gateway, first }) => {
    for (const size of [0, 100, 400 * KIB, 3 * KIB * KIB]) {
      for (const isChunked of [false, true]) {
        for (const parts of [
          [model('whisper'), file(size)],
          [{ name: 'language', value: 'de' }, model('whisper'), file(size), { name: 'prompt', value: '' }],
          ...(size <= 100 ? [[file(size), model('whisper')]] : []),
        ]) {
          const form = formOf(parts);
          const answer = await sendForm(`${gateway.url}${PATH}`, form, { isChunked });
          assert.equal(answer.status, 200, answer.text);
          assert.equal(answer.headers['x-tokenferry-upstream'], 'first');
          const taken = first.taken.at(-1);
          assert.ok(taken !== undefined);
          assert.ok(taken.bytes.equals(form), `${size} bytes, chunked: ${isChunked}`);
          assert.equal(taken.headers['content-type'], FORM_TYPE);
        }
      }
    }
  });
});

test('the record of an upload names its model', async () => {
  await scene(async ({ gateway }) => {
    const answer = await sendForm(`${gateway.url}${PATH}`, formOf([model('whisper'), file(400 * KIB)]));
    const row = await gateway.rowOf(String(answer.headers['x-request-id']));
    assert.equal(row.model, 'whisper');
  });
});

test('S121 the upstream gets the client’s content-length, or chunks if there is none', async () => {
  await scene(async ({ gateway, first }) => {
    const form = formOf([model('whisper'), file(400 * KIB)]);
    await sendForm(`${gateway.url}${PATH}`, form);
    assert.equal(first.taken.at(-1)?.headers['content-length'], String(form.length));
    await sendForm(`${gateway.url}${PATH}`, form, { isChunked: true });
    assert.equal(first.taken.at(-1)?.headers['transfer-encoding'], 'chunked');
  });
});

test('S121 an alias is replaced in the form, and nothing else changes', async () => {
  await scene(async ({ gateway, first }) => {
    for (const [alias, own] of [
      ['alias', 'Systran/faster-whisper-large-v3'],
      ['long-alias-of-a-model', 'w'],
    ] as const) {
      for (const size of [100, 400 * KIB]) {
        for (const isChunked of [false, true]) {
          const audio = file(size);
          const rest = [audio, { name: 'prompt', value: `the model is ${alias}` }];
          const form = formOf([model(alias), ...rest]);
          const answer = await sendForm(`${gateway.url}${PATH}`, form, { isChunked });
          assert.equal(answer.status, 200, answer.text);
          const taken = first.taken.at(-1);
          const expected = formOf([model(own), ...rest]);
          assert.ok(taken !== undefined);
          assert.ok(taken.bytes.equals(expected), `${alias} ${size} ${isChunked}`);
          const isLengthKnown = !isChunked || size === 100;
          const length = isLengthKnown ? String(expected.length) : undefined;
          assert.equal(taken.headers['content-length'], length);
        }
      }
    }
  });
});

test('an alias is replaced in passed-through JSON too, and nothing else changes', async () => {
  await scene(async ({ gateway, first }) => {
    const text =
      '{ "input" : "alias é 12345678901234567890" , "model":"alias","n":1.0, "x":{"model":"alias"}}';
    const response = await gateway.post('/v1/moderations', text);
    assert.equal(response.status, 200, await response.text());
    assert.equal(
      first.taken.at(-1)?.bytes.toString(),
      text.replace('"model":"alias","n"', '"model":"Systran/faster-whisper-large-v3","n"'),
    );
  });
});

test('text that looks like a field within a file, in a file called model or in a longer boundary is no model', async () => {
  await scene(async ({ gateway, second }) => {
    const inside = formOf([model('whisper')], 'another-boundary');
    const longer = Buffer.from(
      `\r\n--ferry-boundary-7MA4YWxkX\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n`,
    );
    for (const parts of [
      [{ name: 'file', filename: 'a.wav', value: inside }],
      [{ name: 'file', filename: 'a.wav', value: longer }],
      [{ name: 'model', filename: 'model', value: 'whisper' }],
      [{ name: 'models', value: 'whisper' }],
      [{ name: 'prompt', value: 'name="model"' }],
      [model('')],
    ]) {
      const answer = await sendForm(`${gateway.url}${PATH}`, formOf(parts));
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers['x-tokenferry-upstream'], 'second');
      assert.ok(second.taken.at(-1)?.bytes.equals(formOf(parts)));
    }
  });
});

test('a form without a model within the first 64 KiB of a streamed upload is routed by its path', async () => {
  await scene(async ({ gateway, second }) => {
    const form = formOf([file(400 * KIB), model('whisper')]);
    const answer = await sendForm(`${gateway.url}${PATH}`, form);
    assert.equal(answer.headers['x-tokenferry-upstream'], 'second', answer.text);
    assert.ok(second.taken.at(-1)?.bytes.equals(form));
    const kept = formOf([file(100 * KIB), model('whisper')]);
    const found = await sendForm(`${gateway.url}${PATH}`, kept);
    assert.equal(found.headers['x-tokenferry-upstream'], 'first', 'all of what is kept is looked at');
  });
});

test('two models in one form are refused: the upstream might use the other one', async () => {
  await scene(async ({ gateway, first, second }) => {
    const answer = await sendForm(`${gateway.url}${PATH}`, formOf([model('whisper'), model('other')]));
    assert.equal(answer.status, 400);
    assert.equal(errorIn(answer.text).param, 'model');
    assert.equal(first.taken.length + second.taken.length, 0);
  });
});

test('S121 a second model after a long file is refused too, and no upstream gets the complete form', async () => {
  await scene(async ({ gateway, first, second }) => {
    for (const size of [100, 400 * KIB, 3 * KIB * KIB]) {
      for (const isChunked of [false, true]) {
        for (const other of [model('denied'), { ...model('denied'), name: 'model[]' }]) {
          const form = formOf([model('whisper'), file(size), other]);
          const answer = await sendForm(`${gateway.url}${PATH}`, form, { isChunked });
          assert.equal(answer.status, 400, `${size} ${isChunked}: ${answer.text}`);
          assert.equal(errorIn(answer.text).param, 'model');
        }
      }
    }
    assert.equal(first.taken.length + second.taken.length, 0);
    assert.deepEqual((await gateway.readiness()).degraded, []);
  });
});

test('forms that an upstream could parse differently are a 400', async () => {
  await scene(async ({ gateway, first, second }) => {
    const plain = formOf([model('whisper'), file(100)]);
    const empty = formOf([{ ...model('denied'), filename: '' }, model('whisper')]);
    for (const [form, type] of [
      [empty, FORM_TYPE],
      [plain.toString('latin1').replaceAll('\r\n', '\n'), FORM_TYPE],
      [plain, `${FORM_TYPE}; boundary=b`],
    ] as const) {
      const answer = await sendForm(`${gateway.url}${PATH}`, Buffer.from(form as string), { type });
      assert.equal(answer.status, 400, answer.text);
      assert.match(errorIn(answer.text).message, /Ambiguous multipart form/);
    }
    assert.equal(first.taken.length + second.taken.length, 0);
  });
});

test('an upload is forwarded while it arrives, with back-pressure of the upstream', async () => {
  let release: (() => void) | null = null;
  await using slow = await ByteUpstream.start(undefined, (request, response) => {
    let size = 0;
    // Nothing is read until the test says so.
    release = () => {
      request.on('data', (piece: Buffer) => {
        size += piece.length;
      });
      request.on('end', () => response.end(JSON.stringify({ text: String(size) })));
    };
    return true;
  });
  await using gateway = await Gateway.start({
    noauth: true,
    limits: { replay: '128KiB', upload: '64MiB' },
    upstreams: [{ name: 'slow', endpoint: slow.url, token: 'none' }],
  });
  const form = formOf([model('whisper'), file(48 * KIB * KIB)]);
  const { request, answer } = begin(`${gateway.url}${PATH}`, { 'content-type': FORM_TYPE }, form.length);
  const heapBefore = process.memoryUsage().external;
  let written = 0;
  const step = 512 * KIB;
  while (written < form.length && request.write(form.subarray(written, written + step))) written += step;
  await until(() => release !== null, 'the upload reaches the upstream before it is whole');
  // The kernel's buffers take some megabytes; the gateway must not take the rest.
  for (let turn = 0; turn < 40 && request.writableNeedDrain; turn++)
    await new Promise((r) => setTimeout(r, 5));
  written += step;
  request.write(form.subarray(written));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(request.writableLength > 16 * KIB * KIB, `only ${request.writableLength} bytes are held back`);
  assert.ok(process.memoryUsage().external - heapBefore < 32 * KIB * KIB);
  (release as unknown as () => void)();
  request.end();
  assert.equal(JSON.parse((await answer).text).text, String(form.length));
});

test('S65 a client that disconnects in the middle of an upload aborts the request to the upstream, with any on_disconnect', async () => {
  for (const onDisconnect of ['abort', 'finish']) {
    await scene(
      async ({ gateway, first }) => {
        const form = formOf([model('whisper'), file(1024 * KIB)]);
        const id = `leaving-${onDisconnect}`;
        const headers = { 'content-type': FORM_TYPE, 'x-request-id': id };
        const { request } = begin(`${gateway.url}${PATH}`, headers, form.length);
        request.write(form.subarray(0, 600 * KIB));
        await until(() => first.receivedBytes > 500 * KIB, 'the upload is under way');
        request.destroy();
        await until(() => first.broken === 1, 'the call to the upstream ends', 1_000);
        assert.equal((await gateway.rowOf(id)).outcome, 'client_gone');
        assert.deepEqual((await gateway.readiness()).degraded, []);
      },
      { on_disconnect: onDisconnect },
    );
  }
});

test('an upload of which the upstream received nothing fails over completely', async () => {
  await using good = await ByteUpstream.start();
  await using gateway = await Gateway.start({
    noauth: true,
    limits: LIMITS,
    upstreams: [
      { name: 'dead', endpoint: await refusingUrl(), token: 'none', allow: ['whisper'] },
      { name: 'good', endpoint: good.url, token: 'none', models: { whisper: 'whisper-of-good' } },
    ],
  });
  const audio = file(1024 * KIB);
  for (const isChunked of [false, true]) {
    const answer = await sendForm(`${gateway.url}${PATH}`, formOf([model('whisper'), audio]), { isChunked });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['x-tokenferry-upstream'], 'good');
    assert.ok(good.taken.at(-1)?.bytes.equals(formOf([model('whisper-of-good'), audio])));
  }
});

test('an upload of which an upstream received a part is not sent to another one', async () => {
  await using breaking = await ByteUpstream.start(undefined, (request) => {
    request.on('data', () => {
      if (request.socket.bytesRead > 512 * KIB) request.socket.resetAndDestroy();
    });
    return true;
  });
  await using other = await ByteUpstream.start();
  await using gateway = await Gateway.start({
    noauth: true,
    limits: LIMITS,
    upstreams: [
      { name: 'breaking', endpoint: breaking.url, token: 'none' },
      { name: 'other', endpoint: other.url, token: 'none' },
    ],
  });
  const answer = await sendForm(`${gateway.url}${PATH}`, formOf([model('whisper'), file(2 * KIB * KIB)]));
  assert.equal(answer.status, 502, answer.text);
  assert.equal(errorIn(answer.text).code, 'upstream_unreachable');
  assert.equal(other.taken.length, 0);
});

test('a client that writes its whole upload before it reads gets the early response of the upstream', async () => {
  await using early = await ByteUpstream.start(undefined, (_request, response) => {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(
      '{"error":{"message":"no such language","type":"invalid_request_error","code":null,"param":null}}',
    );
    return true;
  });
  await using gateway = await Gateway.start({
    noauth: true,
    limits: { replay: '128KiB', upload: '64MiB' },
    upstreams: [{ name: 'early', endpoint: early.url, token: 'none', allow: ['whisper'] }],
  });
  for (const [name, status] of [
    ['whisper', 400],
    ['nobody-has-this', 404],
  ] as const) {
    const form = formOf([model(name), file(24 * KIB * KIB)]);
    const { request, answer } = begin(`${gateway.url}${PATH}`, { 'content-type': FORM_TYPE }, form.length);
    await new Promise<void>((resolve, reject) => {
      request.on('error', reject);
      request.end(form, resolve);
    });
    assert.equal((await answer).status, status);
  }
});
