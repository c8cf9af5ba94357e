import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { check } from '../../src/cli/check.ts';
import { demo } from '../../src/cli/demo.ts';
import { init } from '../../src/cli/init.ts';
import { list } from '../../src/cli/list.ts';
import { log } from '../../src/cli/log.ts';
import { schema } from '../../src/cli/schema.ts';
import { serve } from '../../src/cli/serve.ts';
import { token } from '../../src/cli/token.ts';
import { verify } from '../../src/cli/verify.ts';

const COMMANDS = { serve, init, check, verify, token, list, log, schema, demo };
/** Those that read no configuration. */
const WITHOUT_CONFIG = { init, schema, demo };

async function run(command: (args: readonly string[]) => Promise<number>, args: readonly string[]) {
  const lines: string[] = [];
  const keep = (...words: unknown[]): void => void lines.push(words.join(' '));
  const mocks = [mock.method(console, 'log', keep), mock.method(console, 'error', keep)];
  try {
    return { code: await command(args), text: lines.join('\n') };
  } finally {
    for (const one of mocks) one.mock.restore();
  }
}

for (const [name, command] of Object.entries(COMMANDS)) {
  test(`${name} refuses an option that it does not have, with exit code 2 and its usage`, async () => {
    const { code, text } = await run(command, ['--no-such-option']);
    assert.equal(code, 2);
    assert.match(text, /^Unknown option '--no-such-option'/);
    assert.match(text, new RegExp(`^usage: tokenferry \\[?${name}`, 'm'));
  });

  test(`${name} refuses a word too many`, async () => {
    const { code, text } = await run(command, ['one', 'two']);
    assert.equal(code, 2);
    assert.match(text, /^unexpected argument "/);
  });
}

for (const [name, command] of Object.entries(WITHOUT_CONFIG)) {
  test(`${name} reads no configuration and refuses --config`, async () => {
    const { code, text } = await run(command, ['--config', 'config.yaml']);
    assert.equal(code, 2);
    assert.match(text, /^Unknown option '--config'/);
  });
}

test('a misspelt option is named with the right one', async () => {
  const { text } = await run(check, ['--modell', 'm']);
  assert.match(text, /^Unknown option '--modell'\. Did you mean --model\?$/m);
});
