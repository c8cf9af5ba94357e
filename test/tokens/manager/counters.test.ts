import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../../src/lib/secret.ts';
import { EarlyRejections, ForcedRenewals, RejectedTokens } from '../../../src/tokens/manager/rejections.ts';
import {
  FailureStreak,
  type PauseFacts,
  pauseAfterFailureMs,
} from '../../../src/tokens/manager/renewal-timing.ts';
import { SecretRetention } from '../../../src/tokens/manager/secret-retention.ts';

const FACTS: PauseFacts = {
  failures: 20,
  draw: 0.999_999_999,
  isMisconfigured: false,
  hasWaiters: false,
  isIdle: false,
  failingForMs: 0,
  retryAfterMs: null,
  remainingMs: null,
  lifeMs: 300_000,
};

const pause = (facts: Partial<PauseFacts>): number => Math.round(pauseAfterFailureMs({ ...FACTS, ...facts }));

test('a pause is 5 s at most while someone asks, and 30 s when idle, after five minutes, or misconfigured', () => {
  assert.equal(pause({}), 5_000);
  assert.equal(pause({ isIdle: true }), 30_000);
  assert.equal(pause({ failingForMs: 300_001 }), 30_000);
  assert.equal(pause({ failingForMs: 300_001, isIdle: true, hasWaiters: true }), 5_000);
  assert.equal(pause({ hasWaiters: true, isMisconfigured: true, failures: 1 }), 30_000);
  assert.equal(pause({ failures: 10_000 }), 5_000);
});

test('a Retry-After beside rejected credentials can only make the pause longer', () => {
  assert.equal(pause({ isMisconfigured: true, retryAfterMs: 1_000 }), 30_000);
  assert.equal(pause({ isMisconfigured: true, retryAfterMs: 45_000 }), 45_000);
});

const at = (ms: number): { monoMs: number; wallMs: number } => ({ monoMs: ms, wallMs: ms });
const CONTEXT = { hasWaiters: true, isIdle: false, remainingMs: 100_000, lifeMs: 300_000 };

test('rejected credentials count in a row only: any other failure begins anew', () => {
  const streak = new FailureStreak();
  streak.end();
  for (const severity of ['credentials', 'credentials', 'transient', 'credentials', 'credentials'] as const) {
    streak.add({ severity, message: '', retryAfterMs: null }, at(0), 0);
    assert.equal(streak.isMisconfigured, false);
  }
  streak.add({ severity: 'credentials', message: '', retryAfterMs: null }, at(0), 0);
  assert.equal(streak.isMisconfigured, true);
});

test('the time of the next attempt does not move as the token in use gets older', () => {
  const streak = new FailureStreak();
  streak.add({ severity: 'transient', message: '', retryAfterMs: 60_000 }, at(1_000), 0.5);
  assert.equal(streak.nextAttemptMonoMs(1_000, CONTEXT), 51_000);
  assert.equal(streak.nextAttemptMonoMs(41_000, { ...CONTEXT, remainingMs: 60_000 }), 51_000);
  assert.equal(new FailureStreak().nextAttemptMonoMs(0, CONTEXT), Number.NEGATIVE_INFINITY);
});

test('the breaker opens once, stays open for 30 s however many tokens are rejected, and may open again', () => {
  const renewals = new ForcedRenewals();
  assert.deepEqual(
    [renewals.noteUnproven(0), renewals.noteUnproven(0), renewals.noteUnproven(10_000)],
    [false, true, false],
  );
  assert.equal(renewals.isBreakerOpen(29_999), true);
  assert.equal(renewals.isBreakerOpen(30_000), false);
  assert.equal(renewals.permit(30_000, 30_000), 30_000);
  assert.equal(renewals.noteUnproven(30_000), true);
});

test('an unproven token that was rejected is forgotten after ten minutes, and at once when one is accepted', () => {
  const renewals = new ForcedRenewals();
  assert.equal(renewals.noteUnproven(0), false);
  assert.equal(renewals.noteUnproven(600_000), false);
  assert.equal(renewals.noteUnproven(1_199_999), true);
  renewals.noteProven();
  assert.equal(renewals.isBreakerOpen(1_199_999), false);
  assert.equal(renewals.noteUnproven(1_200_000), false);
});

test('the last eight rejected tokens are remembered, a repeated rejection makes a token the newest', () => {
  const rejected = new RejectedTokens();
  for (let index = 0; index < 8; index++) rejected.add(`t${index}`, index);
  rejected.add('t0', 100);
  rejected.add('t8', 101);
  assert.deepEqual(
    [rejected.has('t0', 200), rejected.has('t1', 200), rejected.has('t2', 200)],
    [true, false, true],
  );
  assert.deepEqual([rejected.has('t0', 600_099), rejected.has('t0', 600_100)], [true, false]);
});

test('suspicion needs two early rejections within an hour and is raised once in it', () => {
  const early = new EarlyRejections();
  assert.equal(early.note(0), null);
  assert.equal(early.note(3_600_001), null);
  assert.equal(early.note(3_600_002), 2);
  assert.equal(early.note(3_600_003), null);
  assert.equal(early.note(7_300_000), null);
  assert.equal(early.note(7_300_001), 2);
});

test('a learned lifetime needs two rejections, is 0.9 of the shortest, at least 5 s and at most the default', () => {
  const early = new EarlyRejections();
  early.noteAge(100_000, 0);
  assert.equal(early.learnedLifeMs(240_000, 0), 240_000);
  early.noteAge(50_000, 0);
  assert.equal(early.learnedLifeMs(240_000, 0), 45_000);
  assert.equal(early.learnedLifeMs(30_000, 0), 30_000);
  early.noteAge(10, 0);
  assert.equal(early.learnedLifeMs(240_000, 0), 5_000);
});

test('a learned lifetime is forgotten after a day, so that two chance revocations shorten no token for ever', () => {
  const early = new EarlyRejections();
  early.noteAge(50_000, 0);
  early.noteAge(50_000, 3_600_000);
  assert.equal(early.learnedLifeMs(240_000, 24 * 3_600_000 - 1), 45_000);
  assert.equal(early.learnedLifeMs(240_000, 24 * 3_600_000), 240_000);
});

test('a retired token that comes back into use stays registered as a secret', () => {
  const secrets = new SecretRegistry();
  const values = new SecretRetention(secrets);
  values.add('value-one');
  values.retire('value-one', 0);
  values.add('value-two');
  values.retire('value-two', 1_000);
  values.add('value-one');
  values.retire('value-three', 700_000);
  assert.equal(secrets.scrub('value-one'), '[redacted]');
  assert.equal(secrets.scrub('value-two'), 'value-two');
});
