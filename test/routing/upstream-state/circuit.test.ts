import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Circuit, type CircuitState } from '../../../src/routing/upstream-state/circuit.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

function newCircuit(): { circuit: Circuit; clock: VirtualClock; changes: CircuitState[] } {
  const clock = new VirtualClock();
  const changes: CircuitState[] = [];
  const settings = { failures: 3, firstPauseMs: 1_000, maxPauseMs: 4_000 };
  return { circuit: new Circuit(settings, clock, (state) => changes.push(state)), clock, changes };
}

/** One attempt that fails. */
function fail(circuit: Circuit, counts: 'no' | 'yes' | 'cools_at_once' = 'yes'): void {
  circuit.fail(counts, circuit.begin());
}

test('the configured number of failures in a row opens it, and a success between them resets the count', () => {
  const { circuit, changes } = newCircuit();
  fail(circuit);
  fail(circuit);
  circuit.succeed();
  fail(circuit);
  fail(circuit);
  assert.equal(circuit.state, 'closed');
  assert.equal(circuit.failuresInRow, 2);
  assert.ok(circuit.isOpenForRequests());
  fail(circuit);
  assert.equal(circuit.state, 'cooling');
  assert.equal(circuit.remainingMs, 1_000);
  assert.equal(circuit.isOpenForRequests(), false);
  assert.deepEqual(changes, ['cooling']);
});

test('a failure that shows that the upstream is down opens it at once, one that is not its fault never does', () => {
  const { circuit } = newCircuit();
  for (let count = 0; count < 10; count++) fail(circuit, 'no');
  assert.equal(circuit.state, 'closed');
  assert.equal(circuit.failuresInRow, 0);
  fail(circuit, 'cools_at_once');
  assert.equal(circuit.state, 'cooling');
});

test('when the pause is over one request at a time tries; its success closes the circuit', async () => {
  const { circuit, clock, changes } = newCircuit();
  fail(circuit, 'cools_at_once');
  await clock.advance(999);
  assert.equal(circuit.isOpenForRequests(), false);
  await clock.advance(1);
  assert.ok(circuit.isOpenForRequests());
  assert.ok(circuit.begin(), 'it is the probe');
  assert.equal(circuit.state, 'probing');
  assert.equal(circuit.isOpenForRequests(), false, 'only one');
  assert.equal(circuit.begin(), false, 'who comes all the same is none');
  circuit.succeed();
  assert.equal(circuit.state, 'closed');
  assert.equal(circuit.remainingMs, 0);
  assert.deepEqual(changes, ['cooling', 'closed']);
  fail(circuit, 'cools_at_once');
  await clock.advance(1_000);
  assert.ok(circuit.begin(), 'the next pause has a probe of its own');
});

test('each failed probe doubles the pause up to the maximum; after a success it starts with the first again', async () => {
  const { circuit, clock } = newCircuit();
  fail(circuit, 'cools_at_once');
  for (const pauseMs of [2_000, 4_000, 4_000]) {
    await clock.advance(circuit.remainingMs);
    fail(circuit);
    assert.equal(circuit.remainingMs, pauseMs);
  }
  await clock.advance(4_000);
  circuit.begin();
  circuit.succeed();
  fail(circuit, 'cools_at_once');
  assert.equal(circuit.remainingMs, 1_000);
});

test('requests that were under way when it opened do not prolong the pause, but may close it', async () => {
  const { circuit, clock } = newCircuit();
  const underWay = [circuit.begin(), circuit.begin()];
  fail(circuit, 'cools_at_once');
  await clock.advance(600);
  circuit.fail('cools_at_once', underWay[0] ?? false);
  assert.equal(circuit.remainingMs, 400);
  circuit.succeed();
  assert.equal(circuit.state, 'closed');
});

test('a probe whose client disconnects does not count, and the next request is the probe', async () => {
  const { circuit, clock } = newCircuit();
  fail(circuit, 'cools_at_once');
  await clock.advance(1_000);
  fail(circuit, 'no');
  assert.equal(circuit.state, 'cooling');
  assert.ok(circuit.isOpenForRequests());
  assert.ok(circuit.begin());
});

test('a successful probe ends the pause, so that the next request is the probe', async () => {
  const { circuit, clock } = newCircuit();
  circuit.endPause();
  assert.equal(circuit.state, 'closed', 'there is none to end');
  fail(circuit, 'cools_at_once');
  await clock.advance(100);
  circuit.endPause();
  assert.equal(circuit.remainingMs, 0);
  assert.equal(circuit.state, 'cooling', 'it proves nothing about generating');
  assert.ok(circuit.begin());
  circuit.succeed();
  assert.equal(circuit.state, 'closed');
  fail(circuit, 'cools_at_once');
  circuit.endPause();
  assert.equal(circuit.remainingMs, 0, 'one that was right is believed the next time');
});

test('a probe that was wrong once is ignored until a success', async () => {
  const { circuit, clock } = newCircuit();
  fail(circuit, 'cools_at_once');
  circuit.endPause();
  fail(circuit);
  assert.equal(circuit.remainingMs, 2_000);
  circuit.endPause();
  assert.equal(circuit.remainingMs, 2_000);
  await clock.advance(2_000);
  circuit.begin();
  circuit.succeed();
  fail(circuit, 'cools_at_once');
  circuit.endPause();
  assert.equal(circuit.remainingMs, 0);
});
