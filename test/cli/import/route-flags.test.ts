import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

test('the flags of openai-api-route: -config, -config=, -list at any place, -dblog; no secret is printed', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(
    join(directory, 'old.yaml'),
    'authorization: k\nupstreams:\n  - { sk: upstream-secret, endpoint: "https://a.example/v1" }\n',
  );
  const lines: readonly (readonly string[])[] = [
    ['-list', '-config', 'old.yaml'],
    ['-config', 'old.yaml', '-list'],
    ['-config=old.yaml', '-dblog', '-list=true'],
    ['--config=old.yaml', '-dblog=true', '--list'],
  ];
  for (const args of lines) {
    const { stdout } = await run(process.execPath, [MAIN, ...args], { cwd: directory });
    assert.match(stdout, /upstream-1\n {2}endpoint {2}https:\/\/a\.example\/v1/, args.join(' '));
    assert.ok(!stdout.includes('upstream-secret'));
  }
});
