import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConcurrencyLimiter,
  type QueueOutcome,
} from '../../../src/routing/upstream-state/concurrency-limiter.ts';

const NEVER = new AbortController().signal;

/** Waits as `client` and notes in `log` how that ended. */
function wait(
  limiter: ConcurrencyLimiter,
  client: string,
  log: string[],
  waitMs = Number.POSITIVE_INFINITY,
): void {
  void limiter
    .acquire({ client, signal: NEVER, waitMs })
    .then((outcome: QueueOutcome) => log.push(`${client} ${outcome}`));
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('without a limit every slot is free', () => {
  const limiter = new ConcurrencyLimiter(0);
  for (let count = 0; count < 5_000; count++) assert.ok(limiter.tryAcquire());
  assert.equal(limiter.running, 5_000);
});

test('a released slot goes to the next waiter in turn and to no newer request', async () => {
  const limiter = new ConcurrencyLimiter(1);
  const log: string[] = [];
  assert.ok(limiter.tryAcquire());
  wait(limiter, 'a', log);
  limiter.release();
  assert.equal(limiter.tryAcquire(), false, 'it belongs to the waiter');
  await turn();
  assert.deepEqual(log, ['a acquired']);
  limiter.release();
  assert.equal(limiter.running, 0);
  assert.ok(limiter.tryAcquire());
});

test('clients take turns, each in the order of its own requests', async () => {
  const limiter = new ConcurrencyLimiter(1);
  const log: string[] = [];
  limiter.tryAcquire();
  for (let count = 0; count < 4; count++) wait(limiter, 'greedy', log);
  wait(limiter, 'modest', log);
  wait(limiter, 'other', log);
  for (let count = 0; count < 6; count++) {
    limiter.release();
    await turn();
  }
  const order = log.map((line) => line.split(' ')[0]);
  assert.deepEqual(order, ['greedy', 'modest', 'other', 'greedy', 'greedy', 'greedy']);
});

test('the queue is bounded; a request of the longest queue is refused in favour of a client with a shorter one', async () => {
  const limiter = new ConcurrencyLimiter(1);
  const log: string[] = [];
  limiter.tryAcquire();
  for (let count = 0; count < 16; count++) wait(limiter, 'greedy', log);
  assert.ok(limiter.isQueueFull);
  wait(limiter, 'greedy', log);
  await turn();
  assert.deepEqual(log, ['greedy queue_full']);
  wait(limiter, 'modest', log);
  await turn();
  assert.deepEqual(log, ['greedy queue_full', 'greedy queue_full'], 'the last of the longest queue');
  assert.equal(limiter.waiting, 16);
});

test('a waiter that times out or disconnects is removed from the queue', async () => {
  const limiter = new ConcurrencyLimiter(1);
  const log: string[] = [];
  const leaving = new AbortController();
  limiter.tryAcquire();
  wait(limiter, 'late', log, 5);
  const left = limiter.acquire({ client: 'gone', signal: leaving.signal, waitMs: Number.POSITIVE_INFINITY });
  wait(limiter, 'patient', log);
  leaving.abort(new Error('left'));
  await assert.rejects(left, /left/);
  await new Promise((resolve) => setTimeout(resolve, 15));
  assert.deepEqual(log, ['late timed_out']);
  assert.equal(limiter.waiting, 1);
  limiter.release();
  await turn();
  assert.deepEqual(log, ['late timed_out', 'patient acquired']);
  await assert.rejects(limiter.acquire({ client: 'x', signal: leaving.signal, waitMs: 1 }), /left/);
});
