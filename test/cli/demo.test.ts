import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'src/main.ts');

test('the demo prints examples that work as printed, reports its token and leaks nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenferry-demo-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [main, 'demo', '--port', '0'], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let printed = '';
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaints += text;
  });
  for await (const text of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    printed += text;
    if (/token 1 .*expires in/.test(printed)) break;
  }
  child.stdout.resume();

  const curl = /^curl .*$/m.exec(printed)?.[0] ?? '';
  const said = spawnSync('sh', ['-c', curl], { encoding: 'utf8' });
  assert.match(said.stdout, /^"content":""\n"content":"You"\n|^"content":"You/m);
  assert.match(said.stdout, /"content":" demo"\n/);
  const node = /^node --input-type=module.*?^END$/ms.exec(printed)?.[0] ?? '';
  const answer = spawnSync('sh', ['-c', node], { cwd: root, encoding: 'utf8' });
  assert.match(answer.stdout, /^You said: “Hello”\. .*token number 1/, answer.stderr);

  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.equal(complaints, '');
  // Node's own compile cache may stay.
  const left = readdirSync(folder).filter((name) => name.startsWith('tokenferry'));
  assert.deepEqual(left, []);
});

test('the demo ends quietly when the other end of its output is closed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenferry-demo-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [main, 'demo', '--port', '0', '--token-life', '10'], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaints += text;
  });
  const exited = once(child, 'exit');
  // Leaving the loop closes the socket: the next line, at the renewal of the token, has no reader.
  for await (const text of child.stdout.setEncoding('utf8')) if (/expires in/.test(text)) break;
  assert.deepEqual(await exited, [0, null]);
  assert.equal(complaints, '');
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('tokenferry')),
    [],
  );
});

test('a wrong flag is a clear error, exit code 2', () => {
  for (const args of [['--nope'], ['--port', 'x'], ['--token-life', '3']]) {
    const result = spawnSync(process.execPath, [main, 'demo', ...args], { encoding: 'utf8' });
    assert.equal(result.status, 2);
    assert.match(result.stderr, /usage: tokenferry demo/);
  }
});
