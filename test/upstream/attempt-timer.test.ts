import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { AttemptTimer } from '../../src/upstream/attempt-timer.ts';

const LATE = new FerryError('timeout', { message: 'late' });
const LATER = new FerryError('timeout', { message: 'later' });

/** A timer, what it reported, and a way to let time pass: a millisecond at a time. */
function newTimer(context: TestContext): {
  timer: AttemptTimer;
  expired: FerryError[];
  pass: (ms: number) => void;
} {
  let nowMs = 1_000;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(performance, 'now', () => nowMs);
  const expired: FerryError[] = [];
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed++) {
      nowMs += 1;
      context.mock.timers.tick(1);
    }
  };
  return { timer: new AttemptTimer((error) => void expired.push(error)), expired, pass };
}

test('a limit that passes is reported once, and bytes do not prolong it', (context) => {
  const { timer, expired, pass } = newTimer(context);
  timer.start(100, () => LATE);
  pass(60);
  timer.touch();
  pass(39);
  assert.deepEqual(expired, []);
  pass(1);
  assert.deepEqual(expired, [LATE]);
  pass(1_000);
  assert.deepEqual(expired, [LATE]);
});

test('an idle limit restarts with every byte', (context) => {
  const { timer, expired, pass } = newTimer(context);
  timer.start(100, () => LATE, 'on_bytes');
  for (let count = 0; count < 5; count++) {
    pass(90);
    timer.touch();
  }
  assert.deepEqual(expired, []);
  pass(101);
  assert.deepEqual(expired, [LATE]);
  pass(1_000);
  assert.deepEqual(expired, [LATE]);
});

test('a new limit takes the place of the running one, of either kind', (context) => {
  const { timer, expired, pass } = newTimer(context);
  for (const [first, second] of [
    ['never', 'on_bytes'],
    ['on_bytes', 'never'],
    ['never', 'never'],
  ] as const) {
    timer.start(50, () => LATE, first);
    pass(40);
    timer.start(100, () => LATER, second);
    pass(99);
    assert.deepEqual(expired, [], `${first}, ${second}`);
    pass(2);
    assert.deepEqual(expired.splice(0), [LATER], `${first}, ${second}`);
  }
});

test('a cleared limit is never reported, and 0 means none', (context) => {
  const { timer, expired, pass } = newTimer(context);
  for (const restarts of ['never', 'on_bytes'] as const) {
    timer.start(50, () => LATE, restarts);
    timer.clear();
    timer.clear();
    timer.start(0, () => LATE, restarts);
    timer.start(-1, () => LATE, restarts);
    timer.touch();
    pass(200);
  }
  assert.deepEqual(expired, []);
});

test('starting without a limit ends the running one', (context) => {
  const { timer, expired, pass } = newTimer(context);
  timer.start(50, () => LATE);
  timer.start(0, () => LATER);
  pass(200);
  assert.deepEqual(expired, []);
});

test('a silence that the upstream did not cause is measured again from its end', (context) => {
  const { timer, expired, pass } = newTimer(context);
  let isBacklogged = true;
  timer.start(100, () => (isBacklogged ? null : LATE), 'on_bytes');
  pass(350);
  assert.deepEqual(expired, []);
  isBacklogged = false;
  pass(101);
  assert.deepEqual(expired, [LATE]);
});
