import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  call,
  MODEL,
  nodeProgram,
  offers,
  resultsOf,
  say,
  TIMETABLE,
  testApplication,
} from './application-run.ts';

const PROGRAM = nodeProgram('qwen');

testApplication('Qwen Code writes and reads a file', PROGRAM, {
  answer: (body, home) => {
    const file_path = join(home, 'timetable.txt');
    const results = resultsOf(body);
    if (!offers(body, 'write_file')) return say('A title');
    if (results.length === 0) return call('write_file', { file_path, content: `${TIMETABLE}\n` }, 0);
    if (results.length === 1) return call('read_file', { file_path }, 1);
    return say(`READ: ${results[1]}`);
  },
  run: async ({ home, run, assertRenewals }) => {
    const output = await run({
      command: PROGRAM,
      args: ['--auth-type', 'openai', '--yolo', '--prompt', 'Write it.'],
      env: { OPENAI_MODEL: MODEL },
    });
    assert.match(output, /READ: .*The ferry leaves at noon\./s);
    assert.equal(await readFile(join(home, 'timetable.txt'), 'utf8'), `${TIMETABLE}\n`);
    assertRenewals();
  },
});
