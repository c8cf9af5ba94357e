import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { AlertStandIn } from '../helpers/alert-stand-in.ts';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { createRouteDatabase } from '../helpers/route-database.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

/** Each test runs a file that has keys of openai-api-route only; titles are the sentences of its README. */
async function withRoute(config: object, use: (gateway: Gateway) => Promise<void>): Promise<void> {
  await using gateway = await Gateway.start(config);
  await use(gateway);
  await gateway.end();
  assert.match(gateway.log, /treated as a file of openai-api-route/);
}

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

function ask(gateway: Gateway, key: string | null, body: object = CHAT): Promise<Response> {
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  return gateway.post('/v1/chat/completions', body, { headers });
}

const failing = (status: number): Promise<StandInModel> =>
  StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}');
      return true;
    },
  });

test('upstreams are requested in the order of their definition; an error goes to the next, until all have failed', async () => {
  await using first = await failing(500);
  await using second = await failing(503);
  await using third = await StandInModel.start();
  const upstream = (model: StandInModel, sk: string): object => ({ sk, endpoint: model.url });
  const upstreams = [upstream(first, 'a'), upstream(second, 'b'), upstream(third, 'c')];
  await withRoute({ authorization: 'k', upstreams }, async (gateway) => {
    const response = await ask(gateway, 'k');
    assert.equal(response.status, 200);
    await response.text();
    assert.equal(first.received.length, 1);
    assert.equal(second.received.length, 1);
    assert.equal(third.received[0]?.token, 'c');
    third.set({
      intercept: (_request, reply) => {
        reply.writeHead(500).end();
        return true;
      },
    });
    const failed = await ask(gateway, 'k');
    assert.ok(failed.status >= 500);
    errorIn(await failed.text());
  });
});

test('a timeout goes to the next upstream, sooner for a stream', async () => {
  await using silent = await StandInModel.start({ firstDelayMs: 20_000, intercept: () => true });
  await using second = await StandInModel.start();
  const upstreams = [
    { sk: 'a', endpoint: silent.url, timeout: '100s', stream_timeout: '60ms' },
    { sk: 'b', endpoint: second.url },
  ];
  await withRoute({ authorization: 'k', upstreams }, async (gateway) => {
    const response = await ask(gateway, 'k', { ...CHAT, stream: true });
    assert.match(await response.text(), /\[DONE\]/);
    assert.equal(silent.received.length, 1);
  });
  await withRoute(
    { authorization: 'k', upstreams: [{ ...upstreams[0], timeout: '60ms' }, upstreams[1]] },
    async (gateway) => {
      assert.equal((await ask(gateway, 'k')).status, 200);
    },
  );
});

test('a lone upstream has the whole timeout, for a stream as well', async () => {
  await using slow = await StandInModel.start({
    intercept: (_request, response) => {
      setTimeout(
        () => response.end('data: {"choices":[{"delta":{"content":"late"}}]}\n\ndata: [DONE]\n\n'),
        200,
      );
      return true;
    },
  });
  const upstreams = [{ sk: 'a', endpoint: slow.url, stream_timeout: '40ms' }];
  await withRoute({ authorization: 'k', upstreams }, async (gateway) => {
    assert.match(await (await ask(gateway, 'k', { ...CHAT, stream: true })).text(), /late/);
  });
});

test('every path below /v1 is supported, and an upstream’s own path is kept', async () => {
  await using model = await StandInModel.start({
    intercept: (request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ text: request.path }));
      return true;
    },
  });
  const endpoint = model.url.replace('/v1', '/v2');
  await withRoute({ authorization: 'k', upstreams: [{ sk: 'a', endpoint }] }, async (gateway) => {
    const headers = { authorization: 'Bearer k' };
    for (const path of ['/audio/transcriptions', '/moderations', '/anything/else']) {
      const response = await gateway.post(`/v1${path}`, { model: 'm', input: 'x' }, { headers });
      assert.match(await response.text(), new RegExp(`/v2${path}`));
    }
  });
});

test('Prometheus metrics are at /v1/metrics, without a key', async () => {
  await using model = await StandInModel.start();
  await withRoute({ authorization: 'k', upstreams: [{ sk: 'a', endpoint: model.url }] }, async (gateway) => {
    const response = await fetch(`${gateway.url}/v1/metrics`);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /^# TYPE tokenferry_requests_total counter/m);
  });
});

test('every key of the comma-separated list is valid, with or without "Bearer", and the record has which one was used', async () => {
  await using model = await StandInModel.start();
  const config = { authorization: 'woshimima, iampassword', upstreams: [{ sk: 'a', endpoint: model.url }] };
  await withRoute(config, async (gateway) => {
    const clients: (string | null)[] = [];
    for (const authorization of ['Bearer woshimima', 'iampassword']) {
      const response = await gateway.post('/v1/chat/completions', CHAT, { headers: { authorization } });
      assert.equal(response.status, 200);
      await response.text();
      clients.push((await gateway.rowOf(response.headers.get('x-request-id'))).client);
    }
    assert.deepEqual(clients, ['key-1', 'key-2']);
    assert.equal((await ask(gateway, 'another')).status, 401);
  });
});

test('an upstream with its own authorization is only for those keys', async () => {
  await using own = await StandInModel.start();
  await using common = await StandInModel.start();
  const upstreams = [
    { sk: 'a', endpoint: own.url, authorization: 'woshimima' },
    { sk: 'b', endpoint: common.url },
  ];
  await withRoute({ authorization: 'woshimima,iampassword', upstreams }, async (gateway) => {
    await (await ask(gateway, 'iampassword')).text();
    assert.equal(own.received.length, 0);
    assert.equal(common.received.length, 1);
    await (await ask(gateway, 'woshimima')).text();
    assert.equal(own.received.length, 1);
  });
});

test('an upstream with noauth is for everybody, and guests have theirs', async () => {
  await using whisper = await StandInModel.start({
    intercept: (_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{"text":"spoken"}');
      return true;
    },
  });
  await using guests = await StandInModel.start();
  const upstreams = [
    { sk: 'xxx', endpoint: whisper.url, noauth: true, allow: ['/v1/audio/transcriptions'] },
    { sk: 'b', endpoint: guests.url, authorization: 'guest', allow: ['gpt-3.5-turbo-0125'] },
  ];
  await withRoute({ authorization: 'woshimima', upstreams }, async (gateway) => {
    const form = new FormData();
    form.set('file', new Blob(['RIFF']), 'a.wav');
    const open = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', body: form });
    assert.equal(open.status, 200);
    assert.match(await open.text(), /spoken/);
    const turbo = { ...CHAT, model: 'gpt-3.5-turbo-0125' };
    assert.equal((await ask(gateway, 'guest', turbo)).status, 200);
    assert.ok((await ask(gateway, 'woshimima', turbo)).status >= 400);
    assert.equal(guests.received.length, 1);
  });
});

test('allow is checked first, then deny; a body without a model counts as its path', async () => {
  await using allowed = await StandInModel.start();
  await using denied = await StandInModel.start();
  const upstreams = [
    { sk: 'a', endpoint: allowed.url, allow: ['gpt-4', 'gpt-3.5'], deny: ['gpt-4'] },
    { sk: 'b', endpoint: denied.url, deny: ['gpt-3.5'] },
  ];
  await withRoute({ authorization: 'k', upstreams }, async (gateway) => {
    await (await ask(gateway, 'k', { ...CHAT, model: 'gpt-3.5' })).text();
    await (await ask(gateway, 'k', { ...CHAT, model: 'gpt-4' })).text();
    await (await ask(gateway, 'k', { ...CHAT, model: 'other' })).text();
    assert.deepEqual(
      allowed.received.map(({ body }) => body.model),
      ['gpt-3.5'],
    );
    assert.deepEqual(
      denied.received.map(({ body }) => body.model),
      ['gpt-4', 'other'],
    );
  });
});

test('an upstream whose endpoint or sk is empty is a 500, and the log names it', async () => {
  await using model = await StandInModel.start();
  const upstreams = [
    { sk: '', endpoint: model.url, allow: ['broken'] },
    { sk: 'b', endpoint: model.url, deny: ['broken'] },
  ];
  await withRoute({ authorization: 'k', upstreams }, async (gateway) => {
    const response = await ask(gateway, 'k', { ...CHAT, model: 'broken' });
    assert.equal(response.status, 500);
    assert.match(errorIn(await response.text()).message, /upstream-1/);
    assert.equal((await ask(gateway, 'k')).status, 200);
    assert.match(gateway.log, /upstreams\[0\]: invalid, skipped/);
  });
});

test('without keep_header an upstream gets no header of the client but its content type; with it the others too', async () => {
  await using model = await StandInModel.start();
  for (const isKept of [false, true]) {
    const upstreams = [{ sk: 'a', endpoint: model.url, keep_header: isKept }];
    await withRoute({ authorization: 'k', upstreams }, async (gateway) => {
      const headers = { authorization: 'Bearer k', 'x-mine': 'yes', 'content-type': 'application/json' };
      await (await gateway.post('/v1/chat/completions', CHAT, { headers })).text();
      const received = model.received.at(-1)?.headers;
      assert.equal(received?.['x-mine'], isKept ? 'yes' : undefined);
      assert.equal(received?.authorization, 'Bearer a');
    });
  }
});

test('with sk: asis the client’s own authorization goes upstream', async () => {
  await using model = await StandInModel.start();
  const upstreams = [{ sk: 'asis', endpoint: model.url }];
  await withRoute({ authorization: 'k', upstreams }, async (gateway) => {
    await (await ask(gateway, 'k')).text();
    assert.equal(model.received[0]?.token, 'k');
  });
});

test('the record has hostname, upstream, address, user agent, model, status and times; bodies and secrets it has not', async () => {
  await using model = await StandInModel.start();
  const config = {
    hostname: 'node-7',
    authorization: 'client-key-1',
    upstreams: [{ sk: 'upstream-key-1', endpoint: model.url }],
  };
  await withRoute(config, async (gateway) => {
    const headers = { authorization: 'Bearer client-key-1', 'user-agent': 'reader/1' };
    const response = await gateway.post('/v1/chat/completions', CHAT, { headers });
    await response.text();
    const row = (await gateway.rowOf(response.headers.get('x-request-id'))) as unknown as Record<
      string,
      unknown
    >;
    assert.equal(row.hostname, 'node-7');
    assert.equal(row.upstream, 'upstream-1');
    assert.equal(row.ip, '127.0.0.1');
    assert.equal(row.user_agent, 'reader/1');
    assert.equal(row.model, 'm');
    assert.equal(row.status, 200);
    assert.ok(typeof row.elapsed_ms === 'number' && typeof row.first_token_ms === 'number');
    assert.equal(row.body, null);
    assert.doesNotMatch(JSON.stringify(row), /client-key-1|upstream-key-1/);
  });
});

test('when requests fail, Feishu and Matrix get a message in the form of openai-api-route; a client’s own mistake is none', async () => {
  await using service = await AlertStandIn.start((_received, response) => response.end('{"code":0}'));
  await using model = await StandInModel.start({
    intercept: ({ body }, response) => {
      response.writeHead(body.model === 'wrong' ? 400 : 500, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"no"}}');
      return true;
    },
  });
  const config = { authorization: 'k', upstreams: [{ sk: 'a', endpoint: model.url }] };
  const env = { FEISHU_WEBHOOK: service.at('/feishu'), MATRIX_API: service.at('/matrix') };
  await using gateway = await Gateway.start(config, env);
  for (let count = 0; count < 5; count++) await (await ask(gateway, 'k', { ...CHAT, model: 'wrong' })).text();
  assert.equal(service.bodies.length, 0);
  for (let count = 0; count < 5; count++) await (await ask(gateway, 'k')).text();
  await until(() => service.bodies.length >= 2, 'both services have a message');
  const feishu = service.bodies.find((body) => 'msg_type' in body);
  assert.equal(feishu?.msg_type, 'text');
  assert.match((feishu.content as { text: string }).text, /upstream-1 is down/);
  const matrix = service.bodies.find((body) => 'message' in body);
  assert.equal(matrix?.message, 'm.text');
  assert.match(String(matrix.body), /upstream-1/);
  assert.match(gateway.log, /treated as a file of openai-api-route/);
});

test('its database file goes on to be used: the table of openai-api-route stays as it is', async (t) => {
  const file = join(temporaryDirectory(t), 'db.sqlite');
  createRouteDatabase(file, [{ model: 'old' }]);
  await using model = await StandInModel.start();
  const upstreams = [{ sk: 'a', endpoint: model.url }];
  await using gateway = await Gateway.start({ authorization: 'k', upstreams, dbaddr: file });
  const response = await ask(gateway, 'k');
  assert.equal(response.status, 200);
  await response.text();
  await gateway.end();
  const database = new Database(file, { readonly: true });
  try {
    assert.equal(database.prepare('SELECT model FROM records').pluck().get(), 'old');
    assert.equal(database.prepare('SELECT model FROM tokenferry_requests').pluck().get(), 'm');
  } finally {
    database.close();
  }
});
