import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Timer } from '../../../src/lib/clock.ts';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { type PacedRequest, Pacer } from '../../../src/routing/upstream-state/pacer.ts';
import { Pacers } from '../../../src/routing/upstream-state/pacers.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

const NEVER = new AbortController().signal;

function newPacer(settings: { rpm?: number; tpm?: number; random?: () => number } = {}) {
  const clock = new VirtualClock();
  const calls = { inFlight: 0 };
  const pacer = new Pacer({ clock, random: () => 0.5, rpm: 0, tpm: 0, calls, ...settings });
  return { clock, pacer, calls };
}

function refusal(retryAfterMs?: number): FerryError {
  return new FerryError('rate_limited', { message: 'slow down', retryAfterMs });
}

function requestOf(client = 'a', signal = NEVER): PacedRequest {
  return { client, signal, place: null };
}

/** Waits and notes in `log` when and how that ended. */
function wait(
  pacer: Pacer,
  clock: VirtualClock,
  log: string[],
  request: PacedRequest,
  limitMs = 60_000,
): void {
  const name = request.client;
  void pacer
    .wait(request, limitMs)
    .then((outcome) => log.push(`${name} ${outcome} ${clock.monoMs() - 1_000}`))
    .catch((error: Error) => log.push(`${name} ${error.message}`));
}

/** `pacer` after three accepted calls of four in one second. */
function refusedPacer(retryAfterMs?: number, random = () => 0.5) {
  const { clock, pacer } = newPacer({ random });
  pacer.seed(Array<number>(4).fill(clock.monoMs()), clock.monoMs());
  pacer.refused(clock.monoMs(), refusal(retryAfterMs), 0);
  return { clock, pacer };
}

test('before a refusal every call is free', () => {
  const { pacer } = newPacer();
  for (let call = 0; call < 10_000; call++) {
    assert.ok(pacer.isOpen);
    pacer.take();
  }
  assert.equal(pacer.perSecond, null);
});

test('after a refusal nothing leaves before retry-after, then one probe, then calls at a rate that doubles until it is refused', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  assert.equal(pacer.isOpen, false);
  assert.equal(pacer.perSecond?.toFixed(2), '2.96');
  const log: string[] = [];
  for (let call = 0; call < 3; call++) wait(pacer, clock, log, requestOf());
  await clock.advance(999);
  assert.deepEqual(log, []);
  await clock.advance(1);
  assert.deepEqual(log, ['a turn 1000']);
  await clock.advance(1_000);
  assert.deepEqual(log, ['a turn 1000', 'a turn 1180', 'a turn 1349']);
});

test('without retry-after the pause doubles with each refused probe', async () => {
  const { clock, pacer } = refusedPacer();
  const log: string[] = [];
  for (const waitMs of [1_000, 2_000, 4_000, 8_000]) {
    wait(pacer, clock, log, requestOf());
    await clock.advance(waitMs - 1);
    assert.deepEqual(log.splice(0), []);
    await clock.advance(1);
    assert.equal(log.splice(0).length, 1);
    pacer.refused(clock.monoMs(), refusal(), 0);
  }
});

test('a probe that takes long is taken for accepted, one that is responded to at once', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  const log: string[] = [];
  // Refused after 400 ms: a probe is not known to be accepted before 800 ms.
  pacer.refused(clock.monoMs() - 400, refusal(1_000), 0);
  wait(pacer, clock, log, requestOf());
  wait(pacer, clock, log, requestOf());
  await clock.advance(1_000);
  assert.deepEqual(log, ['a turn 1000']);
  await clock.advance(799);
  assert.equal(log.length, 1);
  await clock.advance(1);
  assert.deepEqual(log, ['a turn 1000', 'a turn 1800']);
  const other = refusedPacer(1_000);
  wait(other.pacer, other.clock, log, requestOf('b'));
  await other.clock.advance(1_000);
  other.pacer.accepted(other.clock.monoMs());
  wait(other.pacer, other.clock, log, requestOf('b'));
  await other.clock.advance(341);
  assert.deepEqual(log.slice(2), ['b turn 1000', 'b turn 1180']);
});

test('refusals of calls that left together lower the rate once, to what was accepted of them', () => {
  const { clock, pacer } = newPacer();
  pacer.seed(Array<number>(8).fill(clock.monoMs()), clock.monoMs());
  for (let call = 0; call < 5; call++) pacer.refused(clock.monoMs(), refusal(1_000), 0);
  assert.equal(pacer.perSecond?.toFixed(2), '2.96');
});

test('clients take turns, whoever came first', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  const log: string[] = [];
  for (let call = 0; call < 4; call++) wait(pacer, clock, log, requestOf('many'));
  wait(pacer, clock, log, requestOf('one'));
  await clock.advance(3_000);
  assert.deepEqual(
    log.map((line) => line.split(' ')[0]),
    ['many', 'one', 'many', 'many', 'many'],
  );
});

test('a request that was refused after its turn goes first, in the order of first turns', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  const log: string[] = [];
  const [first, second] = [requestOf('first'), requestOf('second')];
  wait(pacer, clock, log, first);
  wait(pacer, clock, log, second);
  wait(pacer, clock, log, requestOf('third'));
  await clock.advance(1_341);
  assert.equal(log.splice(0).length, 2);
  pacer.refused(clock.monoMs(), refusal(1_000), 0);
  wait(pacer, clock, log, requestOf('fourth'));
  wait(pacer, clock, log, second);
  wait(pacer, clock, log, first);
  await clock.advance(5_000);
  assert.deepEqual(
    log.map((line) => line.split(' ')[0]),
    ['first', 'second', 'third', 'fourth'],
  );
});

test('a wait that would be too long ends at once, one that becomes too long when its time is over', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  const log: string[] = [];
  wait(pacer, clock, log, requestOf('hasty'), 999);
  await clock.advance(0);
  assert.deepEqual(log.splice(0), ['hasty too_long 0']);
  wait(pacer, clock, log, requestOf('patient'), 2_000);
  pacer.refused(clock.monoMs(), refusal(30_000), 0);
  await clock.advance(2_000);
  assert.deepEqual(log, ['patient timed_out 2000']);
  assert.equal(pacer.waiting, 0);
  assert.equal(clock.pending, 0, 'no timer is left');
});

test('a client that leaves frees its place at once', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  const log: string[] = [];
  const leaving = new AbortController();
  wait(pacer, clock, log, requestOf('leaving', leaving.signal));
  wait(pacer, clock, log, requestOf('staying'));
  leaving.abort(new Error('left'));
  await clock.advance(0);
  assert.deepEqual([log, pacer.waiting], [['leaving left'], 1]);
  await clock.advance(1_000);
  assert.deepEqual(log, ['leaving left', 'staying turn 1000']);
  await assert.rejects(pacer.wait(requestOf('late', leaving.signal), 1_000), /left/);
});

test('a full queue refuses the client with the longest one first', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  const log: string[] = [];
  for (let call = 0; call < 1_000; call++) wait(pacer, clock, log, requestOf('many'), 3_600_000);
  wait(pacer, clock, log, requestOf('many'), 3_600_000);
  wait(pacer, clock, log, requestOf('one'), 3_600_000);
  await clock.advance(0);
  assert.deepEqual(log, ['many queue_full 0', 'many queue_full 0']);
  await clock.advance(1_341);
  assert.equal(log.at(-1), 'one turn 1180');
});

test('those who are refused are told times that spread over what the others need', () => {
  const { pacer } = refusedPacer(2_000, () => 1);
  const times = Array.from({ length: 30 }, () => pacer.retryAfterMs('a'));
  assert.ok(times.every((ms) => ms >= 2_000 && ms <= 60_000));
  assert.ok((times.at(-1) ?? 0) >= 2_000 + 29 * 340, String(times));
  assert.equal(
    refusedPacer(59_900, () => 1).pacer.retryAfterMs('a'),
    60_000,
    'never more than clients believe',
  );
});

test('a configured rate holds from the first call on, with a second of it at once', () => {
  const { clock, pacer } = newPacer({ rpm: 600 });
  let sent = 0;
  for (; pacer.isOpen; sent++) pacer.take();
  assert.equal(sent, 9);
  clock.stall(102);
  assert.ok(pacer.isOpen);
  pacer.take();
  assert.equal(pacer.isOpen, false);
});

test('tokens are counted when the usage is known, and a balance below zero is waited for', () => {
  const { clock, pacer } = newPacer({ tpm: 6_000 });
  assert.ok(pacer.isOpen);
  pacer.take();
  pacer.spent(1_500);
  assert.equal(pacer.isOpen, false);
  clock.stall(4_999);
  assert.equal(pacer.isOpen, false);
  clock.stall(1);
  assert.ok(pacer.isOpen);
});

test('pacers begin with the first refusal of a model and end after five minutes without a call', async () => {
  const clock = new VirtualClock();
  const pacers = new Pacers({ rpm: 0, tpm: 0, maxWaitMs: 60_000 }, clock, () => 0.5);
  for (let call = 0; call < 8; call++) pacers.sent(clock.monoMs());
  assert.deepEqual([pacers.isActive, pacers.find('m')], [false, null]);
  for (let call = 0; call < 5; call++) pacers.refused('m', clock.monoMs(), refusal(1_000));
  assert.equal(pacers.find('other'), null);
  assert.equal(pacers.rates()[0]?.perSecond.toFixed(2), '2.96');
  await clock.advance(300_000);
  assert.notEqual(pacers.find('m'), null, 'the pause counts as use');
  await clock.advance(2_000);
  assert.deepEqual([pacers.find('m'), pacers.isActive], [null, false]);
});

test('an upstream that accepts nothing is not waited for: after five refusals in a row all are refused', async () => {
  const { clock, pacer } = newPacer();
  pacer.seed([clock.monoMs()], clock.monoMs());
  const log: string[] = [];
  for (let refused = 1; refused < 5; refused++) {
    pacer.refused(clock.monoMs(), refusal(1_000), 0);
    wait(pacer, clock, log, requestOf(`turn ${refused}`));
    await clock.advance(1_000);
    assert.equal(log.length, refused);
  }
  wait(pacer, clock, log, requestOf('second'));
  pacer.refused(clock.monoMs(), refusal(1_000), 0);
  wait(pacer, clock, log, requestOf('late'));
  await clock.advance(0);
  assert.deepEqual(log.slice(4), ['second too_long 4000', 'late too_long 4000']);
  assert.equal(pacer.isOpen, false);
  await clock.advance(1_000);
  assert.ok(pacer.isOpen, 'one call goes out after each pause');
  pacer.take();
  pacer.accepted(clock.monoMs());
  pacer.refused(clock.monoMs() + 1, refusal(1_000), 0);
  wait(pacer, clock, log, requestOf('after success'));
  await clock.advance(1_000);
  assert.equal(log.at(-1), 'after success turn 6000');
});

test('one that refuses slowly is given up after three refusals and 15 seconds', async () => {
  const { clock, pacer } = newPacer();
  const log: string[] = [];
  for (let refused = 1; refused <= 3; refused++) {
    pacer.refused(clock.monoMs(), refusal(10_000), 0);
    wait(pacer, clock, log, requestOf(), 300_000);
    await clock.advance(10_000);
  }
  assert.deepEqual(log, ['a turn 10000', 'a turn 20000', 'a too_long 20000']);
});

test('one that accepted a call within the last minute is waited for', async () => {
  const { clock, pacer } = newPacer();
  clock.stall(60_000);
  pacer.seed([clock.monoMs() - 1_000, clock.monoMs()], clock.monoMs());
  const log: string[] = [];
  for (let refused = 1; refused <= 7; refused++) {
    pacer.refused(clock.monoMs(), refusal(1_000), 0);
    wait(pacer, clock, log, requestOf());
    await clock.advance(1_000);
    assert.match(log.at(-1) ?? '', /turn/);
  }
});

test('a refused call gives back the tokens that were reserved for it', () => {
  const { clock, pacer } = newPacer({ tpm: 6_000 });
  pacer.take();
  pacer.spent(800);
  pacer.take();
  pacer.refused(clock.monoMs(), refusal(1), 0);
  clock.stall(1_000);
  assert.ok(pacer.isOpen);
  pacer.take();
  pacer.spent(1_000);
  assert.equal(pacer.isOpen, false);
});

/** Notes the delay of each timer. */
class NotingClock extends VirtualClock {
  readonly delaysMs: number[] = [];

  override schedule(run: () => void, delayMs: number): Timer {
    this.delaysMs.push(delayMs);
    return super.schedule(run, delayMs);
  }
}

test('timers wait a millisecond or more, and no more of them run than calls leave', async () => {
  for (const retryAfterMs of [undefined, 1e-10, 0.1, 1, 10]) {
    const clock = new NotingClock();
    const pacer = new Pacer({ clock, random: () => 0.5, rpm: 0, tpm: 0, calls: { inFlight: 0 } });
    clock.stall(1 / 3);
    pacer.seed(Array<number>(7).fill(clock.monoMs()), clock.monoMs());
    const log: string[] = [];
    for (let refused = 0; refused < 3; refused++) {
      pacer.refused(clock.monoMs(), refusal(retryAfterMs), 0);
      for (let call = 0; call < 20; call++) wait(pacer, clock, log, requestOf(), Number.POSITIVE_INFINITY);
      // Fractions that do not add up: the time of a turn is missed by less than can be waited for.
      for (let step = 0; step < 1_000; step++) await clock.advance(0.7 * (step % 3) + 1e-10);
    }
    await clock.advance(60_000);
    assert.equal(log.length, 60);
    assert.deepEqual(
      clock.delaysMs.filter((ms) => !(ms >= 1 && Number.isInteger(ms))),
      [],
    );
    // Each new wait sets the timer anew, each turn needs one, and a timer that is a little early one more.
    assert.ok(clock.delaysMs.length <= 60 * 3 + 10, `${clock.delaysMs.length} timers`);
  }
});

test('a wait that is longer than timers can be is waited for in parts', async () => {
  const clock = new NotingClock();
  const pacer = new Pacer({ clock, random: () => 0.5, rpm: 0, tpm: 1, calls: { inFlight: 0 } });
  pacer.take();
  const log: string[] = [];
  pacer.spent(100_000);
  wait(pacer, clock, log, requestOf(), Number.POSITIVE_INFINITY);
  await clock.advance(600_000);
  assert.deepEqual(log, []);
  assert.ok(
    clock.delaysMs.every((ms) => ms < 2 ** 31),
    String(clock.delaysMs),
  );
  assert.ok(clock.delaysMs.length <= 12, String(clock.delaysMs));
});

test('a retry-after that is far too small ends no wait: five refusals take seconds', async () => {
  const { clock, pacer } = newPacer();
  pacer.seed([clock.monoMs()], clock.monoMs());
  const log: string[] = [];
  for (let refused = 1; refused <= 4; refused++) {
    pacer.refused(clock.monoMs(), refusal(10), 0);
    wait(pacer, clock, log, requestOf());
    const beganMonoMs = clock.monoMs();
    while (log.length < refused) await clock.advance(1);
    assert.ok(clock.monoMs() - beganMonoMs >= 125 * 2 ** refused, log.join());
  }
  assert.ok(
    log.every((line) => line.includes('turn')),
    log.join(),
  );
});

/** `pacer` that has learned that the upstream accepts two calls at once. */
function limitedAtOnce() {
  const { clock, pacer, calls } = newPacer();
  pacer.seed(Array<number>(3).fill(clock.monoMs()), clock.monoMs());
  calls.inFlight = 3;
  pacer.refused(clock.monoMs(), refusal(), 2);
  calls.inFlight = 2;
  clock.stall(1_000);
  pacer.take();
  clock.stall(10);
  pacer.refused(clock.monoMs(), refusal(), 2);
  assert.equal(pacer.concurrency, 2);
  clock.stall(2_000);
  return { clock, pacer, calls };
}

test('calls for other models that take all slots keep none waiting for ever: one call goes after half a minute', async () => {
  const { clock, pacer, calls } = limitedAtOnce();
  const log: string[] = [];
  calls.inFlight = 2;
  for (let call = 0; call < 2; call++) wait(pacer, clock, log, requestOf(), 300_000);
  await clock.advance(27_000);
  assert.deepEqual(log, []);
  await clock.advance(3_000);
  assert.equal(log.length, 1);
  const sentMonoMs = clock.monoMs();
  await clock.advance(20_000);
  assert.equal(log.length, 1, 'one only');
  pacer.refused(sentMonoMs, refusal(), 2);
  assert.equal(pacer.concurrency, 2, 'its refusal shows nothing');
  await clock.advance(29_000);
  assert.equal(log.length, 1);
  await clock.advance(2_000);
  assert.equal(log.length, 2);
  pacer.accepted(clock.monoMs());
  assert.equal(pacer.concurrency, null, 'more were accepted at once');
});

test('a call that leaves a moment after its turn is known again: the one after an early refusal does not lower the rate', async () => {
  const { clock, pacer } = refusedPacer(1_000);
  const log: string[] = [];
  const turn = async (): Promise<number> => {
    const before = log.length;
    wait(pacer, clock, log, requestOf());
    while (log.length === before) await clock.advance(1);
    clock.stall(0.01);
    return clock.monoMs();
  };
  for (let call = 0; call < 5; call++) {
    const sentMonoMs = await turn();
    clock.stall(1);
    pacer.accepted(sentMonoMs);
  }
  pacer.refused(await turn(), refusal(), 0);
  const lowered = pacer.perSecond;
  pacer.refused(await turn(), refusal(), 0);
  assert.equal(pacer.perSecond, lowered);
});

test('a retry-after of an hour is believed after two probes were refused, and not when a later call was accepted', async () => {
  const { clock, pacer } = refusedPacer(60_000);
  const log: string[] = [];
  for (const waitMs of [1_000, 2_000, 60_000]) {
    wait(pacer, clock, log, requestOf(), 300_000);
    await clock.advance(waitMs - 1);
    assert.deepEqual(log.splice(0), []);
    await clock.advance(1);
    assert.equal(log.splice(0).length, 1);
    pacer.refused(clock.monoMs(), refusal(60_000), 0);
  }
  const other = refusedPacer(60_000);
  wait(other.pacer, other.clock, log, requestOf());
  await other.clock.advance(1_000);
  const probeMonoMs = other.clock.monoMs();
  await other.clock.advance(10);
  // Its response comes after the refusal of a call that left later.
  other.pacer.refused(other.clock.monoMs(), refusal(60_000), 0);
  other.pacer.accepted(probeMonoMs);
  for (let call = 0; call < 3; call++) {
    wait(other.pacer, other.clock, log, requestOf(), 300_000);
    await other.clock.advance(30_000);
    other.pacer.refused(other.clock.monoMs(), refusal(60_000), 0);
  }
  assert.equal(log.filter((line) => line.includes('turn')).length, 4, log.join());
});
