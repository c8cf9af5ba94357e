import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../scripts/launcher.mjs', import.meta.url));

/** Runs the launcher of a built package whose package.json asks for `engine`. */
function launch(t: TestContext, engine: string) {
  const folder = mkdtempSync(join(tmpdir(), 'tokenferry-launcher-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'dist'));
  copyFileSync(launcher, join(folder, 'dist/tokenferry.mjs'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', engines: { node: engine } }));
  writeFileSync(join(folder, 'dist/main.js'), "console.log('started', ...process.argv.slice(2));");
  return spawnSync(process.execPath, [join(folder, 'dist/tokenferry.mjs'), 'check', 'x'], {
    encoding: 'utf8',
  });
}

test('a Node that is new enough runs the command with its arguments', (t) => {
  const { stdout, status } = launch(t, '>=22.19');
  assert.equal(stdout, 'started check x\n');
  assert.equal(status, 0);
});

test('on an older Node one line states the required version', (t) => {
  for (const engine of ['>=99.1', `>=${process.versions.node.split('.')[0]}.999`]) {
    const { stdout, stderr, status } = launch(t, engine);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      new RegExp(`^tokenferry needs Node ${engine.slice(2)} or newer; this is \\S+ \\(.*\\)\\.\\n$`),
    );
    assert.equal(status, 1);
  }
});
