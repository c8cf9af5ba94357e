import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assertWritten,
  call,
  KEY,
  MODEL,
  nodeProgram,
  offers,
  resultsOf,
  type Scene,
  say,
  TIMETABLE,
  testApplication,
} from './application-run.ts';

const PROGRAM = nodeProgram('codex');

/** The settings of docs/applications.md. */
const config = (url: string, model: string) => `model = "${model}"
model_provider = "tokenferry"

[model_providers.tokenferry]
name = "tokenferry"
base_url = "${url}"
env_key = "TOKENFERRY_KEY"
wire_api = "responses"
`;

/** Runs Codex with a model of this name, and returns what it printed. */
async function runCodex({ url, home, run }: Scene, model: string): Promise<string> {
  const folder = join(home, '.codex');
  await mkdir(folder);
  await writeFile(join(folder, 'config.toml'), config(url, model));
  const args = ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', 'Write it.'];
  return run({ command: PROGRAM, args, env: { CODEX_HOME: folder, TOKENFERRY_KEY: KEY } });
}

testApplication('Codex writes and reads a file by commands', PROGRAM, {
  answer: (body) => {
    const results = resultsOf(body);
    if (!offers(body, 'exec_command')) return say('A title');
    if (results.length === 0) return call('exec_command', { cmd: `echo '${TIMETABLE}' > timetable.txt` }, 0);
    if (results.length === 1) return call('exec_command', { cmd: 'cat timetable.txt' }, 1);
    return say(`READ: ${results[1]}`);
  },
  run: async (scene) => {
    await assertWritten(scene, await runCodex(scene, MODEL));
    assert.deepEqual(scene.model.unknownPaths, ['POST /v1/responses'], 'learned at the first request');
  },
});

const PATCH = `*** Begin Patch\n*** Add File: patched.txt\n+${TIMETABLE}\n*** End Patch\n`;

testApplication('Codex writes a file by its custom tool apply_patch', PROGRAM, {
  answer: (body) => {
    const results = resultsOf(body);
    if (!offers(body, 'apply_patch')) return say('A title');
    if (results.length === 0) return call('apply_patch', { input: PATCH }, 0);
    if (results.length === 1) return call('exec_command', { cmd: 'cat patched.txt' }, 1);
    return say(`READ: ${results[1]}`);
  },
  // It offers the tool to models whose name it knows.
  run: async (scene) => assertWritten(scene, await runCodex(scene, 'gpt-5.5'), 'patched.txt'),
});
