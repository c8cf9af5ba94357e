import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Sends a body in chunks, without a content-length. */
function postChunked(
  gateway: Gateway,
  path: string,
  type: string,
  pieces: readonly Buffer[],
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${gateway.url}${path}`,
      { method: 'POST', headers: { 'content-type': type, 'transfer-encoding': 'chunked' } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on('error', reject);
    for (const piece of pieces) request.write(piece);
    request.end();
  });
}

async function scene(
  run: (gateway: Gateway, model: StandInModel) => Promise<void>,
  limits = {},
): Promise<void> {
  await using model = await StandInModel.start({
    intercept: (request, response) => {
      if (!/^\/v1\/(?:responses|audio|files)/.test(request.path)) return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ got: request.text.length }));
      return true;
    },
  });
  await using gateway = await Gateway.start({
    noauth: true,
    limits,
    upstreams: [{ name: 'only', endpoint: model.url, token: 'none', allow: ['m1', '/v1/files'] }],
  });
  await run(gateway, model);
}

test('a chunked JSON body is parsed for its model on passed-through paths too', async () => {
  await scene(async (gateway, model) => {
    const text = JSON.stringify({ model: 'm1', input: 'x'.repeat(1000) });
    const answer = await postChunked(gateway, '/v1/responses', 'application/json', [
      Buffer.from(text.slice(0, 300)),
      Buffer.from(text.slice(300)),
    ]);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(model.received.at(-1)?.text, text);
  });
});

test('S18 JSON is parsed for its model on passed-through paths with any content-type, and a model that is not allowed is refused', async () => {
  await scene(async (gateway, model) => {
    for (const type of [
      null,
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/octet-stream',
    ]) {
      const send = (text: string) =>
        fetch(`${gateway.url}/v1/responses`, {
          method: 'POST',
          // Bytes, since a text would get a type from the client.
          body: Buffer.from(text),
          ...(type !== null && { headers: { 'content-type': type } }),
        });
      const text = ' \r\n{ "model" : "m1", "input": 1.0 }';
      assert.equal((await send(text)).status, 200, String(type));
      assert.equal(model.received.at(-1)?.text, text);
      assert.equal(model.received.at(-1)?.headers['content-type'] ?? null, type);
      const before = model.received.length;
      assert.equal((await send('\ufeff{"model":"other"}')).status, 404);
      assert.equal((await send('{"model":"m1","model":"other"}')).status, 400);
      assert.equal(model.received.length, before);
    }
  });
});

test('S20 a JSON content-type without valid JSON is a 400 on passed-through paths too, and nothing is sent', async () => {
  await scene(async (gateway, model) => {
    const text = '{"model":"m1","input":"é"}';
    const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le');
    for (const [body, more] of [
      [Buffer.from('{"model":"denied","x":NaN}')],
      [Buffer.from("{'model':'denied'}")],
      [Buffer.from('{"model":"denied",}')],
      [Buffer.from('{"model":"denied"}{"model":"m1"}')],
      [Buffer.from('model=denied')],
      [Buffer.from(' ')],
      [Buffer.from('{"model":"denied","x":NaN}'), { 'content-encoding': 'gzip' }],
      [Buffer.from(text, 'latin1')],
      [utf16],
      [utf16.subarray(2)],
      [Buffer.from(utf16).swap16()],
    ] as const) {
      for (const type of ['application/json', 'Application/Vnd.x+JSON; charset=utf-16']) {
        const response = await fetch(`${gateway.url}/v1/files`, {
          method: 'POST',
          headers: { 'content-type': type, ...more },
          body,
        });
        const answer = await response.text();
        assert.equal(response.status, 400, `${body}: ${answer}`);
        assert.equal(errorIn(answer).code, 'invalid_json');
        assert.doesNotMatch(answer, /denied/);
      }
    }
    assert.equal(model.received.length, 0);
  });
});

test('JSON that is not an object, several JSON documents, and compressed JSON are passed through', async () => {
  await scene(async (gateway, model) => {
    for (const [body, headers] of [
      [Buffer.from('[{"model":"other"}]'), { 'content-type': 'application/json' }],
      [Buffer.from('\ufeff{"x":1.0}'), { 'content-type': 'application/json; charset=utf-8' }],
      [Buffer.from('{"x":1}\n{"x":2}\n'), { 'content-type': 'application/jsonl' }],
      [Buffer.from('\u001e{"x":1}\n\u001e{"x":2}\n'), { 'content-type': 'application/json-seq' }],
      [gzipSync('{"x":1}'), { 'content-type': 'application/json', 'content-encoding': 'gzip' }],
    ] as const) {
      const response = await fetch(`${gateway.url}/v1/files`, { method: 'POST', headers, body });
      assert.equal(response.status, 200, await response.text());
      assert.equal(model.received.at(-1)?.headers['content-type'], headers['content-type']);
    }
    assert.equal((await postChunked(gateway, '/v1/files', 'application/json', [])).status, 200);
  });
});

test('a passed-through JSON body of millions of objects, strings or numbers is refused before it is parsed', async () => {
  await scene(async (gateway, model) => {
    for (const [more, what] of [
      [`"x":${'['.repeat(300_000)}`, 'levels of nesting'],
      [`"x":[${'[],'.repeat(1_000_000)}0]`, 'arrays and objects'],
      [`"x":[${'"",'.repeat(1_000_000)}0]`, 'texts and keys'],
      [`"x":[${'10,'.repeat(4_000_000)}0]`, 'values'],
      [`${'"x":0,'.repeat(100_000)}"x":0`, 'keys at its top level'],
    ]) {
      const response = await gateway.post('/v1/files', `{"model":"m1",${more}}`);
      assert.equal(response.status, 400);
      assert.match(await response.text(), new RegExp(`more than \\d+ ${what}`));
    }
    assert.equal(model.received.length, 0);
    assert.equal(
      (await gateway.post('/v1/files', `{"model":"m1","x":"${'['.repeat(300_000)}"}`)).status,
      200,
    );
  });
});

test('an upload beyond limits.upload is 413 and no failure of the upstream', async () => {
  await scene(
    async (gateway) => {
      const pieces = Array.from({ length: 64 }, () => Buffer.alloc(16 * 1024));
      const answer = await postChunked(gateway, '/v1/files', 'application/octet-stream', pieces);
      assert.equal(answer.status, 413, answer.text);
      assert.match(answer.text, /limits\.upload/);
      assert.deepEqual((await gateway.readiness()).degraded, []);
    },
    { upload: '256KiB', replay: '64KiB' },
  );
});

test('an upload within the limits is streamed through whole', async () => {
  await scene(
    async (gateway, model) => {
      const pieces = Array.from({ length: 16 }, (_, index) => Buffer.alloc(16 * 1024, 65 + index));
      const answer = await postChunked(gateway, '/v1/files', 'application/octet-stream', pieces);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(model.received.at(-1)?.text, Buffer.concat(pieces).toString());
    },
    { upload: '1MiB', replay: '64KiB' },
  );
});
