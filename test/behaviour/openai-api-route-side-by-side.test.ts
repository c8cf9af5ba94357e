/**
 * The binary of openai-api-route and tokenferry beside each other: the same file, the same stand-ins, the same requests. Runs
 * when `OPENAI_API_ROUTE` is the path of the binary (docs/migrate.md says how it is built), and is skipped without it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { stringify } from 'yaml';
import { freePort } from '../helpers/free-port.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { StandInModel, type StandInOptions } from '../helpers/stand-in-model.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const BINARY = process.env.OPENAI_API_ROUTE;
const options = {
  skip: BINARY === undefined ? 'OPENAI_API_ROUTE does not name the binary of openai-api-route' : false,
};

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

/** What a client sees, and which upstreams were called for it. */
interface Outcome {
  readonly status: number;
  readonly text: string;
  readonly called: readonly string[];
}

interface Asked {
  readonly key?: string | null;
  readonly body?: object | FormData;
  readonly path?: string;
  readonly method?: string;
}

async function ask(url: string, models: readonly StandInModel[], asked: Asked): Promise<Outcome> {
  const { key = 'k', body = CHAT, path = '/v1/chat/completions', method = 'POST' } = asked;
  const before = models.map(({ received }) => received.length);
  const isForm = body instanceof FormData;
  const headers: Record<string, string> = isForm ? {} : { 'content-type': 'application/json' };
  if (key !== null) headers.authorization = `Bearer ${key}`;
  const sent = method === 'GET' ? {} : { body: isForm ? body : JSON.stringify(body) };
  const response = await fetch(`${url}${path}`, { method, headers, ...sent });
  const text = await response.text();
  const called = models.flatMap(({ received }, index) =>
    received.slice(before[index]).map(({ token }) => token),
  );
  return { status: response.status, text, called };
}

interface Sides {
  readonly theirs: (asked?: Asked) => Promise<Outcome>;
  readonly ours: (asked?: Asked) => Promise<Outcome>;
  /** Runs the request at both; they agree on who was called and on the kind of status. */
  readonly agree: (asked?: Asked) => Promise<Outcome>;
  readonly models: readonly StandInModel[];
  readonly gateway: Gateway;
  readonly database: string;
}

type Upstream = Readonly<Record<string, unknown>> & { readonly model?: StandInOptions };

/** Both with one file; each upstream gets a stand-in of its own unless it has an endpoint. */
async function sideBySide(
  t: TestContext,
  file: Readonly<Record<string, unknown>>,
  upstreams: readonly Upstream[],
): Promise<Sides> {
  const folder = temporaryDirectory(t);
  const models = await Promise.all(upstreams.map(({ model }) => StandInModel.start(model)));
  const written = upstreams.map(({ model: _model, path = '/v1', ...rest }, index) => ({
    endpoint: models[index]?.url.replace(/\/v1$/, String(path)),
    sk: `sk-${index + 1}`,
    ...rest,
  }));
  const port = await freePort();
  const config = { ...file, upstreams: written };
  const database = join(folder, 'theirs.sqlite');
  const configFile = join(folder, 'config.yaml');
  writeFileSync(configFile, stringify({ ...config, address: `127.0.0.1:${port}`, dbaddr: database }));
  const process_ = spawn(BINARY ?? '', ['-config', configFile], { cwd: folder, stdio: 'ignore' });
  const gateway = await Gateway.start(config);
  t.after(async () => {
    await stop(process_);
    await gateway.close();
    await Promise.all(models.map((model) => model.close()));
  });
  const url = `http://127.0.0.1:${port}`;
  let isUp = false;
  void waitFor(url).then(() => {
    isUp = true;
  });
  await until(() => isUp, 'openai-api-route listens');
  const theirs = (asked: Asked = {}): Promise<Outcome> => ask(url, models, asked);
  const ours = (asked: Asked = {}): Promise<Outcome> => ask(gateway.url, models, asked);
  const agree = async (asked: Asked = {}): Promise<Outcome> => {
    const first = await theirs(asked);
    const second = await ours(asked);
    assert.deepEqual(second.called, first.called, `${first.text}\n${second.text}`);
    assert.equal(second.status < 300, first.status < 300, `${first.status} and ${second.status}`);
    return second;
  };
  return { theirs, ours, agree, models, gateway, database };
}

async function waitFor(url: string): Promise<void> {
  for (;;) {
    const isThere = await fetch(`${url}/v1/metrics`).then(
      (response) => response.ok,
      () => false,
    );
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function stop(process_: ChildProcess): Promise<void> {
  if (process_.exitCode !== null) return;
  process_.kill();
  await once(process_, 'exit');
}

const status = (code: number): StandInOptions => ({
  intercept: (_request, response) => {
    response.writeHead(code, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}');
    return true;
  },
});
const silent: StandInOptions = { intercept: () => true };

test('the order, with failures and timeouts, is the same', options, async (t) => {
  const upstreams = [{ model: status(500) }, { model: silent, timeout: 1, stream_timeout: 1 }, {}];
  const { agree } = await sideBySide(t, { authorization: 'k' }, upstreams);
  assert.deepEqual((await agree()).called, ['sk-1', 'sk-2', 'sk-3']);
});

test('a stream goes on after the shorter timeout, and its text is the same', options, async (t) => {
  const { theirs, ours } = await sideBySide(t, { authorization: 'k' }, [
    { model: silent, stream_timeout: 1 },
    {},
  ]);
  const asked = { body: { ...CHAT, stream: true } };
  const textOf = ({ text }: Outcome): string =>
    [...text.matchAll(/"content":"([^"]*)"/g)].map(([, word]) => word).join('');
  const [first, second] = [await theirs(asked), await ours(asked)];
  assert.deepEqual(second.called, first.called);
  assert.equal(textOf(second), textOf(first));
  assert.match(textOf(second), /^The ferry crosses/);
});

test('when all have failed both return an error of an upstream', options, async (t) => {
  const { agree } = await sideBySide(t, { authorization: 'k' }, [
    { model: status(500) },
    { model: status(503) },
  ]);
  assert.ok((await agree()).status >= 500);
});

test('keys by comma, keys of an upstream and open upstreams admit the same clients', options, async (t) => {
  const { agree } = await sideBySide(t, { authorization: 'k, second' }, [
    { authorization: 'k' },
    { noauth: true, allow: ['open'] },
    {},
  ]);
  assert.deepEqual((await agree()).called, ['sk-1']);
  assert.deepEqual((await agree({ key: 'second' })).called, ['sk-3']);
  assert.deepEqual((await agree({ key: null, body: { ...CHAT, model: 'open' } })).called, ['sk-2']);
});

test('allow and deny choose the same upstreams, and an upload counts as its path', options, async (t) => {
  const { agree } = await sideBySide(t, { authorization: 'k' }, [
    { allow: ['/v1/audio/transcriptions'], model: { intercept: transcript } },
    { allow: ['a', 'b'], deny: ['b'] },
    { deny: ['c'] },
  ]);
  assert.deepEqual((await agree({ body: { ...CHAT, model: 'a' } })).called, ['sk-2']);
  assert.deepEqual((await agree({ body: { ...CHAT, model: 'b' } })).called, ['sk-3']);
  assert.deepEqual((await agree({ body: { ...CHAT, model: 'c' } })).called, []);
  const form = new FormData();
  form.set('file', new Blob(['RIFF']), 'a.wav');
  assert.deepEqual((await agree({ path: '/v1/audio/transcriptions', body: form })).called, ['sk-1']);
});

const transcript: NonNullable<StandInOptions['intercept']> = (_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end('{"text":"spoken"}');
  return true;
};

test('an endpoint without a path is called at /v1', options, async (t) => {
  const { theirs, ours, models } = await sideBySide(t, { authorization: 'k' }, [{ path: '' }]);
  for (const side of [theirs, ours]) {
    assert.equal((await side()).status, 200);
    assert.equal(models[0]?.received.at(-1)?.path, '/v1/chat/completions');
  }
});

test('sk: asis sends the client’s key', options, async (t) => {
  const { agree } = await sideBySide(t, { authorization: 'k' }, [{ sk: 'asis' }]);
  assert.deepEqual((await agree()).called, ['k']);
});

test('both record who asked for what, and how it ended', options, async (t) => {
  const { agree, gateway, database } = await sideBySide(t, { authorization: 'k', hostname: 'node-7' }, [{}]);
  await agree();
  await until(() => gateway.rows().length === 1, 'our record');
  const [ours] = gateway.rows() as unknown as readonly Record<string, unknown>[];
  let theirs: Record<string, unknown> | undefined;
  await until(() => {
    const connection = new Database(database, { readonly: true });
    theirs = connection.prepare('SELECT * FROM records').get() as Record<string, unknown> | undefined;
    connection.close();
    return theirs !== undefined;
  }, 'their record');
  for (const column of ['hostname', 'ip', 'model', 'status', 'user_agent'] as const)
    assert.equal(ours?.[column], theirs?.[column], column);
  assert.equal(theirs?.upstream_sk, 'sk-1');
  assert.doesNotMatch(JSON.stringify(ours), /sk-1/);
});

test('where they differ, it is as docs/migrate.md lists it', options, async (t) => {
  const { theirs, ours, models } = await sideBySide(t, { authorization: 'k' }, [
    { model: status(400), allow: ['wrong'] },
    { path: '/v2' },
  ]);
  // An invalid key.
  assert.equal((await theirs({ key: 'x' })).status, 403);
  assert.equal((await ours({ key: 'x' })).status, 401);
  // An error of the client's own request goes through the whole chain there.
  const wrong = { body: { ...CHAT, model: 'wrong' } };
  assert.deepEqual((await theirs(wrong)).called, ['sk-1', 'sk-2']);
  const refused = await ours(wrong);
  assert.deepEqual(refused.called, ['sk-1']);
  assert.equal(refused.status, 400);
  // The endpoint's own path, which its document shows, is ignored by its code.
  await theirs();
  assert.equal(models[1]?.received.at(-1)?.path, '/v1/chat/completions');
  await ours();
  assert.equal(models[1]?.received.at(-1)?.path, '/v2/chat/completions');
  // The list of models.
  assert.equal((await theirs({ method: 'GET', path: '/v1/models' })).status, 404);
  assert.equal((await ours({ method: 'GET', path: '/v1/models' })).status, 200);
});
