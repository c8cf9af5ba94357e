import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SilenceTimer } from '../src/lib/idle-timer.ts';

/** Node's own timers and `performance.now`, moved by hand. */
function withFakeTime(context: TestContext): (ms: number) => void {
  let nowMs = 1000;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(performance, 'now', () => nowMs);
  return (ms) => {
    // A millisecond at a time, so that a timer which is set anew starts when it should.
    for (let passed = 0; passed < ms; passed++) {
      nowMs += 1;
      context.mock.timers.tick(1);
    }
  };
}

test('a silence of the limit calls back, and so does each further one', (context) => {
  const pass = withFakeTime(context);
  let silences = 0;
  const timer = new SilenceTimer(100, () => {
    silences++;
  });
  pass(99);
  assert.equal(silences, 0);
  pass(1);
  assert.equal(silences, 1);
  pass(99);
  assert.equal(silences, 1);
  pass(1);
  assert.equal(silences, 2);
  timer.stop();
});

test('whatever happens in between begins the silence anew', (context) => {
  const pass = withFakeTime(context);
  let silences = 0;
  const timer = new SilenceTimer(100, () => {
    silences++;
  });
  for (let count = 0; count < 20; count++) {
    pass(90);
    timer.touch();
  }
  assert.equal(silences, 0);
  pass(99);
  assert.equal(silences, 0);
  pass(1);
  assert.equal(silences, 1);
  timer.stop();
});

test('after stop nothing is called, also when it is stopped by its own callback', (context) => {
  const pass = withFakeTime(context);
  let silences = 0;
  const stopped = new SilenceTimer(100, () => {
    silences++;
  });
  stopped.stop();
  pass(500);
  assert.equal(silences, 0);
  const once: SilenceTimer = new SilenceTimer(100, () => {
    silences++;
    once.stop();
  });
  pass(500);
  assert.equal(silences, 1);
});
