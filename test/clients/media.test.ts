import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { runService, type ServiceProcess } from '../helpers/run-service.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { type Client, clientCalled, platformOf, withProgram } from './clients.ts';
import { ADDRESS, HABITS, MediaUpstream, PICTURE, SOUND, TEXT } from './media-upstream.ts';
import type { Report } from './protocol.ts';
import { runClient } from './run-client.ts';

const CLIENT_KEY = 'key-of-the-listeners';

/** The openai packages of the matrix, with the program for sounds and pictures in place of the one for chats. */
const CLIENTS = [
  ...['latest', '6.9.0', '5.23.2', '4.95.1', '4.61.0'].map((version) => `openai-node ${version}`),
  'openai-python',
  'openai-python 2',
].map((name): Client => {
  const client = clientCalled(name);
  return withProgram(client, platformOf(client) === 'node' ? 'openai-media.ts' : 'openai_media.py');
});

let issuer: ScriptedIssuer;
let upstream: MediaUpstream;
let gateway: ServiceProcess;

before(async () => {
  issuer = await ScriptedIssuer.start({ lifetimeMs: 6_000 });
  upstream = await MediaUpstream.start((token) => issuer.isLive(token));
  gateway = await runService({
    authorization: CLIENT_KEY,
    tokens: { corp: issuer.source },
    upstreams: [
      {
        name: 'media',
        endpoint: upstream.url,
        token: 'corp',
        allow: Object.keys(HABITS),
        models: { 'whisper-1': 'hear-canonical' },
      },
    ],
    retry: { same_upstream: 0 },
    dbtype: 'none',
  });
});

after(async () => {
  // Of a file of which no test is selected, Node 24 runs `after` without `before`.
  if (gateway === undefined) return;
  await gateway.stop();
  await Promise.all([upstream.close(), issuer.close()]);
});

/** What a client reads in each way of each model. */
async function readings(client: Client, wishes: readonly (readonly [string, string])[]): Promise<Report[]> {
  const base = { url: `${gateway.url}/v1`, key: CLIENT_KEY, includeUsage: false, tools: false };
  const tasks = wishes.map(([way, model]) => ({ id: `${way} ${model}`, way, model, ...base }));
  const reports = await runClient(client, tasks);
  return tasks.map(({ id }) => reports.get(id) as Report);
}

const modelsFor = (start: string, but: readonly string[] = []) =>
  Object.keys(HABITS).filter((name) => name.startsWith(start) && !but.includes(name));

test('S121 S122 Dify adds and uses models for transcription and speech', async () => {
  const dify = withProgram(clientCalled('Dify SDK'), 'dify_media.py');
  const sha = createHash('sha256').update(SOUND).digest('hex');
  const spoken = modelsFor('speak-', ['speak-address', 'speak-error']);
  const heard = modelsFor('hear-', ['hear-silence']);
  const wishes = [
    ...heard.map((model) => ['transcribe', model] as const),
    ...spoken.flatMap((model) => [['speak', model] as const, ['validate-speak', model] as const]),
  ];
  for (const { id, text, value, error } of await readings(dify, wishes)) {
    assert.equal(error, null, `${id}: ${JSON.stringify(error)}`);
    if (id.startsWith('transcribe')) assert.equal(text, TEXT, id);
    if (id.startsWith('speak')) assert.equal(value, sha, id);
  }
  const [refused] = await readings(dify, [['validate-speak', 'speak-error']]);
  assert.match(refused?.error?.message ?? '', /voice .{0,4}alloy.{0,4} is unknown/);
});

for (const client of CLIENTS) {
  test(`S121 Q161 ${client.name} parses every transcript`, async () => {
    const isNode = client.name.startsWith('openai-node');
    const heard = modelsFor('hear-', ['hear-silence']);
    const ways = [
      'transcribe',
      'transcribe-text',
      'transcribe-verbose',
      ...(isNode ? ['transcribe-file-last'] : []),
    ];
    const before = upstream.forms.length;
    const wishes = ways.flatMap((way) => heard.map((model) => [way, model] as const));
    for (const { id, text, error } of await readings(client, wishes)) {
      assert.equal(error, null, `${id}: ${JSON.stringify(error)}`);
      assert.equal(text, TEXT, id);
    }
    const [silence] = await readings(client, [['transcribe', 'hear-silence']]);
    assert.deepEqual([silence?.error, silence?.text], [null, '']);
    for (const { fields, fileName, fileBytes } of upstream.forms.slice(before)) {
      assert.equal(fields.prompt, 'é');
      assert.equal(fileName, 'Stille Grüße 你好.wav');
      assert.equal(fileBytes.length, 44 + 16_000);
    }
  });

  test(`S121 ${client.name} sends ten megabytes under an alias`, async () => {
    const [long] = await readings(client, [['transcribe-long', 'whisper-1']]);
    assert.deepEqual([long?.error, long?.text], [null, TEXT]);
    const seen = upstream.forms.at(-1);
    assert.equal(seen?.fields.model, 'hear-canonical');
    assert.equal(seen?.fileBytes.length, 44 + 300 * 32_000);
  });

  test(`S122 Q162 ${client.name} gets speech as bytes, and errors as errors`, async () => {
    const spoken = modelsFor('speak-', ['speak-address', 'speak-error']);
    const sha = createHash('sha256').update(SOUND).digest('hex');
    for (const { id, value, error } of await readings(
      client,
      spoken.map((model) => ['speak', model]),
    )) {
      assert.equal(error, null, `${id}: ${JSON.stringify(error)}`);
      assert.deepEqual(value, ['audio/mpeg', sha], id);
    }
    const [address, refused] = await readings(client, [
      ['speak', 'speak-address'],
      ['speak', 'speak-error'],
    ]);
    assert.equal(address?.error?.status, 502);
    assert.match(address?.error?.message ?? '', /not fetched/);
    assert.equal(refused?.error?.status, 400);
    assert.match(refused?.error?.message ?? '', /voice "alloy" is unknown/);
  });

  test(`S123 Q163 ${client.name} gets images in the requested format`, async () => {
    const drawn = modelsFor('draw-', ['draw-address', 'draw-error']);
    for (const { id, value, error } of await readings(
      client,
      drawn.map((model) => ['draw-b64', model]),
    )) {
      assert.equal(error, null, `${id}: ${JSON.stringify(error)}`);
      assert.deepEqual(value, [[PICTURE, null]], id);
    }
    for (const { id, value, error } of await readings(
      client,
      drawn.map((model) => ['draw-url', model]),
    )) {
      assert.equal(error, null, `${id}: ${JSON.stringify(error)}`);
      assert.deepEqual(value, [[null, `data:image/png;base64,${PICTURE}`]], id);
    }
    const [address, refused] = await readings(client, [
      ['draw-b64', 'draw-address'],
      ['draw', 'draw-error'],
    ]);
    assert.deepEqual(address?.value, [[null, ADDRESS]]);
    assert.equal(refused?.error?.status, 400);
    assert.match(refused?.error?.message ?? '', /the prompt is refused/);
  });
}
