import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { Gateway, until } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const IMAGE = `data:image/png;base64,${'iVBORw0KGgo'.repeat(200)}`;
const CLIENT_KEY = 'client-key-8c1d5f';

interface Line {
  readonly message: string;
  readonly level: string;
  readonly id?: string;
  readonly body?: string;
  readonly chunk?: string;
  readonly chunks?: number;
}

function linesOf(gateway: Gateway, message: string): Line[] {
  return gateway.log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.message === message);
}

async function chat(gateway: Gateway, isStream: boolean, text = 'mail a@corp.example'): Promise<string> {
  const content = [
    { type: 'text', text },
    { type: 'image_url', image_url: { url: IMAGE } },
  ];
  const response = await gateway.post(
    '/v1/chat/completions',
    { model: 'm', stream: isStream, messages: [{ role: 'user', content }] },
    { headers: { authorization: `Bearer ${CLIENT_KEY}` } },
  );
  const body = await response.text();
  assert.equal(response.status, 200, body);
  return body;
}

async function start(log: object, record: object = {}) {
  const issuer = await ScriptedIssuer.start({ makeToken: (serial) => `issued-token-${serial}-af93e1` });
  const model = await StandInModel.start({ reply: 'one two three', wordDelayMs: 0 });
  const gateway = await Gateway.start({
    authorization: CLIENT_KEY,
    record,
    log: { format: 'json', ...log },
    tokens: {
      corp: {
        type: 'oauth2',
        token_url: issuer.tokenUrl,
        client_id: 'app',
        client_secret: 'issuer-secret-d03f',
      },
    },
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp', allow: ['m'] }],
  });
  return {
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await model.close();
      await issuer.close();
    },
  };
}

test('at level debug each request has its payload and its response, a stream assembled with its chunk count, without secrets', async () => {
  await using stage = await start({ level: 'debug' });
  const { gateway } = stage;
  await chat(gateway, false);
  const sent = await chat(gateway, true);
  await until(() => linesOf(gateway, 'response').length === 2, 'both responses');
  const payloads = linesOf(gateway, 'request payload');
  const [whole, streamed] = linesOf(gateway, 'response');
  assert.equal(payloads.length, 2);
  for (const { level, body = '' } of payloads) {
    assert.equal(level, 'debug');
    assert.match(body, /\[data image\/png \d+ bytes\]/);
    assert.match(body, /mail \[email\]/);
    assert.ok(!body.includes('iVBORw0KGgo'));
  }
  assert.equal(whole?.id, payloads[0]?.id);
  assert.equal(whole?.chunks, undefined);
  assert.match(whole?.body ?? '', /"content":"one two three"/);
  assert.match(streamed?.body ?? '', /"content":"one two three"/, 'assembled');
  assert.equal(streamed?.chunks, sent.match(/^data: \{/gm)?.length);
  assert.deepEqual(linesOf(gateway, 'response chunk'), []);
  for (const secret of ['issued-token-1-af93e1', CLIENT_KEY, 'issuer-secret-d03f'])
    assert.ok(!gateway.log.includes(secret), secret);
  const row = await gateway.rowOf(whole?.id ?? null);
  assert.equal(row.body, null, 'the request log keeps bodies by record.content only');
  assert.equal(row.response, null);
});

test('`log.bodies: chunks` writes each piece as it is sent as well', async () => {
  await using stage = await start({ level: 'debug', bodies: 'chunks' });
  await chat(stage.gateway, true);
  await until(() => linesOf(stage.gateway, 'response').length === 1, 'the response');
  const chunks = linesOf(stage.gateway, 'response chunk');
  assert.ok(chunks.length > 1);
  const text = chunks.map(({ chunk }) => chunk).join('\n');
  for (const word of ['one', 'two', 'three']) assert.ok(text.includes(word), word);
});

test('bodies are cut at record.max_body', async () => {
  await using stage = await start({ level: 'debug' }, { max_body: 500, content: 'all' });
  await chat(stage.gateway, false, 'x'.repeat(3_000));
  await until(() => linesOf(stage.gateway, 'response').length === 1, 'the response');
  const body = linesOf(stage.gateway, 'request payload')[0]?.body ?? '';
  assert.match(body, /… \[\d+ bytes, cut at 500\]$/);
  assert.ok(body.length < 600);
});

test('a reload turns the log of bodies on and off while requests run', async () => {
  await using stage = await start({ level: 'info' });
  const { gateway } = stage;
  const file = join(gateway.folder, 'config.yaml');
  const withLevel = async (level: string) => {
    const config = parse(readFileSync(file, 'utf8')) as { log: object };
    writeFileSync(file, stringify({ ...config, log: { ...config.log, level } }));
    assert.equal(await gateway.service.reload(), true);
  };
  await chat(gateway, false);
  await withLevel('debug');
  await chat(gateway, true);
  await until(() => linesOf(gateway, 'response').length === 1, 'the response');
  await withLevel('info');
  await chat(gateway, false);
  await gateway.end();
  assert.equal(linesOf(gateway, 'request payload').length, 1);
  assert.equal(linesOf(gateway, 'request').length, 3, 'and the lines of requests as before');
});
