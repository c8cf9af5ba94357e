import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
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

testApplication('Codex writes and reads a file by commands', PROGRAM, {
  answer: (body) => {
    const results = resultsOf(body);
    if (!offers(body, 'exec_command')) return say('A title');
    if (results.length === 0) return call('exec_command', { cmd: `echo '${TIMETABLE}' > timetable.txt` }, 0);
    if (results.length === 1) return call('exec_command', { cmd: 'cat timetable.txt' }, 1);
    return say(`READ: ${results[1]}`);
  },
  run: async ({ url, home, run, model, assertRenewals }) => {
    const folder = join(home, '.codex');
    await mkdir(folder);
    await writeFile(join(folder, 'config.toml'), config(url, MODEL));
    const args = ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', 'Write it.'];
    const output = await run({ command: PROGRAM, args, env: { CODEX_HOME: folder, TOKENFERRY_KEY: KEY } });
    assert.match(output, /READ: .*The ferry leaves at noon\./s);
    assert.equal(await readFile(join(home, 'timetable.txt'), 'utf8'), `${TIMETABLE}\n`);
    assert.deepEqual(model.unknownPaths, ['POST /v1/responses'], 'learned at the first request');
    assertRenewals();
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
  run: async ({ url, home, run, assertRenewals }) => {
    const folder = join(home, '.codex');
    await mkdir(folder);
    // It offers the tool to models whose name it knows.
    await writeFile(join(folder, 'config.toml'), config(url, 'gpt-5.5'));
    const args = ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', 'Write it.'];
    const output = await run({ command: PROGRAM, args, env: { CODEX_HOME: folder, TOKENFERRY_KEY: KEY } });
    assert.match(output, /READ: .*The ferry leaves at noon\./s);
    assert.equal(await readFile(join(home, 'patched.txt'), 'utf8'), `${TIMETABLE}\n`);
    assertRenewals();
  },
});
