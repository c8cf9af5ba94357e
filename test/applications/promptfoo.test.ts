import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { KEY, largeProgram, MODEL, say, testApplication, VECTORS_MODEL } from './application-run.ts';

const PROGRAM = largeProgram('promptfoo');

testApplication('promptfoo evaluates chats, with embeddings to compare answers', PROGRAM, {
  answer: () => say('The ferry leaves at noon.'),
  run: async ({ url, home, run, model, assertRenewals }) => {
    // The settings of docs/applications.md.
    const config = { apiBaseUrl: url, apiKey: KEY };
    const similar = {
      type: 'similar',
      value: 'The ferry leaves at noon.',
      threshold: 0.9,
      provider: { id: `openai:embedding:${VECTORS_MODEL}`, config },
    };
    const file = join(home, 'promptfooconfig.yaml');
    await writeFile(
      file,
      stringify({
        prompts: ['When does the {{ship}} leave?'],
        providers: [{ id: `openai:chat:${MODEL}`, config }],
        tests: ['ferry', 'boat', 'yacht'].map((ship) => ({
          vars: { ship },
          assert: [{ type: 'contains', value: 'noon' }, similar],
        })),
      }),
    );
    const results = join(home, 'results.json');
    await run({
      command: PROGRAM,
      args: ['eval', '--config', file, '--no-cache', '--max-concurrency', '1', '--output', results],
      env: {
        PROMPTFOO_CONFIG_DIR: join(home, '.promptfoo'),
        PROMPTFOO_DISABLE_TELEMETRY: '1',
        PROMPTFOO_DISABLE_UPDATE: '1',
      },
    });
    const { stats } = JSON.parse(await readFile(results, 'utf8')).results;
    assert.deepEqual([stats.successes, stats.failures, stats.errors], [3, 0, 0]);
    assert.ok(model.embedded.length > 0);
    assertRenewals();
  },
});
