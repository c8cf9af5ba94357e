import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttemptRecord } from '../../src/lib/request-record.ts';
import { AttemptLog } from '../../src/routing/routed-request.ts';

const entry = (upstream: string, elapsedMs: number): AttemptRecord => ({
  upstream,
  outcome: 'timeout',
  status: null,
  elapsedMs,
  tokenRenewed: false,
});

test('before the first attempt there is no upstream and no time', () => {
  const { attempts, count, upstream, upstreamModel, upstreamMs } = new AttemptLog();
  assert.deepEqual(
    { attempts, count, upstream, upstreamModel, upstreamMs },
    {
      attempts: [],
      count: 0,
      upstream: null,
      upstreamModel: null,
      upstreamMs: 0,
    },
  );
});

test('an attempt counts when it begins and is told when it ends, with the time of all together', () => {
  const log = new AttemptLog();
  log.begin('first', 'deploy-1');
  assert.deepEqual(
    [log.count, log.upstream, log.upstreamModel, log.attempts.length],
    [1, 'first', 'deploy-1', 0],
  );
  log.end(entry('first', 30));
  log.begin('second', 'deploy-2');
  log.end(entry('second', 12));
  assert.deepEqual([log.count, log.upstream, log.upstreamModel], [2, 'second', 'deploy-2']);
  assert.deepEqual(
    log.attempts.map(({ upstream }) => upstream),
    ['first', 'second'],
  );
  assert.equal(log.upstreamMs, 42);
});

test('a refusal by a full queue is told as an attempt, and its wait is no work of the upstream', () => {
  const log = new AttemptLog();
  log.refused('busy', 'deploy-3', entry('busy', 500));
  assert.deepEqual(
    [log.count, log.upstream, log.upstreamModel, log.attempts.length],
    [1, 'busy', 'deploy-3', 1],
  );
  assert.equal(log.upstreamMs, 0);
});
