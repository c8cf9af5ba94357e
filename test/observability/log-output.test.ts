import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogOutput } from '../../src/observability/log-output.ts';
import { temporaryDirectory, tinyDisk } from '../helpers/temporary-directory.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';

test('lines are appended to a file, in order, and its directory is made', async (t) => {
  const path = join(temporaryDirectory(t), 'logs', 'out.log');
  const output = new LogOutput(path);
  for (let line = 0; line < 1_000; line++) output.write(`${line}\n`);
  await output.close(1_000);
  assert.equal(readFileSync(path, 'utf8'), Array.from({ length: 1_000 }, (_, line) => `${line}\n`).join(''));
  const again = new LogOutput(path);
  again.write('more\n');
  await again.close(1_000);
  assert.ok(readFileSync(path, 'utf8').endsWith('999\nmore\n'));
  assert.equal(statSync(path).mode & 0o007, 0, 'not for everybody');
});

test('after a rotation lines go to a new file of the same name', async (t) => {
  const path = join(temporaryDirectory(t), 'out.log');
  const clock = new VirtualClock();
  const output = new LogOutput(path, { clock });
  output.write('before\n');
  await output.flush(1_000);
  renameSync(path, `${path}.1`);
  clock.stall(10_000);
  output.write('after\n');
  await output.close(1_000);
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'before\n');
  assert.equal(readFileSync(path, 'utf8'), 'after\n');
});

test('on a full disk lines are lost and counted, which is reported when there is room again', async (t) => {
  const disk = tinyDisk(t, 64);
  if (disk === null) return t.skip('this user may not mount a small disk');
  const path = join(disk, 'out.log');
  const output = new LogOutput(path, { lossNotice: (lines) => `lost ${lines}\n` });
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(48 * 1024));
  const line = `${'x'.repeat(999)}\n`;
  for (let count = 0; count < 40; count++) output.write(line);
  await output.flush(1_000);
  output.write('one\ntwo\n');
  await output.flush(1_000);
  const lost = output.droppedLines;
  assert.ok(lost >= 40, String(lost));
  rmSync(join(disk, 'ballast'));
  output.write('there again\n');
  await output.close(1_000);
  const found = readFileSync(path, 'utf8').split('\n');
  assert.deepEqual(found.slice(-3), [`lost ${lost}`, 'there again', '']);
  // The line in which the disk filled up stands alone: nothing is glued to its end.
  assert.ok(found.slice(0, -3).every((text) => /^x*$/.test(text)));
});

test('a device that is always full throws nothing', async () => {
  const output = new LogOutput('/dev/full');
  output.write('a\nb\n');
  await output.close(1_000);
  assert.equal(output.droppedLines, 2);
});

test('a descriptor that is closed loses every line and throws nothing', async (t) => {
  const fd = openSync(join(temporaryDirectory(t), 'x'), 'w');
  closeSync(fd);
  const output = new LogOutput(fd);
  output.write('a\n');
  await output.flush(1_000);
  output.write('b\n');
  await output.close(1_000);
  assert.equal(output.droppedLines, 2);
});

const CHILD = `
  import { LogOutput } from './src/observability/log-output.ts';
  const output = new LogOutput(1, { maxPendingChars: 1_000_000 });
  const line = 'x'.repeat(999) + '\\n';
  let ticks = 0;
  const timer = setInterval(() => {
    for (let count = 0; count < 500; count++) output.write(line);
    if (++ticks < 10) return;
    clearInterval(timer);
    const beganAtMs = performance.now();
    output.close(200).then(() => {
      const tookMs = Math.round(performance.now() - beganAtMs);
      process.stderr.write(JSON.stringify({ ticks, dropped: output.droppedLines, tookMs }));
      process.exit(0);
    });
  }, 5);
`;

test('a stuck reader does not block the process; lines beyond the limit are lost', async () => {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', CHILD], { stdio: 'pipe' });
  child.stdout.pause();
  let report = '';
  child.stderr.on('data', (text) => {
    report += text;
  });
  const [code] = await once(child, 'exit');
  child.stdout.destroy();
  assert.equal(code, 0, report);
  const { ticks, dropped, tookMs } = JSON.parse(report);
  assert.equal(ticks, 10);
  assert.ok(dropped > 3_000, report);
  assert.ok(tookMs < 10_000, report);
});

test('a reader that closes the pipe does not stop the process', async () => {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', CHILD], { stdio: 'pipe' });
  child.stdout.destroy();
  let report = '';
  child.stderr.on('data', (text) => {
    report += text;
  });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0, report);
  assert.equal(JSON.parse(report).dropped, 5_000);
});
