import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Admission, Places } from '../../src/routing/upstream-state/concurrency-limiter.ts';

const NEVER = new AbortController().signal;

/** Waits as `client` and notes in `log` how that ended. */
function wait(places: Places, client: string, log: string[], waitMs = Number.POSITIVE_INFINITY): void {
  void places
    .take({ client, signal: NEVER, waitMs })
    .then((admission: Admission) => log.push(`${client} ${admission}`));
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('without a limit every place is free', () => {
  const places = new Places(0);
  for (let count = 0; count < 5_000; count++) assert.ok(places.tryTake());
  assert.equal(places.taken, 5_000);
});

test('a released place goes to the next in turn and to nobody who comes meanwhile', async () => {
  const places = new Places(1);
  const log: string[] = [];
  assert.ok(places.tryTake());
  wait(places, 'a', log);
  places.release();
  assert.equal(places.tryTake(), false, 'it has an owner already');
  await turn();
  assert.deepEqual(log, ['a taken']);
  places.release();
  assert.equal(places.taken, 0);
  assert.ok(places.tryTake());
});

test('clients take turns, each in the order of its own requests', async () => {
  const places = new Places(1);
  const log: string[] = [];
  places.tryTake();
  for (let count = 0; count < 4; count++) wait(places, 'greedy', log);
  wait(places, 'modest', log);
  wait(places, 'other', log);
  for (let count = 0; count < 6; count++) {
    places.release();
    await turn();
  }
  const order = log.map((line) => line.split(' ')[0]);
  assert.deepEqual(order, ['greedy', 'modest', 'other', 'greedy', 'greedy', 'greedy']);
});

test('the queue is bounded; the longest line gives way to a client with a shorter one', async () => {
  const places = new Places(1);
  const log: string[] = [];
  places.tryTake();
  for (let count = 0; count < 16; count++) wait(places, 'greedy', log);
  assert.ok(places.isQueueFull);
  wait(places, 'greedy', log);
  await turn();
  assert.deepEqual(log, ['greedy full']);
  wait(places, 'modest', log);
  await turn();
  assert.deepEqual(log, ['greedy full', 'greedy full'], 'the last of the longest line');
  assert.equal(places.waiting, 16);
});

test('whoever waits too long or leaves gives up its place in the line', async () => {
  const places = new Places(1);
  const log: string[] = [];
  const leaving = new AbortController();
  places.tryTake();
  wait(places, 'late', log, 5);
  const left = places.take({ client: 'gone', signal: leaving.signal, waitMs: Number.POSITIVE_INFINITY });
  wait(places, 'patient', log);
  leaving.abort(new Error('left'));
  await assert.rejects(left, /left/);
  await new Promise((resolve) => setTimeout(resolve, 15));
  assert.deepEqual(log, ['late too_late']);
  assert.equal(places.waiting, 1);
  places.release();
  await turn();
  assert.deepEqual(log, ['late too_late', 'patient taken']);
  await assert.rejects(places.take({ client: 'x', signal: leaving.signal, waitMs: 1 }), /left/);
});
