import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../../src/lib/secret.ts';
import { AttemptTimer } from '../../src/upstream/attempt-timer.ts';
import { type UpstreamCall, UpstreamClient, type UpstreamCredentials } from '../../src/upstream/client.ts';
import { UpstreamStatusError } from '../../src/upstream/response.ts';
import { httpAnswer, type RawScript, RawUpstream } from '../helpers/raw-upstream.ts';

const BODY = Buffer.from('{"model":"m"}');

function clientFor(url: string, credentials: UpstreamCredentials): UpstreamClient {
  const endpoint = new URL(url);
  return new UpstreamClient({
    name: 'chat',
    connection: { origin: endpoint.origin, connectTimeoutMs: 1_000, maxHeaderBytes: 16_384 },
    paths: { endpoint, query: { 'api-version': '1' }, paths: {} },
    headers: { headers: { 'X-Fixed': 'yes' }, forwardHeaders: ['x-user'], isKeepingHeaders: false },
    credentials,
  });
}

function newCall(facts: Partial<UpstreamCall> = {}): UpstreamCall {
  return {
    method: 'POST',
    path: '/chat/completions',
    query: '',
    model: 'm',
    clientHeaders: { 'content-type': 'application/json', 'x-user': 'u', cookie: 'c=1' },
    body: BODY,
    isJson: true,
    signal: new AbortController().signal,
    timer: new AttemptTimer(() => undefined),
    headersTimeoutMs: 0,
    headersTimeoutKey: null,
    tokenWaitMs: 1_000,
    tokenWaitedMs: 0,
    waitedForTokenMs: 0,
    connectMs: 0,
    ...facts,
  };
}

async function withClient(
  script: RawScript,
  use: (client: UpstreamClient, upstream: RawUpstream) => Promise<void>,
  credentials: UpstreamCredentials = { kind: 'key', key: new Secret('key-of-chat'), scheme: 'Bearer' },
): Promise<void> {
  await using upstream = await RawUpstream.start(script);
  const client = clientFor(upstream.url, credentials);
  try {
    await use(client, upstream);
  } finally {
    await client.close();
  }
}

test('the request has the client’s bytes and the prepared headers, and nothing that the SDK takes from the environment', async (t) => {
  const environment = {
    OPENAI_API_KEY: 'leak',
    OPENAI_ADMIN_KEY: 'leak',
    OPENAI_ORG_ID: 'leak',
    OPENAI_PROJECT_ID: 'leak',
    OPENAI_BASE_URL: 'http://127.0.0.1:9/leak',
    OPENAI_CUSTOM_HEADERS: 'x-leak: leak',
  };
  for (const [name, value] of Object.entries(environment)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
  let sent = '';
  const script: RawScript = async (connection) => {
    sent = await connection.request();
    await connection.write(httpAnswer('{"ok":true}'));
  };
  await withClient(script, async (client, upstream) => {
    const response = await client.call(newCall());
    assert.equal(response.status, 200);
    assert.equal(String(await response.body.readAll(1_000)), '{"ok":true}');
    assert.deepEqual(sent.split('\r\n'), [
      'POST /v1/chat/completions?api-version=1 HTTP/1.1',
      `host: 127.0.0.1:${upstream.port}`,
      'connection: keep-alive',
      'x-fixed: yes',
      'content-type: application/json',
      'x-user: u',
      'authorization: Bearer key-of-chat',
      `content-length: ${BODY.length}`,
      '',
      String(BODY),
    ]);
  });
});

test('any status but 2xx rejects with the original error text', async () => {
  for (const [status, text] of [
    [429, '{"error":{"message":"slow down","n":12345678901234567890}}'],
    [500, 'no JSON'],
    [304, ''],
    [401, '[1,2]'],
  ] as const) {
    const script: RawScript = async (connection) => {
      await connection.request();
      await connection.write(httpAnswer(text, { status, headers: { 'x-should-retry': 'true' } }));
    };
    await withClient(script, async (client, upstream) => {
      await assert.rejects(client.call(newCall()), (error) => {
        assert.ok(error instanceof UpstreamStatusError);
        assert.deepEqual([error.response.status, error.text], [status, text]);
        return true;
      });
      assert.equal(upstream.connections, 1);
    });
  }
});

test('the reason of the abort is the error, before the headers and in the body, and the connection is closed', async () => {
  for (const head of ['', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{']) {
    const controller = new AbortController();
    const reason = new Error('timed out by the test');
    let closed: Promise<unknown> = Promise.resolve();
    const script: RawScript = async (connection) => {
      await connection.request();
      closed = new Promise((resolve) => connection.socket.once('close', resolve));
      if (head === '') controller.abort(reason);
      else await connection.write(head);
    };
    await withClient(script, async (client) => {
      const call = client.call(newCall({ signal: controller.signal }));
      if (head === '') await assert.rejects(call, reason);
      else {
        const { body } = await call;
        const whole = body.readAll(1_000);
        controller.abort(reason);
        await assert.rejects(whole, reason);
      }
      await closed;
    });
  }
});

test('a call that is aborted already sends nothing', async () => {
  await withClient(
    () => undefined,
    async (client, upstream) => {
      const reason = new Error('gone');
      await assert.rejects(client.call(newCall({ signal: AbortSignal.abort(reason) })), reason);
      assert.equal(upstream.connections, 0);
    },
  );
});
