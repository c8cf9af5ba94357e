import { join } from 'node:path';
import {
  assertWritten,
  call,
  KEY,
  MODEL,
  nodeProgram,
  offers,
  resultsOf,
  say,
  TIMETABLE,
  testApplication,
} from './application-run.ts';

const PROGRAM = nodeProgram('cline');

testApplication('Cline writes a file and reads it', PROGRAM, {
  answer: (body, home) => {
    const path = join(home, 'timetable.txt');
    const results = resultsOf(body);
    if (!offers(body, 'editor')) return say('A title');
    if (results.length === 0) return call('editor', { path, new_text: `${TIMETABLE}\n` }, 0);
    if (results.length === 1) return call('read_files', { files: [{ path }] }, 1);
    return say(`READ: ${results[1]}`);
  },
  run: async (scene) => {
    const { url, run } = scene;
    // The settings of docs/applications.md.
    const auth = [
      'auth',
      '--provider',
      'openai-compatible',
      '--apikey',
      KEY,
      '--modelid',
      MODEL,
      '--baseurl',
      url,
    ];
    await run({ command: PROGRAM, args: auth });
    const output = await run({ command: PROGRAM, args: ['--auto-approve', 'true', 'Write it.'] });
    await assertWritten(scene, output);
  },
});
