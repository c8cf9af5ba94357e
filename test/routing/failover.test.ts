import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { Failover } from '../../src/routing/failover.ts';
import type { RoutedRequest } from '../../src/routing/routed-request.ts';
import type { RoutedUpstream } from '../../src/routing/upstream-state/routed-upstream.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { newRequest, newUpstream } from './rig.ts';

const NEVER = Number.POSITIVE_INFINITY;

function newFailover(
  request: RoutedRequest,
  candidates: readonly RoutedUpstream[],
  clock: VirtualClock,
  deadlineMs = 0,
): Failover {
  return new Failover(request, candidates, { deadlineMs, sameUpstreamRetries: 1, backoffMs: 0, clock });
}

function failure(kind: FerryError['kind']): FerryError {
  return new FerryError(kind, { message: `${kind} for a test` });
}

test('a failed attempt is followed by the next candidate, and the client gets the error of the last one', async () => {
  const clock = new VirtualClock();
  const candidates = ['one', 'two'].map((name) => newUpstream(name, { clock }));
  const failover = newFailover(newRequest(), candidates, clock);
  const first = await failover.next();
  assert.deepEqual([first.upstream.name, first.isLast], ['one', false]);
  await failover.failed(first, failure('timeout'), null);
  const second = await failover.next();
  assert.deepEqual([second.upstream.name, second.isLast], ['two', true]);
  const last = failure('unreachable');
  await assert.rejects(failover.failed(second, last, null), last);
  assert.deepEqual(
    candidates.map(({ limiter }) => limiter.running),
    [0, 0],
    'no slot is left behind',
  );
});

test('a failure after the commit is final', async () => {
  const clock = new VirtualClock();
  const candidates = ['one', 'two'].map((name) => newUpstream(name, { clock }));
  const request = newRequest();
  const failover = newFailover(request, candidates, clock);
  const attempt = await failover.next();
  attempt.commit(null);
  const cut = failure('disconnected');
  await assert.rejects(failover.failed(attempt, cut, null), cut);
  assert.equal(request.log.attempts[0]?.outcome, 'stream_broken');
});

test('the only upstream is retried after a retryable status, as often as configured', async () => {
  const clock = new VirtualClock();
  const failover = newFailover(newRequest(), [newUpstream('only', { clock })], clock);
  const status = failure('retryable_status');
  await failover.failed(await failover.next(), status, null);
  const again = await failover.next();
  await assert.rejects(failover.failed(again, status, null), status);
});

test('a request waits for a slot and gets it when one is released; the wait is no attempt', async () => {
  const clock = new VirtualClock();
  const upstream = newUpstream('busy', { clock, maxConcurrency: 1 });
  upstream.limiter.tryAcquire();
  const request = newRequest();
  const next = newFailover(request, [upstream], clock).next();
  assert.deepEqual([request.log.count, request.log.attempts.length], [0, 0]);
  upstream.limiter.release();
  const attempt = await next;
  assert.equal(upstream.limiter.running, 1, 'the slot belongs to the attempt');
  attempt.finish(null);
  assert.equal(upstream.limiter.running, 0);
});

test('an upstream that started to cool down meanwhile is replaced by another one, and its slot released', async () => {
  const clock = new VirtualClock();
  const busy = newUpstream('busy', { clock, maxConcurrency: 1 });
  const nextOf = async (candidates: RoutedUpstream[], pause: () => void): Promise<string> => {
    busy.limiter.tryAcquire();
    const next = newFailover(newRequest(), candidates, clock).next();
    pause();
    busy.limiter.release();
    const attempt = await next;
    attempt.finish(null);
    return attempt.upstream.name;
  };
  const cool = () => busy.circuit.fail('cools_at_once', false);
  assert.equal(await nextOf([busy], cool), 'busy', 'there is no other');
  busy.circuit.succeed();
  assert.equal(await nextOf([busy, newUpstream('other', { clock })], cool), 'other');
  assert.equal(busy.limiter.running, 0);
});

test('a full queue and a deadline refuse with 503, recorded as an attempt that took no time of the upstream', async () => {
  const clock = new VirtualClock();
  const upstream = newUpstream('busy', { clock, maxConcurrency: 1, aliases: { m: 'deploy' } });
  upstream.limiter.tryAcquire();
  const late = newRequest({ startedMonoMs: clock.monoMs() });
  const waiting = newFailover(late, [upstream], clock, 5).next();
  await assert.rejects(waiting, (error: FerryError) => {
    assert.deepEqual([error.kind, error.status], ['queue_full', 503]);
    assert.match(error.message, /deadline of the request passed/);
    return true;
  });
  const patient = { client: 'anybody', signal: late.signal, waitMs: NEVER };
  while (!upstream.limiter.isQueueFull) void upstream.limiter.acquire(patient);
  const request = newRequest();
  const full = await newFailover(request, [upstream], clock)
    .next()
    .catch((error: FerryError) => error);
  assert.ok(full instanceof FerryError);
  assert.match(full.message, /its queue is full/);
  assert.deepEqual(
    request.log.attempts.map(({ elapsedMs: _, ...recorded }) => recorded),
    [{ upstream: 'busy', outcome: 'queue_full', status: null, tokenRenewed: false, detail: full.message }],
  );
  assert.equal(request.log.upstreamModel, 'deploy');
  assert.equal(request.log.upstreamMs, 0);
});

test('a client that disconnects while it waits rejects with that, and its place in the queue is free', async () => {
  const clock = new VirtualClock();
  const upstream = newUpstream('busy', { clock, maxConcurrency: 1 });
  upstream.limiter.tryAcquire();
  const leaving = new AbortController();
  const next = newFailover(newRequest({ signal: leaving.signal }), [upstream], clock).next();
  const gone = failure('client_gone');
  leaving.abort(gone);
  await assert.rejects(next, gone);
  assert.equal(upstream.limiter.waiting, 0);
  upstream.limiter.release();
  assert.equal(upstream.limiter.running, 0);
});
