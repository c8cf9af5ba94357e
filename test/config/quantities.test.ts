import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationMs, sizeBytes, statusRange, writtenDuration } from '../../src/config/types/quantities.ts';

test('durations are seconds, or carry their unit', () => {
  const cases: readonly (readonly [string, number | null])[] = [
    ['0', 0],
    ['30', 30_000],
    ['0.5', 500],
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['1.5 h', 5_400_000],
    ['-1', null],
    ['1w', null],
    ['', null],
    ['s', null],
    ['1e3', null],
    ['0x10', null],
    ['99999999999999999d', null],
  ];
  for (const [text, expected] of cases) assert.equal(durationMs(text), expected, text);
});

test('sizes are bytes, or carry their unit; KB means 1024 too', () => {
  const cases: readonly (readonly [string, number | null])[] = [
    ['0', 0],
    ['65536', 65_536],
    ['64KiB', 65_536],
    ['64kb', 65_536],
    ['64K', 65_536],
    ['8MiB', 8_388_608],
    ['1.5GiB', 1_610_612_736],
    ['2 TiB', 2_199_023_255_552],
    ['12B', 12],
    ['-1', null],
    ['1PiB', null],
    ['MiB', null],
    ['99999999TiB', null],
  ];
  for (const [text, expected] of cases) assert.equal(sizeBytes(text), expected, text);
});

test('statuses are numbers and ranges', () => {
  assert.deepEqual(statusRange('503'), [503]);
  assert.deepEqual(statusRange('520-523'), [520, 521, 522, 523]);
  assert.deepEqual(statusRange('500 - 500'), [500]);
  for (const text of ['', '99', '600', '529-520', '5xx', '200-', '200-300-400'])
    assert.equal(statusRange(text), null, text);
});

test('a duration in a message is written as in the file', () => {
  assert.equal(writtenDuration(24 * 86_400_000), '24d');
  assert.equal(writtenDuration(90_000), '90s');
  assert.equal(writtenDuration(1), '1ms');
  assert.equal(writtenDuration(0), '0ms');
});
