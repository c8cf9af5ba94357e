import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MODEL, pythonProgram, say, TIMETABLE, testApplication } from './application-run.ts';

const PROGRAM = pythonProgram('aider', 'aider');
const FILES = ['one.txt', 'two.txt', 'three.txt'];

const isWritten = (file: string): boolean => existsSync(file) && readFileSync(file, 'utf8') !== '';

testApplication('aider writes files with edits in texts, told by a test what is still missing', PROGRAM, {
  answer: (_body, home) => {
    const file = FILES.find((name) => !isWritten(join(home, name))) ?? 'one.txt';
    return say(`${file}\n\`\`\`\n${TIMETABLE}\n\`\`\`\n`);
  },
  run: async ({ home, run, assertRenewals }) => {
    const options = [
      '--yes-always',
      '--no-git',
      '--no-check-update',
      '--no-show-model-warnings',
      '--no-show-release-notes',
      ...['--edit-format', 'whole'],
      // One process with three turns: its start takes longer than they do.
      ...['--auto-test', '--test-cmd', 'test -s one.txt && test -s two.txt && test -s three.txt'],
    ];
    await run({
      command: PROGRAM,
      args: ['--model', `openai/${MODEL}`, ...options, '--message', 'Write them.', ...FILES],
      env: { AIDER_ANALYTICS: 'false' },
    });
    for (const file of FILES) assert.equal(await readFile(join(home, file), 'utf8'), `${TIMETABLE}\n`);
    assertRenewals();
  },
});
