import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../scripts/run.mjs', import.meta.url));

/** A TypeScript file of its own folder, removed after the test. */
function scriptFile(t: { after(run: () => void): void }, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenferry-run-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'script.ts');
  writeFileSync(file, text);
  return file;
}

async function firstLine(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout);
  const [text] = await once(child.stdout.setEncoding('utf8'), 'data');
  return String(text).trim();
}

test('arguments arrive as they are, the exit code comes back', (t) => {
  const file = scriptFile(
    t,
    'console.log(JSON.stringify(process.argv.slice(2))); process.exit(7 as number);',
  );
  const result = spawnSync(process.execPath, [launcher, file, 'a b', '--flag', ''], { encoding: 'utf8' });
  assert.equal(result.stdout.trim(), '["a b","--flag",""]');
  assert.equal(result.status, 7);
  assert.equal(result.stderr, '');
});

test('the script runs on the repository’s own Node, whose tools are first on the PATH', (t) => {
  const file = scriptFile(t, "console.log(process.execPath, process.env['PATH']?.split(':')[0]);");
  const result = spawnSync(process.execPath, [launcher, file], { encoding: 'utf8' });
  assert.match(result.stdout, /node_modules\/\S+ \S+node_modules\/\.bin$/m);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} reaches the script, which ends in its own way`, async (t) => {
    const file = scriptFile(
      t,
      `process.on('${signal}', () => { console.log('heard'); process.exit(3); });
       setInterval(() => undefined, 1000); console.log('ready');`,
    );
    const child = spawn(process.execPath, [launcher, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    assert.equal(await firstLine(child), 'ready');
    const heard = firstLine(child);
    child.kill(signal);
    assert.equal(await heard, 'heard');
    const [code] = await once(child, 'exit');
    assert.equal(code, 3);
  });
}

test('under npm the script ends when npm is gone', async (t) => {
  const file = scriptFile(
    t,
    "process.on('SIGTERM', () => process.exit(0)); setInterval(() => undefined, 1000); console.log(process.pid);",
  );
  // Stands for npm and its shell: starts the launcher and dies without a word to it.
  const parent = spawn(
    process.execPath,
    [
      '-e',
      `require('child_process').spawn(process.execPath, ${JSON.stringify([launcher, file])}, { stdio: 'inherit' })`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, npm_lifecycle_event: 'start' } },
  );
  const pid = Number(await firstLine(parent));
  t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
  parent.kill('SIGKILL');
  // The pipe ends when the last process that holds it does.
  await once(parent, 'close');
  assert.equal(isAlive(pid), false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('without a file it prints its usage', () => {
  const result = spawnSync(process.execPath, [launcher], { encoding: 'utf8' });
  assert.equal(result.status, 2);
  assert.match(result.stderr, /^usage:/);
});
