import assert from 'node:assert/strict';
import { test } from 'node:test';
import { momentOf } from '../../../src/tokens/expiry/lifetime.ts';
import { Lease } from '../../../src/tokens/manager/lease.ts';
import { DEFAULT_TOKEN_MANAGER_SETTINGS } from '../../../src/tokens/manager/token-manager-settings.ts';
import { initialState, noteRequest } from '../../../src/tokens/manager/token-state.ts';
import {
  type TokenEffect,
  type TokenInput,
  type TokenRules,
  transition,
} from '../../../src/tokens/manager/transition.ts';
import type { Waiter } from '../../../src/tokens/manager/waiters.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

/** The state machine alone: inputs go in, effects come out, nothing is done about them. */
function makeMachine(): {
  clock: VirtualClock;
  state: ReturnType<typeof initialState>;
  input(input: TokenInput): TokenEffect[];
  acquire(value: string): TokenEffect[];
} {
  const clock = new VirtualClock();
  const state = initialState(momentOf(clock));
  const rules: TokenRules = {
    name: 'corp',
    settings: DEFAULT_TOKEN_MANAGER_SETTINGS,
    random: () => 0.5,
    redact: (text) => text,
    createLease: (facts) => new Lease({ ...facts, clock }),
  };
  const input = (given: TokenInput): TokenEffect[] => transition(state, given, momentOf(clock), rules);
  return {
    clock,
    state,
    input,
    acquire(value) {
      const { acquisition } = state;
      assert.ok(acquisition !== null);
      const raw = { value, lifetimeMs: 300_000 };
      const response = { raw, sent: acquisition.sent, received: momentOf(clock) };
      return input({ type: 'acquired', acquisition, response, isOutdated: false });
    },
  };
}

const types = (effects: readonly TokenEffect[]): string[] =>
  effects.map((effect) => (effect.type === 'emit' ? effect.event.kind : effect.type));

const waiterOf = (kind: Waiter['kind'], clock: VirtualClock): Waiter => ({
  kind,
  sinceMonoMs: clock.monoMs(),
  deadlineMonoMs: clock.monoMs() + 30_000,
});

test('the first request starts an acquisition, the token settles it and plans the renewal', () => {
  const machine = makeMachine();
  const waiter = waiterOf('get', machine.clock);
  assert.deepEqual(types(machine.input({ type: 'tokenRequested', waiter })), ['setTimer', 'acquire']);
  assert.deepEqual(types(machine.input({ type: 'renewalDue' })), [], 'one acquisition at a time');
  const effects = machine.acquire('token-one');
  assert.deepEqual(types(effects), [
    'acquired',
    'retainSecrets',
    'waited',
    'resolveWaiter',
    'startCompleted',
    'setTimer',
  ]);
  // 45 % of the lifetime.
  assert.equal(machine.state.nextAttemptMonoMs - machine.clock.monoMs(), 135_000);
});

test('a request with a fresh token leads to no input at all', () => {
  const machine = makeMachine();
  machine.input({ type: 'started' });
  machine.acquire('token-one');
  const { clock, state } = machine;
  assert.equal(noteRequest(state, clock.monoMs(), clock.wallMs()), false);
  assert.equal(noteRequest(state, clock.monoMs() + 134_000, clock.wallMs() + 134_000), false);
  assert.equal(noteRequest(state, clock.monoMs() + 135_000, clock.wallMs() + 135_000), true);
});

test('of many rejections of one token the first one renews it, the others join', () => {
  const machine = makeMachine();
  machine.input({ type: 'started' });
  machine.acquire('token-one');
  const lease = machine.state.token?.lease;
  assert.ok(lease !== undefined);
  const reject = (): TokenEffect[] => {
    const waiter = waiterOf('replay', machine.clock);
    return machine.input({ type: 'rejectionReported', lease, status: 401, waiter });
  };
  assert.deepEqual(types(reject()), ['rejected', 'setTimer', 'acquire']);
  assert.deepEqual(types(reject()), ['rejected']);
  assert.deepEqual(types(reject()), ['rejected']);
  const replays = machine.acquire('token-two').filter((effect) => effect.type === 'resolveWaiter');
  assert.deepEqual(
    replays.map((effect) => effect.type === 'resolveWaiter' && effect.lease?.generation),
    [2, 2, 2],
  );
});

test('the result of an abandoned acquisition changes nothing', () => {
  const machine = makeMachine();
  machine.input({ type: 'started' });
  const { acquisition } = machine.state;
  assert.ok(acquisition !== null);
  assert.deepEqual(types(machine.input({ type: 'sourceChanged', isOutdated: true })), [
    'abandonAcquisition',
    'setTimer',
    'acquire',
  ]);
  const failure = { severity: 'transient', message: '', retryAfterMs: null } as const;
  const effects = machine.input({ type: 'acquisitionFailed', acquisition, failure, isOutdated: true });
  assert.deepEqual(effects, []);
  assert.equal(machine.state.failures.failures, 0);
});

test('stopping abandons the acquisition, clears the timer and rejects every waiter', () => {
  const machine = makeMachine();
  machine.input({ type: 'tokenRequested', waiter: waiterOf('get', machine.clock) });
  machine.input({ type: 'tokenRequested', waiter: waiterOf('manual', machine.clock) });
  assert.deepEqual(types(machine.input({ type: 'stopped' })), [
    'abandonAcquisition',
    'setTimer',
    'startCompleted',
    'waited',
    'rejectWaiter',
    'waited',
    'rejectWaiter',
  ]);
  assert.equal(machine.state.waiters.size, 0);
  assert.equal(machine.state.manualWaiters, 0);
  assert.deepEqual(types(machine.input({ type: 'renewalDue' })), []);
});

test('hours of NTP slewing are no clock jump, two seconds between two inputs are', () => {
  const machine = makeMachine();
  const jumpsAfter = (monoMs: number, wallMs: number): number[] => {
    machine.clock.stall(monoMs);
    machine.clock.stepWall(wallMs - monoMs);
    return machine
      .input({ type: 'renewalDue' })
      .flatMap((effect) =>
        effect.type === 'emit' && effect.event.kind === 'clock_jump' ? [effect.event.jumpMs] : [],
      );
  };
  assert.deepEqual(jumpsAfter(3 * 3_600_000, 3 * 3_600_000 + 5_400), []);
  assert.deepEqual(jumpsAfter(1_000, 3_100), [2_100]);
  assert.deepEqual(jumpsAfter(1_000, 1_000), []);
});
