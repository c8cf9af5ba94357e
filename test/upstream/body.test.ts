import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type BodySource, type ReadDirective, ResponseBody } from '../../src/upstream/transport/body.ts';

class Source implements BodySource {
  readonly calls: string[] = [];
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  abort(reason: Error): void {
    this.calls.push(`abort: ${reason.message}`);
  }
}

function newBody(): { body: ResponseBody; source: Source } {
  const source = new Source();
  return { body: new ResponseBody(source), source };
}

test('next gives pieces in their order, then null; waiting pieces are given as one', async () => {
  const { body } = newBody();
  const waited = body.next();
  body.push(Buffer.from('a'));
  assert.equal(String(await waited), 'a');
  body.push(Buffer.from('b'));
  body.push(Buffer.from('c'));
  body.finish();
  assert.equal(String(await body.next()), 'bc');
  assert.equal(await body.next(), null);
});

test('what arrived before a failure can still be read, then the failure is thrown', async () => {
  const { body } = newBody();
  body.push(Buffer.from('a'));
  body.fail(new Error('cut'));
  assert.equal(String(await body.next()), 'a');
  await assert.rejects(body.next(), /cut/);
});

test('the upstream is paused above 128 KiB of unread bytes and resumed when they are read', async () => {
  const { body, source } = newBody();
  body.push(Buffer.alloc(128 * 1024));
  assert.deepEqual(source.calls, []);
  body.push(Buffer.alloc(1));
  body.push(Buffer.alloc(1));
  assert.deepEqual(source.calls, ['pause']);
  assert.equal((await body.next())?.length, 128 * 1024 + 2);
  assert.deepEqual(source.calls, ['pause', 'resume']);
});

test('destroy notifies the source once, drops unread data, and a waiting reader gets the reason', async () => {
  const { body, source } = newBody();
  const waited = body.next();
  body.destroy(new Error('not wanted'));
  body.destroy(new Error('again'));
  await assert.rejects(waited, /not wanted/);
  body.push(Buffer.from('late'));
  await assert.rejects(body.next(), /not wanted/);
  assert.deepEqual(source.calls, ['abort: not wanted']);
});

test('readAll joins everything, and refuses more than its limit', async () => {
  const { body } = newBody();
  const all = body.readAll(10);
  body.push(Buffer.from('ab'));
  await turn();
  body.push(Buffer.from('cd'));
  body.finish();
  assert.equal(String(await all), 'abcd');

  const long = newBody();
  const tooMuch = long.body.readAll(3);
  long.body.push(Buffer.from('ab'));
  await turn();
  long.body.push(Buffer.from('cd'));
  await assert.rejects(tooMuch, /more than 3 bytes \(limits\.response\)/);
  assert.equal(long.source.calls.length, 1);

  const atOnce = newBody();
  atOnce.body.push(Buffer.from('abcd'));
  await assert.rejects(atOnce.body.readAll(3), /limits\.response/);
});

test('data that was read before readAll comes first, and counts in the limit', async () => {
  const { body } = newBody();
  body.push(Buffer.from('cd'));
  body.finish();
  assert.equal(String(await body.readAll(4, Buffer.from('ab'))), 'abcd');

  const long = newBody();
  long.body.push(Buffer.from('cd'));
  await assert.rejects(long.body.readAll(3, Buffer.from('ab')), /more than 3 bytes \(limits\.response\)/);
  const alone = newBody();
  await assert.rejects(alone.body.readAll(3, Buffer.from('abcd')), /more than 3 bytes \(limits\.response\)/);
});

test('readEach passes on each piece as it arrives, waiting ones first, and reports the end of the body', async () => {
  const { body } = newBody();
  body.push(Buffer.from('a'));
  const seen: string[] = [];
  const reading = body.readEach((chunk) => {
    seen.push(String(chunk));
    return 'more';
  });
  assert.deepEqual(seen, ['a']);
  body.push(Buffer.from('b'));
  body.push(Buffer.from('c'));
  assert.deepEqual(seen, ['a', 'b', 'c'], 'at once');
  body.finish();
  assert.equal(await reading, true);
});

test('readEach of a body that has ended already, and of one that has failed', async () => {
  const ended = newBody().body;
  ended.push(Buffer.from('a'));
  ended.finish();
  assert.equal(await ended.readEach(() => 'more'), true);

  const failed = newBody().body;
  failed.fail(new Error('cut'));
  await assert.rejects(
    failed.readEach(() => 'more'),
    /cut/,
  );
});

test('while the promise of a piece is open further ones are kept, and the upstream is paused when they are many', async () => {
  const { body, source } = newBody();
  const sizes: number[] = [];
  let release = (): void => {};
  const reading = body.readEach((chunk): ReadDirective => {
    sizes.push(chunk.length);
    return sizes.length > 1 ? 'more' : new Promise((resolve) => (release = resolve));
  });
  body.push(Buffer.alloc(1));
  body.push(Buffer.alloc(100 * 1024));
  body.push(Buffer.alloc(100 * 1024));
  assert.equal(body.isBacklogged, true);
  assert.deepEqual(source.calls, ['pause']);
  release();
  await turn();
  assert.deepEqual(sizes, [1, 200 * 1024]);
  assert.deepEqual(source.calls, ['pause', 'resume']);
  body.finish();
  assert.equal(await reading, true);
});

test('a failure while a promise is open comes after what was kept', async () => {
  const { body } = newBody();
  const seen: string[] = [];
  const reading = body.readEach(async (chunk) => {
    seen.push(String(chunk));
  });
  body.push(Buffer.from('a'));
  body.push(Buffer.from('b'));
  body.fail(new Error('cut'));
  await assert.rejects(reading, /cut/);
  assert.deepEqual(seen, ['a', 'b']);
});

test('a reader that stops gets no more, and may destroy the body or continue with next', async () => {
  const { body } = newBody();
  const reading = body.readEach(() => 'enough');
  body.push(Buffer.from('a'));
  body.push(Buffer.from('b'));
  assert.equal(await reading, false);
  assert.equal(String(await body.next()), 'b');

  const ended = newBody();
  const destroying = ended.body.readEach(() => {
    ended.body.destroy(new Error('broken'));
    return 'enough';
  });
  ended.body.push(Buffer.from('a'));
  assert.equal(await destroying, false);
  assert.deepEqual(ended.source.calls, ['abort: broken']);
});

test('an error of the reader is thrown to itself, and not to the transport', async () => {
  const { body } = newBody();
  const reading = body.readEach(() => {
    throw new Error('mistake');
  });
  body.push(Buffer.from('a'));
  await assert.rejects(reading, /mistake/);
});
