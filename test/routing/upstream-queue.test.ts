import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { queueFor } from '../../src/routing/upstream-state/upstream-queue.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { newRequest, newUpstream } from './rig.ts';

const NEVER = Number.POSITIVE_INFINITY;

test('who waits is admitted when a place is given back, and nothing is told of it', async () => {
  const clock = new VirtualClock();
  const upstream = newUpstream('busy', { clock, maxConcurrency: 1 });
  upstream.limiter.tryAcquire();
  const request = newRequest();
  const queued = queueFor(upstream, request, [], { deadlineMonoMs: NEVER, clock });
  upstream.limiter.release();
  assert.deepEqual(await queued, { outcome: 'admitted' });
  assert.equal(upstream.limiter.running, 1, 'the place is its own');
  assert.deepEqual([request.log.count, request.log.attempts.length], [0, 0]);
});

test('an upstream that began to cool down meanwhile is left for another one, and its place given back', async () => {
  const clock = new VirtualClock();
  const [busy, other] = [newUpstream('busy', { clock, maxConcurrency: 1 }), newUpstream('other', { clock })];
  const admit = async (left: (typeof other)[]) => {
    const queued = queueFor(busy, newRequest(), left, { deadlineMonoMs: NEVER, clock });
    busy.limiter.release();
    return queued;
  };
  busy.limiter.tryAcquire();
  busy.circuit.fail('cools_at_once', false);
  assert.deepEqual(await admit([other]), { outcome: 'reconsider' });
  assert.equal(busy.limiter.running, 0);
  busy.limiter.tryAcquire();
  assert.deepEqual(await admit([]), { outcome: 'admitted' }, 'there is nobody else');
  other.pauses.pause('m', 'rate_limited', 1_000);
  assert.deepEqual(await admit([other]), { outcome: 'admitted' }, 'nor when the other one pauses');
});

test('a full queue and a deadline refuse with 503, told as an attempt that took no time of the upstream', async () => {
  const clock = new VirtualClock();
  const upstream = newUpstream('busy', { clock, maxConcurrency: 1, aliases: { m: 'deploy' } });
  upstream.limiter.tryAcquire();
  const late = newRequest();
  const refused = await queueFor(upstream, late, [], { deadlineMonoMs: clock.monoMs(), clock });
  assert.ok(refused.outcome === 'refused');
  assert.deepEqual([refused.error.kind, refused.error.status], ['queue_full', 503]);
  assert.match(refused.error.message, /until the deadline/);
  const patient = { client: 'anybody', signal: late.signal, waitMs: NEVER };
  while (!upstream.limiter.isQueueFull) void upstream.limiter.acquire(patient);
  const request = newRequest();
  const full = await queueFor(upstream, request, [], { deadlineMonoMs: NEVER, clock });
  assert.ok(full.outcome === 'refused');
  assert.match(full.error.message, /its queue is full/);
  assert.deepEqual(
    request.log.attempts.map(({ elapsedMs: _, ...told }) => told),
    [
      {
        upstream: 'busy',
        outcome: 'queue_full',
        status: null,
        tokenRenewed: false,
        detail: full.error.message,
      },
    ],
  );
  assert.equal(request.log.upstreamModel, 'deploy');
  assert.equal(request.log.upstreamMs, 0);
});

test('a client that leaves while it waits rejects with that, and its place in the line is free', async () => {
  const clock = new VirtualClock();
  const upstream = newUpstream('busy', { clock, maxConcurrency: 1 });
  upstream.limiter.tryAcquire();
  const leaving = new AbortController();
  const request = newRequest({ signal: leaving.signal });
  const queued = queueFor(upstream, request, [], { deadlineMonoMs: NEVER, clock });
  const gone = new FerryError('client_gone', { message: 'left' });
  leaving.abort(gone);
  await assert.rejects(queued, gone);
  assert.equal(upstream.limiter.waiting, 0);
  upstream.limiter.release();
  assert.equal(upstream.limiter.running, 0);
});
