import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { dripping, httpAnswer, RawUpstream } from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { answerText, ByteUpstream, begin, FORM_TYPE, formOf, sendForm } from './pass-through-rig.ts';

const MP3 = Buffer.concat([
  Buffer.from('ID3\x04\x00\x00'),
  Buffer.from([0xff, 0xfb, 0x90, 0x64]),
  Buffer.alloc(80, 7),
]);
const FORM = formOf([
  { name: 'model', value: 'm' },
  { name: 'file', filename: 'a.wav', value: Buffer.alloc(100) },
]);

/** A whole answer with bytes that are no text. */
function bytesAnswer(body: Buffer, type: string): Buffer {
  return Buffer.concat([
    Buffer.from(httpAnswer('', { headers: { 'content-type': type, 'content-length': String(body.length) } })),
    body,
  ]);
}

async function withUpstream(url: string, run: (gateway: Gateway) => Promise<void>): Promise<void> {
  await using gateway = await Gateway.start({
    noauth: true,
    upstreams: [{ name: 'one', endpoint: url, token: 'none' }],
  });
  await run(gateway);
}

test('S121 S122 S123 responses that arrive byte by byte are parsed the same', async () => {
  for (const [path, body, type, expected] of [
    ['/v1/audio/transcriptions', '{"result":"Grüße, 你好"}', 'application/json', '{"text":"Grüße, 你好"}'],
    ['/v1/audio/transcriptions', '  {"text":"Grüße"}', 'text/html', '  {"text":"Grüße"}'],
    ['/v1/audio/transcriptions', '你好', 'text/plain', '{"text":"你好"}'],
    ['/v1/audio/speech', MP3, 'application/json', MP3],
    ['/v1/audio/speech', JSON.stringify({ audio: MP3.toString('base64') }), 'application/json', MP3],
    ['/v1/images/generations', 'data: {"type":"x"}\n\n', 'text/event-stream', 'data: {"type":"x"}\n\n'],
  ] as const) {
    await using raw = await RawUpstream.start(dripping(bytesAnswer(Buffer.from(body), type), 0));
    await withUpstream(raw.url, async (gateway) => {
      const isForm = path.endsWith('transcriptions');
      const init = isForm ? { headers: { 'content-type': FORM_TYPE }, body: FORM } : {};
      const response = await gateway.post(path, { model: 'm', input: 'x', prompt: 'x' }, init);
      const bytes = Buffer.from(await response.arrayBuffer());
      assert.equal(response.status, 200, bytes.toString());
      assert.ok(bytes.equals(Buffer.from(expected)), bytes.toString());
    });
  }
});

test('tokens that the upstream counted are in the record', async () => {
  await using upstream = await ByteUpstream.start(
    answerText(
      '{"text":"ok","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59}}',
    ),
  );
  await withUpstream(upstream.url, async (gateway) => {
    const answer = await sendForm(`${gateway.url}/v1/audio/transcriptions`, FORM);
    const row = await gateway.rowOf(String(answer.headers['x-request-id']));
    assert.equal(row.completion_tokens, 45);
  });
});

test('speech that is cut is cut for the client too, and recorded as stream_broken', async () => {
  await using upstream = await ByteUpstream.start((_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': '1000' });
    response.write(MP3);
    setTimeout(() => response.destroy(), 20);
  });
  await withUpstream(upstream.url, async (gateway) => {
    const id = 'broken-speech';
    const { request, answer } = begin(`${gateway.url}/v1/audio/speech`, {
      'content-type': 'application/json',
      'x-request-id': id,
    });
    request.end('{"model":"m","input":"x"}');
    await assert.rejects(answer);
    assert.equal((await gateway.rowOf(id)).outcome, 'stream_broken');
  });
});

test('a token rejected in the body of a 200 is renewed and the request replayed for audio and images too', async () => {
  await using issuer = await ScriptedIssuer.start();
  const good = {
    '/v1/audio/transcriptions': answerText('{"text":"ok"}'),
    '/v1/audio/speech': answerText(MP3, 'audio/mpeg'),
    '/v1/images/generations': answerText('{"created":1,"data":[{"url":"https://a.example/x"}]}'),
  } as const;
  for (const refusal of [
    '{"error_code":111,"error_msg":"Access token expired"}',
    'data: {"error_code":111}\n\n',
  ]) {
    await using upstream = await ByteUpstream.start((request, response) => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const answering = issuer.isLive(token) ? good[request.path as keyof typeof good] : answerText(refusal);
      return answering(request, response);
    });
    await using gateway = await Gateway.start({
      noauth: true,
      tokens: { corp: { ...issuer.source, reject: { body: [{ '/error_code': [110, 111] }] } } },
      upstreams: [{ name: 'one', endpoint: upstream.url, token: 'corp' }],
    });
    for (const path of Object.keys(good)) {
      issuer.revokeAll();
      const answer = path.endsWith('transcriptions')
        ? await sendForm(`${gateway.url}${path}`, FORM)
        : await gateway.post(path, { model: 'm', input: 'x' });
      assert.equal(answer.status, 200, path);
      if (answer instanceof Response) await answer.arrayBuffer();
    }
  }
});
