import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { type HeaderSettings, RequestHeaders } from '../../src/upstream/headers.ts';

/** What the upstream gets, by name. */
function sent(settings: Partial<HeaderSettings>, client: IncomingHttpHeaders): Record<string, string> {
  const headers = new RequestHeaders({
    headers: {},
    forwardHeaders: [],
    isKeepingHeaders: false,
    ...settings,
  });
  return asRecord(headers.build(client));
}

function asRecord(flat: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? '';
    record[name] = name in record ? `${record[name]} | ${flat[at + 1]}` : (flat[at + 1] ?? '');
  }
  return record;
}

/** What belongs to the client's own connection, or tells who it is. */
const PRIVATE: IncomingHttpHeaders = {
  'accept-encoding': 'gzip',
  'api-key': 'client-key',
  authorization: 'Bearer client-key',
  connection: 'keep-alive',
  'content-length': '5',
  cookie: 'session=1',
  expect: '100-continue',
  forwarded: 'for=10.0.0.1',
  host: 'gateway',
  'http2-settings': 'AAMAAABk',
  'keep-alive': 'timeout=5',
  'proxy-authenticate': 'Basic',
  'proxy-authorization': 'Basic x',
  'proxy-connection': 'keep-alive',
  te: 'trailers',
  trailer: 'x-trailer',
  'transfer-encoding': 'chunked',
  upgrade: 'h2c',
  via: '1.1 proxy',
  'x-api-key': 'client-key',
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-host': 'gateway',
  'x-forwarded-port': '80',
  'x-forwarded-proto': 'http',
  'x-real-ip': '10.0.0.1',
  'x-forwarded-user': 'admin',
  'x-forwarded-access-token': 'token-of-somebody',
  'x-forwarded-client-cert': 'Hash=1',
  'x-original-forwarded-for': '10.0.0.1',
  'true-client-ip': '10.0.0.1',
  'cf-connecting-ip': '10.0.0.1',
  'x-http-method-override': 'DELETE',
  'x-original-url': '/v1/files',
};

const PUBLIC: IncomingHttpHeaders = {
  'content-type': 'application/json',
  'content-encoding': 'gzip',
  accept: '*/*',
  'openai-beta': 'assistants=v2',
  'x-custom': 'yes',
  'user-agent': 'me',
};

test('of the client’s headers those of the body, accept, openai-beta and Anthropic’s are forwarded', () => {
  const anthropic = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a,b' };
  assert.deepEqual(sent({}, { ...PRIVATE, ...PUBLIC, ...anthropic }), {
    ...anthropic,
    'content-type': 'application/json',
    'content-encoding': 'gzip',
    accept: '*/*',
    'openai-beta': 'assistants=v2',
  });
  assert.deepEqual(sent({}, {}), {});
});

test('forward_headers adds to them in any spelling, except headers of the connection', () => {
  const forwardHeaders = [
    'X-Custom',
    'x-absent',
    'Connection',
    'Transfer-Encoding',
    'Host',
    'Content-Length',
  ];
  assert.deepEqual(sent({ forwardHeaders }, { ...PRIVATE, ...PUBLIC, accept: undefined }), {
    'content-type': 'application/json',
    'content-encoding': 'gzip',
    'openai-beta': 'assistants=v2',
    'x-custom': 'yes',
  });
});

test('keep_header passes on everything except headers of the connection and about the client', () => {
  const kept = sent({ isKeepingHeaders: true }, { ...PRIVATE, ...PUBLIC });
  assert.deepEqual(kept, PUBLIC);
});

for (const connection of ['x-custom', 'keep-alive, X-Custom', 'close ,\tx-custom , te', 'X-CUSTOM,x-other']) {
  test(`what Connection: ${JSON.stringify(connection)} names belongs to the connection`, () => {
    const kept = sent({ isKeepingHeaders: true }, { ...PUBLIC, connection, 'x-custom-too': 'stays' });
    assert.equal(kept['x-custom'], undefined);
    assert.equal(kept['x-custom-too'], 'stays');
  });
}

test('configured headers are always sent, in lower case, and replace the client’s', () => {
  const headers = {
    'AI-Resource-Group': 'default',
    'Content-Type': 'application/json; v=2',
    'X-Custom': 'no',
  };
  for (const isKeepingHeaders of [false, true]) {
    const got = sent({ headers, isKeepingHeaders, forwardHeaders: ['x-custom'] }, PUBLIC);
    assert.equal(got['ai-resource-group'], 'default');
    assert.equal(got['content-type'], 'application/json; v=2');
    assert.equal(got['x-custom'], 'no');
  }
});

test('a header that was sent several times is forwarded several times', () => {
  const client = { 'x-custom': ['one', 'two'] } as unknown as IncomingHttpHeaders;
  assert.deepEqual(sent({ forwardHeaders: ['x-custom'] }, client), { 'x-custom': 'one | two' });
  assert.deepEqual(sent({ isKeepingHeaders: true }, client), { 'x-custom': 'one | two' });
});

test('requests do not share their headers', () => {
  const headers = new RequestHeaders({ headers: { a: '1' }, forwardHeaders: [], isKeepingHeaders: false });
  headers.build(PUBLIC).push('authorization', 'Bearer of-another');
  assert.equal(asRecord(headers.build({})).authorization, undefined);
});

test('the context of a trace replaces that of the client, but not a configured header', () => {
  const client = { traceparent: 'of-the-client', tracestate: 'of-the-client', 'x-other': 'kept' };
  const replaced = (settings: Partial<HeaderSettings>, values: Record<string, string>) => {
    const headers = new RequestHeaders({
      headers: {},
      forwardHeaders: [],
      isKeepingHeaders: true,
      ...settings,
    });
    const flat = headers.build(client);
    headers.replace(flat, ['traceparent', 'tracestate'], values);
    return asRecord(flat);
  };
  assert.deepEqual(replaced({}, { traceparent: 'ours', tracestate: 'ours' }), {
    'x-other': 'kept',
    traceparent: 'ours',
    tracestate: 'ours',
  });
  assert.deepEqual(replaced({}, { traceparent: 'ours' }), { 'x-other': 'kept', traceparent: 'ours' });
  assert.deepEqual(replaced({ headers: { TraceParent: 'fixed' } }, { traceparent: 'ours' }), {
    'x-other': 'kept',
    traceparent: 'fixed',
  });
});
