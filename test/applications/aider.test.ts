import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MODEL, pythonProgram, say, TIMETABLE, testApplication } from './application-run.ts';

const PROGRAM = pythonProgram('aider', 'aider');
const FILES = ['one.txt', 'two.txt', 'three.txt'];

testApplication('aider writes files with edits in texts', PROGRAM, {
  answer: (body) => {
    const asked = JSON.stringify((body.messages as unknown[]).at(-1));
    const file = FILES.find((name) => asked.includes(name)) ?? 'one.txt';
    return say(`${file}\n\`\`\`\n${TIMETABLE}\n\`\`\`\n`);
  },
  run: async ({ home, run, assertRenewals }) => {
    const options = [
      '--yes-always',
      '--no-git',
      '--no-check-update',
      '--no-show-model-warnings',
      '--edit-format',
      'whole',
    ];
    for (const file of FILES) {
      await run({
        command: PROGRAM,
        args: ['--model', `openai/${MODEL}`, ...options, '--message', `Write ${file}.`, file],
        env: { AIDER_ANALYTICS: 'false', LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
      });
      assert.equal(await readFile(join(home, file), 'utf8'), `${TIMETABLE}\n`);
    }
    assertRenewals();
  },
});
