import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, request } from 'undici';
import {
  answering,
  chunkedHead,
  cutAfter,
  dripping,
  giantHeaders,
  httpAnswer,
  httpChunk,
  nonsense,
  RawUpstream,
  redirecting,
  refusingUrl,
  resetAfterRequest,
  silent,
  staleAfter,
} from './raw-upstream.ts';

/** The code of the error with which a request ends, or its status and text. */
async function outcomeOf(url: string, dispatcher = new Agent()): Promise<string> {
  try {
    const { statusCode, body } = await request(url, { method: 'POST', body: '{}', dispatcher });
    return `${statusCode} ${await body.text()}`;
  } catch (error) {
    const { code, name } = error as { code?: string; name: string };
    return code ?? name;
  }
}

test('each script has the fault that it is named after', async (t) => {
  const good = httpAnswer('{"ok":1}');
  const cases = [
    [answering(good), '200 {"ok":1}'],
    [dripping(good, 0, 9), '200 {"ok":1}'],
    [resetAfterRequest, 'ECONNRESET'],
    [cutAfter(good, good.length - 3), 'UND_ERR_SOCKET'],
    [cutAfter(good, good.length - 3, true), 'ECONNRESET'],
    [giantHeaders(40_000), 'UND_ERR_HEADERS_OVERFLOW'],
    [redirecting('http://elsewhere.example/'), '302 '],
    [answering(chunkedHead() + httpChunk('data: 1\n\n') + httpChunk('')), '200 data: 1\n\n'],
    [nonsense, 'HTTPParserError'],
  ] as const;
  for (const [script, expected] of cases) {
    const upstream = await RawUpstream.start(script);
    t.after(() => upstream.close());
    assert.equal(await outcomeOf(upstream.url), expected);
  }
});

test('a silent upstream accepts and never responds', async (t) => {
  const upstream = await RawUpstream.start(silent);
  t.after(() => upstream.close());
  const dispatcher = new Agent({ headersTimeout: 30 });
  assert.equal(await outcomeOf(upstream.url, dispatcher), 'UND_ERR_HEADERS_TIMEOUT');
});

test('a stale connection is closed under the second request, the next connection runs the next script', async (t) => {
  const upstream = await RawUpstream.start(staleAfter(httpAnswer('1')), answering(httpAnswer('2')));
  t.after(() => upstream.close());
  const dispatcher = new Agent({ connections: 1 });
  assert.equal(await outcomeOf(upstream.url, dispatcher), '200 1');
  assert.equal(await outcomeOf(upstream.url, dispatcher), 'ECONNRESET');
  assert.equal(await outcomeOf(upstream.url, dispatcher), '200 2');
  assert.equal(upstream.connections, 2);
});

test('TLS to a server without TLS fails, and an address without a server refuses', async (t) => {
  const upstream = await RawUpstream.start(nonsense);
  t.after(() => upstream.close());
  assert.match(await outcomeOf(upstream.tlsUrl), /^ERR_SSL|EPROTO/);
  assert.equal(await outcomeOf(await refusingUrl()), 'ECONNREFUSED');
});
