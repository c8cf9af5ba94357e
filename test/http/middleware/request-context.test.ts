import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import {
  newRequestId,
  type RecordingSettings,
  RequestContext,
} from '../../../src/http/middleware/request-context.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import type { RequestRecord } from '../../../src/lib/request-record.ts';

/** A request whose response is complete unless `isWhole` is false, and the records that it emits. */
function newRequest(
  facts: Partial<RecordingSettings> = {},
  isWhole = true,
  headers: IncomingMessage['headers'] = {},
): { context: RequestContext; records: RequestRecord[] } {
  const records: RequestRecord[] = [];
  const settings: RecordingSettings = {
    clock: systemClock,
    hostname: 'h',
    keptHeaders: ['x-kept'],
    content: 'none',
    maxContent: 8,
    onDisconnect: 'abort',
    records: { add: (record) => void records.push(record) },
    ...facts,
  };
  const request = { method: 'POST', headers } as IncomingMessage;
  const response = { statusCode: 200, writableFinished: isWhole } as ServerResponse;
  const context = new RequestContext({ request, response, path: '/v1/x', query: '', ip: '' }, settings);
  return { context, records };
}

const failure = (kind: 'timeout' | 'disconnected'): FerryError => new FerryError(kind, { message: kind });

for (const order of [
  ['served', 'closed'],
  ['closed', 'served'],
] as const) {
  test(`the record is emitted once, when the request is ${order.join(' and ')}`, () => {
    const { context, records } = newRequest();
    context[order[0]]();
    assert.equal(records.length, 0);
    context[order[1]]();
    assert.deepEqual([records.length, records[0]?.outcome, records[0]?.status], [1, 'ok', 200]);
  });
}

test('the record is a frozen copy: what is written to the outcome afterwards changes nothing', () => {
  const { context, records } = newRequest();
  context.served();
  context.closed();
  context.outcome.fail(failure('timeout'));
  context.outcome.model = 'later';
  const [record] = records;
  assert.ok(Object.isFrozen(record));
  assert.deepEqual([record?.outcome, record?.model, record?.errorCode], ['ok', null, null]);
});

test('only the first failure is recorded', () => {
  const { context, records } = newRequest();
  context.outcome.fail(failure('timeout'));
  context.outcome.failStream(failure('disconnected'));
  context.served();
  context.closed();
  assert.deepEqual([records[0]?.errorCode, records[0]?.outcome], ['upstream_timeout', 'upstream_error']);
});

test('a failure after the start of the response is stream_broken', () => {
  const { context, records } = newRequest();
  context.outcome.failStream(failure('disconnected'));
  context.outcome.fail(failure('timeout'));
  context.served();
  context.closed();
  assert.deepEqual([records[0]?.errorCode, records[0]?.outcome], ['upstream_disconnected', 'stream_broken']);
});

test('an incomplete response is recorded as client_gone and aborts the request, except its record', () => {
  for (const onDisconnect of ['abort', 'finish'] as const) {
    const { context, records } = newRequest({ onDisconnect }, false);
    const aborted: FerryError[] = [];
    context.onAbort = (reason) => aborted.push(reason);
    context.outcome.log.upstream = 'one';
    context.closed();
    assert.equal(context.signal.aborted, onDisconnect === 'abort');
    assert.equal(aborted.length, onDisconnect === 'abort' ? 1 : 0);
    context.served();
    assert.deepEqual([records[0]?.status, records[0]?.outcome], [499, 'client_gone']);
  }
});

test('bodies are stored by record.content, up to max_body, and only named headers', () => {
  for (const [content, isFailed, isKept] of [
    ['none', true, false],
    ['errors', false, false],
    ['errors', true, true],
    ['all', false, true],
  ] as const) {
    const headers = { 'x-kept': 'k', cookie: 'c' };
    const { context, records } = newRequest({ content }, true, headers);
    context.receivedBody(Buffer.from('{"model":"m"}'));
    for (const text of ['abcd', 'efgh', 'ijkl']) context.wrote(text, text.length);
    if (isFailed) context.outcome.fail(failure('timeout'));
    context.served();
    context.closed();
    const [record] = records;
    assert.deepEqual([record?.body, record?.response], isKept ? ['{"model"', 'abcdefgh'] : [null, null]);
    assert.deepEqual([record?.requestBytes, record?.responseBytes], [13, 12]);
    assert.deepEqual(record?.headers, { 'x-kept': 'k' });
  }
});

test('an id of the client is used when it is short and printable', () => {
  for (const [headers, isUsed] of [
    [{ 'x-request-id': 'abc-1' }, true],
    [{ 'x-client-request-id': 'abc-1' }, true],
    [{ 'x-request-id': 'a b' }, false],
    [{ 'x-request-id': 'x'.repeat(129) }, false],
    [{}, false],
  ] as const) {
    assert.equal(newRequest({}, true, headers).context.id === 'abc-1', isUsed, JSON.stringify(headers));
  }
});

test('request ids are unique within a millisecond', () => {
  const ids = new Set(Array.from({ length: 100_000 }, () => newRequestId(1_763_720_000_000)));
  assert.equal(ids.size, 100_000);
});

test('an id of a later millisecond sorts after every earlier one, for the next thousand years', () => {
  const times = [0, 1, 999_999_999_999, 1_763_720_000_000, 1_763_720_000_001, 33_000_000_000_000];
  const ids = times.map(newRequestId);
  assert.deepEqual(ids.toSorted(), ids);
  assert.ok(ids.every((id) => /^req_[0-9a-z]{23}$/.test(id)));
});
