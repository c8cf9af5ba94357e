import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_TABLE, type ErrorKind, FerryError } from '../../src/lib/errors/ferry-error.ts';
import {
  backoffAfter,
  mostActionable,
  type NextStep,
  nextStep,
  type Situation,
} from '../../src/routing/retry-policy.ts';

const KINDS = Object.keys(ERROR_TABLE) as ErrorKind[];

const failure = (kind: ErrorKind, retryAfterMs?: number): FerryError =>
  new FerryError(kind, { message: kind, retryAfterMs });

/** The first of two candidates failed for the first time. */
const step = (kind: ErrorKind, facts: Partial<Situation> = {}): NextStep =>
  nextStep({
    error: failure(kind),
    candidatesLeft: 1,
    isOnlyCandidate: false,
    tries: 1,
    sameUpstreamRetries: 1,
    canDropParameter: false,
    backoffMs: 200,
    leftMs: Number.POSITIVE_INFINITY,
    isReplayable: true,
    ...facts,
  });

/** What another candidate is asked after. All else is the client's own, or ours. */
const PASSED_ON: readonly ErrorKind[] = [
  'model_not_found',
  'upstream_misconfigured',
  'upstream_paused',
  'token_unavailable',
  'unreachable',
  'timeout',
  'queue_full',
  'retryable_status',
  'rate_limited',
  'quota_exhausted',
  'auth_rejected',
  'forbidden',
  'path_not_found',
  'invalid_response',
  'mismatch',
  'redirect',
  'disconnected',
  'generation_failed',
];

for (const kind of KINDS) {
  const isPassedOn = PASSED_ON.includes(kind);
  test(`${kind}: ${isPassedOn ? 'the next candidate' : 'no other candidate'} is tried`, () => {
    assert.equal(step(kind), isPassedOn ? 'next_candidate' : 'give_up');
    assert.equal(step(kind, { candidatesLeft: 0 }), 'give_up');
  });
}

test('a retryable status is tried again on the only candidate, as often as retry.same_upstream says', () => {
  const alone = { candidatesLeft: 0, isOnlyCandidate: true, sameUpstreamRetries: 2 };
  assert.equal(step('retryable_status', { ...alone, tries: 1 }), 'same_upstream_after_backoff');
  assert.equal(step('retryable_status', { ...alone, tries: 2 }), 'same_upstream_after_backoff');
  assert.equal(step('retryable_status', { ...alone, tries: 3 }), 'give_up');
  assert.equal(step('retryable_status', { ...alone, sameUpstreamRetries: 0 }), 'give_up');
  assert.equal(step('retryable_status', { candidatesLeft: 0 }), 'give_up', 'the last of several is not');
  for (const kind of KINDS.filter((one) => one !== 'retryable_status'))
    assert.equal(step(kind, alone), 'give_up', kind);
});

test('a pause that would exceed the deadline is not started', () => {
  const alone = { candidatesLeft: 0, isOnlyCandidate: true, sameUpstreamRetries: 3, tries: 2 };
  assert.equal(step('retryable_status', { ...alone, leftMs: 400 }), 'give_up');
  assert.equal(step('retryable_status', { ...alone, leftMs: 401 }), 'same_upstream_after_backoff');
  assert.equal(step('retryable_status', { leftMs: 1 }), 'next_candidate', 'another one needs no pause');
});

test('the pause before each further try of the same upstream doubles', () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((tries) => backoffAfter(tries, 200)),
    [200, 400, 800, 1_600],
  );
  assert.equal(backoffAfter(3, 0), 0);
});

test('a refused parameter is dropped before another candidate is tried, also for the only candidate and any number of times', () => {
  for (const tries of [1, 5]) {
    const facts = { canDropParameter: true, tries };
    assert.equal(step('client_fault', facts), 'same_upstream_without_parameter');
    assert.equal(step('client_fault', { ...facts, candidatesLeft: 0 }), 'same_upstream_without_parameter');
  }
  for (const kind of KINDS.filter((one) => one !== 'client_fault'))
    assert.notEqual(step(kind, { canDropParameter: true }), 'same_upstream_without_parameter', kind);
});

test('after the deadline, and without a replayable body, nothing is tried', () => {
  for (const kind of KINDS) {
    for (const end of [{ leftMs: 0 }, { leftMs: -1 }, { isReplayable: false }])
      assert.equal(step(kind, { ...end, canDropParameter: true }), 'give_up', kind);
  }
});

/** Each wins over all that follow it. */
const WORTH: readonly (readonly ErrorKind[])[] = [
  ['client_fault', 'context_overflow', 'content_filtered', 'auth_passed_through', 'internal'],
  ['rate_limited'],
  ['quota_exhausted', 'queue_full'],
  ['unreachable', 'timeout', 'retryable_status', 'invalid_response', 'disconnected', 'token_unavailable'],
  ['model_not_found', 'path_not_found'],
  ['auth_rejected', 'forbidden'],
  ['upstream_misconfigured', 'upstream_paused'],
];

test('the client’s own error wins over 429, over a failure, over a missing model or path, over auth, in any order', () => {
  for (const [position, winners] of WORTH.entries()) {
    for (const winner of winners) {
      for (const loser of WORTH.slice(position + 1).flat()) {
        const [won, lost] = [failure(winner), failure(loser)];
        assert.equal(mostActionable([won, lost]), won, `${winner} before ${loser}`);
        assert.equal(mostActionable([lost, won]), won, `${loser} before ${winner}`);
      }
    }
  }
});

test('of equal errors the last one is reported', () => {
  const [first, last] = [failure('unreachable'), failure('timeout')];
  assert.equal(mostActionable([first, last]), last);
  assert.equal(mostActionable([last, first]), first);
  assert.equal(mostActionable([first]), first);
  assert.equal(mostActionable([]), undefined);
});

test('of several rate limits the shortest wait is reported', () => {
  const waits = [30_000, 2_000, 9_000].map((waitMs) => failure('rate_limited', waitMs));
  assert.equal(mostActionable(waits)?.retryAfterMs, 2_000);
  assert.equal(
    mostActionable([failure('rate_limited'), ...waits, failure('rate_limited')])?.retryAfterMs,
    2_000,
  );
});
