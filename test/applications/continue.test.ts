import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import {
  assertWritten,
  KEY,
  MODEL,
  nodeProgram,
  testApplication,
  writesAndReads,
} from './application-run.ts';

const PROGRAM = nodeProgram('cn');

testApplication('Continue (cn) writes and reads a file', PROGRAM, {
  answer: writesAndReads({ write: 'Write', read: 'Read', path: 'filepath' }),
  run: async (scene) => {
    const { url, home, run } = scene;
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
    await assertWritten(scene, output);
  },
});
