import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

function json(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
}

const allowScripts = json(join(root, 'package.json')).allowScripts as Record<string, boolean>;

test('npm runs no install script by itself', () => {
  const lines = readFileSync(join(root, '.npmrc'), 'utf8').split('\n');
  assert.ok(lines.includes('ignore-scripts=true'));
});

test('each package that npm would run something for is allowed or refused by name', () => {
  const lock = json(join(root, 'package-lock.json')).packages as Record<string, { hasInstallScript?: true }>;
  const undecided = Object.entries(lock)
    .filter(([path, { hasInstallScript }]) => hasInstallScript || existsSync(join(root, path, 'binding.gyp')))
    .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
    .filter((name) => allowScripts[name] === undefined);
  assert.deepEqual(undecided, []);
});

test('better-sqlite3 brings a binary for each platform that is promised, and nothing was built', () => {
  const folder = join(root, 'node_modules/better-sqlite3');
  for (const platform of ['linux-x64', 'linux-arm64', 'linuxmusl-x64', 'linuxmusl-arm64', 'darwin-arm64'])
    assert.ok(existsSync(join(folder, 'prebuilds', `${platform}.node`)), platform);
  assert.ok(!existsSync(join(folder, 'build/Release/better_sqlite3.node')));
});

/** A repository with the launcher and two installed packages whose scripts make a link, one of them allowed. */
function repository(t: { after(run: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenferry-scripts-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (path: string, content: unknown): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content));
  };
  const names = ['allowed', 'refused'];
  write('package.json', {
    name: 'repository',
    version: '1.0.0',
    engines: json(join(root, 'package.json')).engines,
    allowScripts: { allowed: true, refused: false },
    devDependencies: { allowed: '1.0.0', refused: '1.0.0' },
  });
  write('.npmrc', readFileSync(join(root, '.npmrc'), 'utf8'));
  const packages = Object.fromEntries(
    names.map((name) => [`node_modules/${name}`, { version: '1.0.0', hasInstallScript: true }]),
  );
  write('package-lock.json', { name: 'repository', lockfileVersion: 3, packages });
  write('node_modules/.package-lock.json', { name: 'repository', lockfileVersion: 3, packages });
  for (const name of names) {
    const script = `node -e "require('fs').symlinkSync('pg', 'link')"`;
    write(`node_modules/${name}/package.json`, { name, version: '1.0.0', scripts: { postinstall: script } });
    write(`node_modules/${name}/native/pg-symlinks.json`, [{ source: 'pg', target: 'link' }]);
    write(`node_modules/${name}/pg`, '');
  }
  write('node_modules/refused/binding.gyp', 'not even one');
  write('script.ts', "console.log('runs')");
  mkdirSync(join(folder, 'scripts'));
  copyFileSync(join(root, 'scripts/run.mjs'), join(folder, 'scripts/run.mjs'));
  return folder;
}

test('the launcher runs an allowed script that has not run, once, and no other', (t) => {
  const folder = repository(t);
  const start = () =>
    spawnSync(process.execPath, ['scripts/run.mjs', 'script.ts'], { cwd: folder, encoding: 'utf8' });
  const first = start();
  assert.equal(first.stdout, 'runs\n', first.stderr);
  assert.match(first.stderr, /^running the install scripts of allowed …\n$/);
  assert.ok(existsSync(join(folder, 'node_modules/allowed/link')));
  assert.ok(!existsSync(join(folder, 'node_modules/refused/link')));
  assert.equal(start().stderr, '');
});

test('when a script fails the launcher prints the reason and continues with the available Node', (t) => {
  const folder = repository(t);
  const scripts = { postinstall: 'echo no network && exit 1' };
  writeFileSync(
    join(folder, 'node_modules/allowed/package.json'),
    JSON.stringify({ name: 'allowed', version: '1.0.0', scripts }),
  );
  const result = spawnSync(process.execPath, ['scripts/run.mjs', 'script.ts'], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.equal(result.stdout, 'runs\n');
  assert.match(result.stderr, /no network[\s\S]*could not run the install scripts of allowed/);
});
