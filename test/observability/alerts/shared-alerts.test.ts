import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decide,
  type ReplicaReport,
  type SharedProblem,
  UNKNOWN_PROBLEM,
  withdrawn,
} from '../../../src/observability/alerts/shared-alerts.ts';

const EVERY_MS = 300_000;

/** The state of one problem on a clock of its own. */
class Shared {
  state: SharedProblem = UNKNOWN_PROBLEM;
  nowMs = 1_000_000;

  report(replica: string, isOpen: boolean, more: Partial<ReplicaReport> = {}): string {
    const report = { replica, isOpen, failedAgoMs: 0, everyMs: EVERY_MS, toldAgoMs: null, ...more };
    const { next, decision } = decide(this.state, report, this.nowMs);
    this.state = next;
    return decision.kind === 'wait' ? `wait ${decision.ms / 1_000}` : decision.kind;
  }

  pass(seconds: number): void {
    this.nowMs += seconds * 1_000;
  }
}

test('of replicas with the same problem the first sends the alert, and the last sends its end', () => {
  const shared = new Shared();
  assert.equal(shared.report('a', true), 'send');
  shared.pass(1);
  assert.equal(shared.report('b', true), 'told');
  shared.pass(10);
  assert.equal(shared.report('a', false), 'wait 50', 'b failed ten seconds ago');
  shared.pass(1);
  assert.equal(shared.report('b', false), 'send');
  shared.pass(49);
  assert.equal(shared.report('a', false), 'told');
});

test('a replica without requests does not keep the end back for longer than a minute', () => {
  const shared = new Shared();
  shared.report('a', true);
  shared.report('b', true);
  for (let heartbeat = 0; heartbeat < 4; heartbeat++) {
    shared.pass(15);
    shared.report('b', true, { failedAgoMs: 15_000 * (heartbeat + 1) });
  }
  shared.pass(1);
  assert.equal(shared.report('a', false), 'send');
  shared.pass(15);
  assert.equal(
    shared.report('b', true, { failedAgoMs: 76_000 }),
    'ended',
    'its evidence is older than the end',
  );
  assert.equal(shared.state.isOpen, false);
  assert.equal(shared.report('b', false), 'told');
});

test('a replica that goes on failing after the end reports the problem anew, within every', () => {
  const shared = new Shared();
  shared.report('a', true);
  shared.pass(70);
  shared.report('a', false);
  shared.pass(30);
  assert.equal(shared.report('b', true, { failedAgoMs: 1_000 }), 'wait 200');
  shared.pass(200);
  assert.equal(shared.report('b', true, { failedAgoMs: 1_000 }), 'send');
});

test('an end within every of the last one waits', () => {
  const shared = new Shared();
  shared.report('a', true);
  assert.equal(shared.report('a', false), 'send');
  shared.pass(EVERY_MS / 1_000 - 10);
  assert.equal(shared.report('a', true), 'wait 10');
  shared.pass(10);
  assert.equal(shared.report('a', true), 'send');
  assert.equal(shared.report('a', false), 'send', 'every has passed since the last end');
  assert.equal(shared.report('a', true), 'wait 300');
  assert.equal(shared.report('a', false), 'told', 'nobody was told of it');
});

test('the problem of a replica that died is not taken for one that all were told of', () => {
  const shared = new Shared();
  shared.report('a', true);
  shared.pass(EVERY_MS / 1_000 + 1);
  assert.equal(shared.report('b', true), 'send');
});

test('a replica that died does not keep the end back', () => {
  const shared = new Shared();
  shared.report('a', true);
  shared.report('b', true);
  shared.pass(61);
  assert.equal(shared.report('b', false), 'send');
});

test('what was sent while the store was away is not sent again, and its end is', () => {
  const shared = new Shared();
  assert.equal(shared.report('a', true, { toldAgoMs: 5_000 }), 'told');
  shared.pass(1);
  assert.equal(shared.report('b', true), 'told');
  shared.pass(70);
  assert.equal(shared.report('a', false), 'send');
});

test('a message that could not be delivered is sent by the replica that reports next', () => {
  const shared = new Shared();
  shared.report('a', true);
  shared.report('b', true);
  shared.state = withdrawn(shared.state, 'b', shared.nowMs);
  assert.equal(shared.state.isOpen, true, 'it was not the message of b');
  shared.state = withdrawn(shared.state, 'a', shared.nowMs);
  shared.pass(15);
  assert.equal(shared.report('b', true, { toldAgoMs: 20_000 }), 'wait 285', 'b was told of it before');
  shared.pass(285);
  assert.equal(shared.report('b', true), 'send');
  shared.report('b', false);
  shared.state = withdrawn(shared.state, 'b', shared.nowMs);
  shared.pass(EVERY_MS / 1_000);
  assert.equal(shared.report('b', false), 'send');
});

test('an end whose begin a replica sent alone is sent once, whoever else did so too', () => {
  const shared = new Shared();
  assert.equal(shared.report('a', false, { toldAgoMs: 5_000 }), 'send');
  shared.pass(1);
  assert.equal(shared.report('b', false, { toldAgoMs: 6_000 }), 'told');
});

test('an outage of the store that is longer than the life of a report repeats no alert', () => {
  const shared = new Shared();
  shared.report('a', true);
  shared.pass(3_600);
  assert.equal(shared.report('a', true, { toldAgoMs: 3_500_000 }), 'told');
  assert.equal(shared.report('a', false, { toldAgoMs: 1 }), 'send');
});
