import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
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

const PROGRAM = nodeProgram('cn');

testApplication('Continue (cn) writes and reads a file', PROGRAM, {
  answer: (body, home) => {
    const filepath = join(home, 'timetable.txt');
    const results = resultsOf(body);
    if (!offers(body, 'Write')) return say('A title');
    if (results.length === 0) return call('Write', { filepath, content: `${TIMETABLE}\n` }, 0);
    if (results.length === 1) return call('Read', { filepath }, 1);
    return say(`READ: ${results[1]}`);
  },
  run: async ({ url, home, run, assertRenewals }) => {
    // The settings of docs/applications.md.
    const model = { name: 'corp', provider: 'openai', model: MODEL, apiBase: url, apiKey: KEY };
    const config = {
      name: 'ferry',
      version: '1.0.0',
      schema: 'v1',
      models: [{ ...model, roles: ['chat'], capabilities: ['tool_use'] }],
    };
    await writeFile(join(home, 'config.yaml'), stringify(config));
    const output = await run({
      command: PROGRAM,
      args: ['--config', join(home, 'config.yaml'), '--auto', '-p', 'Write it.'],
      env: { CONTINUE_TELEMETRY_ENABLED: '0', CONTINUE_GLOBAL_DIR: join(home, '.continue') },
    });
    assert.match(output, /READ: .*The ferry leaves at noon\./s);
    assert.equal(await readFile(join(home, 'timetable.txt'), 'utf8'), `${TIMETABLE}\n`);
    assertRenewals();
  },
});
