import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { chunkFrame } from '../helpers/chunk-frame.ts';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { chunkedHead, httpChunk, type RawScript, RawUpstream, silent } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, checkGood, KINDS, type Kind } from './fault-rig.ts';

/** Far beyond what any test here takes: a limit that ends an attempt is the one that the test names. */
const GENEROUS = {
  connect_timeout: '60s',
  timeout: '60s',
  stream_timeout: '60s',
  first_content_timeout: '60s',
  embeddings_timeout: '60s',
  idle_timeout: '60s',
  stream_total_timeout: 0,
  deadline: '120s',
};

const event = (delta: object): string => httpChunk(chunkFrame(delta));
const ROLE = chunkedHead() + event({ role: 'assistant', content: '' });

/** Says these bytes and nothing more. */
const saying =
  (bytes: string): RawScript =>
  async (connection) => {
    await connection.request();
    await connection.write(bytes);
  };

/** Goes on for ever, a word every 40 ms. */
const chatting: RawScript = async (connection) => {
  await connection.request();
  await connection.write(ROLE);
  for (;;) {
    await connection.write(event({ content: 'word ' }));
    await sleep(40);
  }
};

interface Limit {
  readonly key: string;
  readonly kind: Kind;
  readonly upstream: RawScript;
  readonly isTls?: boolean;
  /** Up to where it counts, for the title. */
  readonly goal?: string;
  /** What the client hears of it. */
  readonly status: number;
  readonly says: RegExp;
  /** The limit hurries only an upstream that has another one behind it. */
  readonly withSecond?: boolean;
}

const LIMITS: readonly Limit[] = [
  {
    key: 'connect_timeout',
    kind: 'chat',
    upstream: () => undefined,
    isTls: true,
    status: 502,
    says: /connect timeout, no connection was accepted in time/,
  },
  {
    key: 'timeout',
    kind: 'chat',
    upstream: silent,
    status: 504,
    says: /did not respond within 0\.6 s \(timeout\)/,
  },
  {
    key: 'timeout',
    kind: 'stream',
    upstream: silent,
    status: 504,
    says: /did not respond within 0\.6 s \(timeout\)/,
  },
  {
    key: 'timeout',
    kind: 'stream',
    goal: 'up to its content',
    upstream: saying(ROLE),
    status: 504,
    says: /sent no content within 0\.6 s \(timeout\)/,
  },
  {
    key: 'embeddings_timeout',
    kind: 'embeddings',
    upstream: silent,
    status: 504,
    says: /did not respond within 0\.6 s \(embeddings_timeout\)/,
  },
  {
    key: 'stream_timeout',
    kind: 'stream',
    upstream: silent,
    withSecond: true,
    status: 504,
    says: /did not respond within 0\.6 s \(stream_timeout\)/,
  },
  {
    key: 'first_content_timeout',
    kind: 'stream',
    upstream: saying(ROLE),
    withSecond: true,
    status: 504,
    says: /sent no content within 0\.6 s \(first_content_timeout\)/,
  },
  {
    key: 'deadline',
    kind: 'chat',
    upstream: silent,
    status: 504,
    says: /did not respond within .* \(deadline\)/,
  },
  {
    key: 'idle_timeout',
    kind: 'stream',
    upstream: saying(ROLE + event({ content: 'word ' })),
    status: 200,
    says: /sent nothing for 0\.6 s in the middle of its response \(idle_timeout\)/,
  },
  {
    key: 'stream_total_timeout',
    kind: 'stream',
    upstream: chatting,
    status: 200,
    says: /stream_total_timeout \(0\.6 s\)/,
  },
];

for (const { key, kind, goal, upstream, isTls, status, says, withSecond } of LIMITS) {
  const end = status === 200 ? 'the error event' : `a ${status}`;
  const what = withSecond === true ? 'the next upstream takes over' : `it ends with ${end}`;
  const bounded = goal === undefined ? kind : `${kind} ${goal}`;
  test(`S96 ${key} alone bounds ${bounded}: ${what}`, async () => {
    await using raw = await RawUpstream.start(upstream);
    await using second = await StandInModel.start({ reply: 'all is well' });
    const first = {
      name: 'first',
      endpoint: isTls === true ? raw.tlsUrl : raw.url,
      sk: 'key-of-first',
      allow: ['m'],
    };
    const behind = { name: 'second', endpoint: second.url, sk: 'key-of-second', allow: ['m'] };
    await using gateway = await Gateway.start({
      ...GENEROUS,
      [key]: '600ms',
      upstreams: withSecond === true ? [first, behind] : [first],
    });
    const { response, text, elapsedMs } = await ask(gateway, kind, 'm');
    assert.ok(elapsedMs > 550 && elapsedMs < 20_000, `${elapsedMs} ms`);
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    if (withSecond === true) {
      checkGood(kind, text);
      assert.equal(row.attempts[0]?.outcome, 'timeout');
      return;
    }
    assert.equal(response.status, status, text);
    const error = status === 200 ? checkCanonicalStream(text).error : errorIn(text);
    assert.match(error?.message ?? '', says);
    assert.equal(row.attempts.length, 1);
  });
}

for (const kind of KINDS) {
  test(`S95 ${kind}: the only upstream is called once and retry.same_upstream times more`, async () => {
    let asked = 0;
    await using model = await StandInModel.start({ intercept: (_request, response) => fails(response) });
    const fails = (response: { writeHead(status: number): { end(): void } }): true => {
      asked += 1;
      response.writeHead(503).end();
      return true;
    };
    await using gateway = await Gateway.start({
      dbtype: 'none',
      retry: { same_upstream: 2, backoff: '5ms' },
      upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
    });
    const { response } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 503);
    assert.equal(asked, 3);
  });

  test(`S95 ${kind}: of several upstreams each is called once`, async () => {
    await using model = await StandInModel.start({
      intercept: (_request, response) => {
        response.writeHead(503).end();
        return true;
      },
    });
    const names = ['first', 'second', 'third', 'fourth'];
    await using gateway = await Gateway.start({
      dbtype: 'none',
      retry: { same_upstream: 5, backoff: '5ms' },
      upstreams: names.map((name) => ({ name, endpoint: model.url, sk: `key-of-${name}`, allow: ['m'] })),
    });
    const { response } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 503);
    const tokens = model.received.map(({ token }) => token);
    assert.deepEqual(
      tokens,
      names.map((name) => `key-of-${name}`),
    );
  });
}
