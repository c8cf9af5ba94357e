import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sinceMs } from '../../src/cli/arguments.ts';

const NOW_MS = Date.parse('2026-11-21T12:00:00Z');

test('a duration is before now, seconds without a unit as everywhere', () => {
  const rows = {
    '90': 90_000,
    '30s': 30_000,
    '5m': 300_000,
    '2h': 7_200_000,
    '7d': 604_800_000,
    '1.5h': 5_400_000,
  };
  for (const [text, agoMs] of Object.entries(rows)) assert.equal(sinceMs(text, NOW_MS), NOW_MS - agoMs, text);
});

test('an ISO time is taken as it is, in UTC when it names no zone', () => {
  const rows = {
    '2026-11-21': '2026-11-21T00:00:00Z',
    '2026-11-21T10:30': '2026-11-21T10:30:00Z',
    '2026-11-21 10:30:15': '2026-11-21T10:30:15Z',
    '2026-11-21T10:30:15.250Z': '2026-11-21T10:30:15.250Z',
    '2026-11-21T10:30:15+08:00': '2026-11-21T02:30:15Z',
    '2026-11-21T10:30-0130': '2026-11-21T12:00:00Z',
  };
  for (const [text, time] of Object.entries(rows))
    assert.equal(sinceMs(text, NOW_MS), Date.parse(time), text);
});

test('what is neither is refused', () => {
  for (const text of ['', 'yesterday', '-5m', '5 weeks', '2026-13-01', '2026-11-21T25:00', '10:30'])
    assert.equal(sinceMs(text, NOW_MS), null, text);
});
