import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadWithEnvironment } from '../../src/cli/environment-file.ts';
import { ConfigError } from '../../src/config/config-error.ts';

/** A folder with a configuration that needs two variables. */
async function folderWith(t: TestContext, variables: string | null): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-env-'));
  t.after(() => rm(folder, { recursive: true }));
  const config = `tokens:
  corp: { type: static, value: "\${FERRY_TEST_ONE}-\${FERRY_TEST_TWO:-default}" }
upstreams: [{ endpoint: http://llm.example/v1, token: corp }]
`;
  await writeFile(join(folder, 'config.yaml'), config);
  if (variables !== null) await writeFile(join(folder, '.env'), variables);
  return folder;
}

function valueIn(folder: string): string {
  const { config } = loadWithEnvironment(join(folder, 'config.yaml'));
  const source = config.tokens.corp;
  return source?.type === 'static' ? source.value.reveal() : '';
}

test('keys of credentials say whether their variable is of the .env or of the environment', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-env-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'config.yaml');
  process.env.FERRY_TEST_OWN = 'geheim-1';
  t.after(() => delete process.env.FERRY_TEST_OWN);
  await writeFile(join(folder, '.env'), 'FERRY_TEST_IN_FILE=geheim-2\n');
  await writeFile(
    file,
    ['IN_FILE', 'OWN'].reduce(
      (text, name) => `${text}  ${name}: { type: static, value: "\${FERRY_TEST_${name}}" }\n`,
      'tokens:\n',
    ),
  );
  assert.deepEqual([...loadWithEnvironment(file).credentialKeys.values()].flat(), [
    'tokens.IN_FILE.value (FERRY_TEST_IN_FILE in .env)',
    'tokens.OWN.value (FERRY_TEST_OWN in the environment)',
  ]);
});

test('variables of the .env beside the configuration are used, and a change of it is a reason to load again', async (t) => {
  const folder = await folderWith(t, "FERRY_TEST_ONE='from the file'\nFERRY_TEST_TWO=two\n# comment\n");
  assert.equal(valueIn(folder), 'from the file-two');
  const { files } = loadWithEnvironment(join(folder, 'config.yaml'));
  assert.ok(files.includes(join(folder, '.env')));
});

test('another reading changes what the file has set, and removes what it no longer has', async (t) => {
  const folder = await folderWith(t, 'FERRY_TEST_ONE=first\nFERRY_TEST_TWO=two\n');
  assert.equal(valueIn(folder), 'first-two');
  await writeFile(join(folder, '.env'), 'FERRY_TEST_ONE=second\n');
  assert.equal(valueIn(folder), 'second-default');
  await rm(join(folder, '.env'));
  assert.throws(() => valueIn(folder), /environment variable FERRY_TEST_ONE is not set/);
});

test('a variable of the process is not changed by the file', async (t) => {
  process.env.FERRY_TEST_ONE = 'process';
  t.after(() => delete process.env.FERRY_TEST_ONE);
  assert.equal(valueIn(await folderWith(t, 'FERRY_TEST_ONE=file\n')), 'process-default');
  assert.equal(process.env.FERRY_TEST_ONE, 'process');
});

test('a .env that cannot be read is a problem of the configuration', async (t) => {
  const folder = await folderWith(t, null);
  await mkdir(join(folder, '.env'));
  assert.throws(
    () => valueIn(folder),
    (error) => error instanceof ConfigError && /\.env.*is a directory/s.test(error.message),
  );
});
