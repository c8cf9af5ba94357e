import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
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

/** The program itself: its script for npm needs an install script. */
const PROGRAM = nodeProgram(`../opencode-${process.platform}-${process.arch}/bin/opencode`);

testApplication('OpenCode writes and reads a file', PROGRAM, {
  answer: (body, home) => {
    const filePath = join(home, 'timetable.txt');
    const results = resultsOf(body);
    if (!offers(body, 'write')) return say('A title');
    if (results.length === 0) return call('write', { filePath, content: `${TIMETABLE}\n` }, 0);
    if (results.length === 1) return call('read', { filePath }, 1);
    return say(`READ: ${results[1]}`);
  },
  run: async ({ url, home, run, assertRenewals }) => {
    // The settings of docs/applications.md.
    const config = {
      $schema: 'https://opencode.ai/config.json',
      provider: {
        tokenferry: {
          npm: '@ai-sdk/openai-compatible',
          name: 'tokenferry',
          options: { baseURL: url, apiKey: KEY },
          models: { [MODEL]: { name: MODEL } },
        },
      },
      model: `tokenferry/${MODEL}`,
      autoupdate: false,
      share: 'disabled',
    };
    await writeFile(join(home, 'opencode.json'), JSON.stringify(config));
    const output = await run({
      command: PROGRAM,
      args: ['run', '--model', `tokenferry/${MODEL}`, 'Write it.'],
      env: {
        OPENCODE_DISABLE_MODELS_FETCH: '1',
        OPENCODE_DISABLE_AUTOUPDATE: '1',
        OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
      },
    });
    assert.match(output, /READ: .*The ferry leaves at noon\./s);
    assert.equal(await readFile(join(home, 'timetable.txt'), 'utf8'), `${TIMETABLE}\n`);
    assertRenewals();
  },
});
