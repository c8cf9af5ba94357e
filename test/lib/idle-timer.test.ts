import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { IdleTimer } from '../../src/lib/idle-timer.ts';

/** Node's own timers and `performance.now`, moved by hand. */
function withFakeTime(context: TestContext): (ms: number) => void {
  let nowMs = 1000;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(performance, 'now', () => nowMs);
  return (ms) => {
    // A millisecond at a time, so that a timer that is set again starts at the right time.
    for (let passed = 0; passed < ms; passed++) {
      nowMs += 1;
      context.mock.timers.tick(1);
    }
  };
}

test('calls back after the limit without a touch, and again after each further limit', (context) => {
  const pass = withFakeTime(context);
  let calls = 0;
  const timer = new IdleTimer(100, () => {
    calls++;
  });
  pass(99);
  assert.equal(calls, 0);
  pass(1);
  assert.equal(calls, 1);
  pass(99);
  assert.equal(calls, 1);
  pass(1);
  assert.equal(calls, 2);
  timer.stop();
});

test('each touch restarts the idle time', (context) => {
  const pass = withFakeTime(context);
  let calls = 0;
  const timer = new IdleTimer(100, () => {
    calls++;
  });
  for (let count = 0; count < 20; count++) {
    pass(90);
    timer.touch();
  }
  assert.equal(calls, 0);
  pass(99);
  assert.equal(calls, 0);
  pass(1);
  assert.equal(calls, 1);
  timer.stop();
});

test('calls nothing after stop, also when its own callback stops it', (context) => {
  const pass = withFakeTime(context);
  let calls = 0;
  const stopped = new IdleTimer(100, () => {
    calls++;
  });
  stopped.stop();
  pass(500);
  assert.equal(calls, 0);
  const once: IdleTimer = new IdleTimer(100, () => {
    calls++;
    once.stop();
  });
  pass(500);
  assert.equal(calls, 1);
});
