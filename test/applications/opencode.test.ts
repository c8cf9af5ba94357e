import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assertWritten,
  KEY,
  MODEL,
  nodeProgram,
  testApplication,
  writesAndReads,
} from './application-run.ts';

/** The program itself: its script for npm needs an install script. */
const PROGRAM = nodeProgram(`../opencode-${process.platform}-${process.arch}/bin/opencode`);

testApplication('OpenCode writes and reads a file', PROGRAM, {
  answer: writesAndReads({ write: 'write', read: 'read', path: 'filePath' }),
  run: async (scene) => {
    const { url, home } = scene;
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
    const output = await scene.run({
      command: PROGRAM,
      args: ['run', '--model', `tokenferry/${MODEL}`, 'Write it.'],
      env: {
        OPENCODE_DISABLE_MODELS_FETCH: '1',
        OPENCODE_DISABLE_AUTOUPDATE: '1',
        OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
      },
    });
    await assertWritten(scene, output);
  },
});
