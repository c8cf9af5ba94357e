import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { RequestContext } from '../../../src/http/middleware/request-context.ts';
import { SseWriter } from '../../../src/http/response/sse-writer.ts';

const event = (delta: object): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`;
const QUIET = 'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n';

/** What of a response matters here. */
interface Open {
  readonly written: string[];
  destroyed: boolean;
  writableEnded: boolean;
  writableNeedDrain: boolean;
  write(text: string): boolean;
  writeHead(): void;
}

function newStream(context: TestContext): {
  /** Writes an event of the stream, which `open.written` does not hold. */
  wrote: (text: string) => void;
  stop: () => void;
  open: Open;
  pass: (ms: number) => void;
} {
  let nowMs = 1_000;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(performance, 'now', () => nowMs);
  const written: string[] = [];
  const open: Open = {
    written,
    destroyed: false,
    writableEnded: false,
    writableNeedDrain: false,
    write: (text) => written.push(text) > 0,
    writeHead: () => undefined,
  };
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed++) {
      nowMs += 1;
      context.mock.timers.tick(1);
    }
  };
  const log = { upstream: null, count: 0, headersForClient: [] };
  const response = open as unknown as ServerResponse;
  const request = { id: 'r', response, limitHeaders: [], outcome: { log }, wrote: () => undefined };
  const writer = new SseWriter(request as unknown as RequestContext, {
    keepAliveMs: 0,
    keepAliveChunkMs: 100,
  });
  writer.open();
  const wrote = (text: string): void => {
    void writer.write(text);
    written.pop();
  };
  return { wrote, stop: () => writer.dispose(), open, pass };
}

test('S43 a keep-alive event with the same id after each silence, and none while the stream sends content', (context) => {
  const { wrote, stop, open, pass } = newStream(context);
  for (let count = 0; count < 10; count++) {
    wrote(event({ content: 'word' }));
    pass(90);
  }
  assert.deepEqual(open.written, []);
  pass(11);
  assert.deepEqual(open.written, [QUIET]);
  pass(200);
  assert.deepEqual(open.written, [QUIET, QUIET, QUIET]);
  stop();
  pass(1_000);
  assert.equal(open.written.length, 3);
});

test('S43 none before the first event, within reasoning, or after an incomplete event', (context) => {
  const { wrote, stop, open, pass } = newStream(context);
  pass(250);
  for (const text of [
    event({ reasoning_content: 'hm' }),
    event({ content: 'word' }) + event({ reasoning_content: 'data: {"choices":[]}' }),
    'data: [DONE]\n\n',
    'data: {"error":{"message":"broken"}}\n\n',
    'event: response.created\ndata: {"type":"response.created"}\n\n',
  ]) {
    wrote(text);
    pass(250);
  }
  assert.deepEqual(open.written, []);
  wrote(event({ reasoning_content: 'hm' }) + event({ content: 'data: {"choices":[1' }));
  pass(110);
  assert.deepEqual(open.written, [QUIET], 'the answer has begun');
  stop();
});

test('S43 a client that disconnected, got everything or does not read gets none', (context) => {
  const { wrote, stop, open, pass } = newStream(context);
  wrote(event({ content: 'word' }));
  for (const state of ['destroyed', 'writableEnded', 'writableNeedDrain'] as const) {
    open[state] = true;
    pass(250);
    assert.deepEqual(open.written, [], state);
    open[state] = false;
  }
  pass(110);
  assert.deepEqual(open.written.slice(0, 1), [QUIET]);
  stop();
});
