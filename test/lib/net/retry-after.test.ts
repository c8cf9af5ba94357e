import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs } from '../../../src/lib/net/retry-after.ts';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);

function wait(headers: Record<string, string>, text = '', isRateLimit = true): number | undefined {
  return retryAfterMs({ headers: (name) => headers[name], text, nowWallMs: now, isRateLimit });
}

test('Q143 retry-after is read as seconds, as a float and as an HTTP date', () => {
  assert.equal(wait({ 'retry-after': '20' }), 20_000);
  assert.equal(wait({ 'retry-after': ' 1.5 ' }), 1500);
  assert.equal(wait({ 'retry-after': 'Sat, 21 Nov 2026 12:00:30 GMT' }), 30_000);
  assert.equal(wait({ 'retry-after': '20s' }), 20_000);
});

test('Q143 a wait over an hour is cut to 60 s', () => {
  assert.equal(wait({ 'retry-after': '7200' }), 60_000);
  assert.equal(wait({ 'retry-after-ms': '999999999' }), 60_000);
  assert.equal(wait({ 'retry-after': '1e308' }), 60_000);
});

test('Q143 a negative, zero, past or nonsensical wait is no wait', () => {
  for (const value of ['-5', '0', '', '  ', 'soon', 'NaN', 'Infinity', 'Sat, 21 Nov 2020 12:00:00 GMT']) {
    assert.equal(wait({ 'retry-after': value }), undefined, value);
  }
  assert.equal(wait({}), undefined);
});

test('S86 retry-after-ms is preferred to retry-after, unless it is unusable', () => {
  assert.equal(wait({ 'retry-after-ms': '250', 'retry-after': '9' }), 250);
  assert.equal(wait({ 'retry-after-ms': '0.2' }), 1);
  assert.equal(wait({ 'retry-after-ms': '-1', 'retry-after': '9' }), 9000);
});

test('Q143 x-ratelimit-reset-* are read as durations, seconds and points in time', () => {
  assert.equal(wait({ 'x-ratelimit-reset-requests': '120ms' }), 120);
  assert.equal(wait({ 'x-ratelimit-reset-tokens': '6m0s' }), 60_000);
  assert.equal(wait({ 'x-ratelimit-reset': String(now / 1000 + 12) }), 12_000);
  assert.equal(wait({ 'x-ratelimit-reset': String(now + 700) }), 700);
  assert.equal(wait({ 'ratelimit-reset': '7' }), 7000);
});

test('the exhausted window counts, else the shortest', () => {
  const both = { 'x-ratelimit-reset-requests': '1s', 'x-ratelimit-reset-tokens': '9s' };
  assert.equal(wait(both), 1000);
  assert.equal(wait({ ...both, 'x-ratelimit-remaining-tokens': '0' }), 9000);
});

test('Q143 the wait is found in the message text', () => {
  const texts: [string, number][] = [
    ['Rate limit reached for gpt-4o. Please try again in 20s. Visit …', 20_000],
    ['Please try again in 1.5s.', 1500],
    ['try again in 6ms', 6],
    ['Please try again in 1m20s', 60_000],
    ['Please retry after 30 seconds', 30_000],
    ['{"retryDelay": "34s"}', 34_000],
    ['Please retry in 12.25s', 12_250],
    ['Please wait for 2 seconds', 2000],
    ['retry_after: 5', 5000],
    ['请求过于频繁,请在 20 秒后重试', 20_000],
  ];
  for (const [text, ms] of texts) assert.equal(wait({}, text), ms, text);
  assert.equal(wait({}, 'you sent 20 requests'), undefined);
});

test('outside of a rate limit only the retry-after headers count', () => {
  assert.equal(wait({ 'x-ratelimit-reset': '5' }, 'try again in 3s', false), undefined);
  assert.equal(wait({ 'retry-after': '5' }, '', false), 5000);
});
