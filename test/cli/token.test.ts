import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SECRET = 'secret-of-the-app-5d1e';

let folder: string;
let issuer: ScriptedIssuer;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenferry-token-command-'));
  issuer = await ScriptedIssuer.start();
});
after(async () => {
  await issuer.close();
  await rm(folder, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `tokenferry token …` with these sources, as a process of its own. */
async function token(sources: object, ...args: string[]): Promise<Ended> {
  const file = join(folder, 'config.yaml');
  const upstreams = Object.keys(sources).map((name) => ({ endpoint: 'https://llm.example/v1', token: name }));
  await writeFile(file, stringify({ tokens: sources, upstreams }));
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, [main, 'token', ...args, '--config', file], { env });
  const ended = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    ended.stderr += text;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...ended })));
}

const corp = (more: object = {}) => ({
  type: 'oauth2',
  token_url: issuer.tokenUrl,
  client_id: 'app',
  client_secret: SECRET,
  ...more,
});

test('a token is obtained; its lifetime and source are printed, its value only with --show', async () => {
  const quiet = await token({ corp: corp() }, 'corp');
  assert.equal(quiet.code, 0, quiet.stderr);
  assert.match(quiet.stdout, /^source\s+corp \(oauth2\)$/m);
  assert.match(quiet.stdout, /^lifetime\s+300\.0 s$/m);
  assert.match(quiet.stdout, /^time left\s+(?:29\d|300)\.\d s$/m);
  const [value = ''] = issuer.liveTokens;
  assert.notEqual(value, '');
  assert.ok(!`${quiet.stdout}${quiet.stderr}`.includes(value));
  const shown = await token({ corp: corp() }, 'corp', '--show', '--refresh');
  assert.equal(shown.stdout, `${issuer.liveTokens.at(-1)}\n`);
  assert.match(shown.stderr, /^source\s+corp \(oauth2\)$/m);
});

test('with one source its name may be omitted, with several it is required', async () => {
  assert.equal((await token({ only: { type: 'static', value: 'a-static-token' } })).code, 0);
  const two = await token({
    one: { type: 'static', value: 'abcdefg' },
    two: { type: 'static', value: 'abcdefg' },
  });
  assert.equal(two.code, 2);
  assert.match(
    two.stderr,
    /NAME must be a token source of the configuration: one, two\.\nusage: tokenferry token NAME/,
  );
  assert.equal((await token({ one: { type: 'static', value: 'abcdefg' } }, 'three')).code, 2);
});

test('a rejection is a clear error without the secret that the issuer quotes, exit code 1', async () => {
  issuer.script({
    status: 401,
    body: { error: 'invalid_client', error_description: `the secret ${SECRET} is wrong` },
  });
  const { code, stdout, stderr } = await token({ corp: corp() }, 'corp');
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^corp: issuer has failed once \(token_url: refused with status 401 \(invalid_client/m,
  );
  assert.ok(!`${stdout}${stderr}`.includes(SECRET), stderr);
});

test('an issuer that is down is retried until `max_wait`, then the command ends, exit code 1', async () => {
  const away = corp({ token_url: 'http://127.0.0.1:1/token', refresh: { max_wait: 1 } });
  const { code, stderr } = await token({ corp: away }, 'corp');
  assert.equal(code, 1, stderr);
  const last = stderr.trim().split('\n').at(-1);
  assert.equal(
    last,
    'no token from "corp": the issuer gave no token in time (token_url: connection refused (ECONNREFUSED) at 127.0.0.1:1)',
  );
});

test('a source that cannot be built is named without a stack, exit code 2', async () => {
  const { code, stderr } = await token({ own: { type: 'function', module: './missing.mjs' } });
  assert.equal(code, 2);
  assert.equal(stderr, 'own: module: cannot read ./missing.mjs (ENOENT)\n');
});

test('--help prints the usage', async () => {
  const { code, stdout } = await token({ own: { type: 'static', value: 'abcdefg' } }, '--help');
  assert.equal(code, 0);
  assert.match(stdout, /^usage: tokenferry token NAME/);
});

test('a token that would revoke the one in use is a warning; a shared one is taken over', async () => {
  const alone = await token({ corp: corp({ rotation: 'exclusive' }) }, 'corp');
  assert.match(alone.stderr, /revokes the token of a running tokenferry/);
  const shared = { corp: corp({ rotation: 'exclusive', share: 'file' }) };
  const first = await token(shared, 'corp', '--show');
  const calls = issuer.callCount;
  const second = await token(shared, 'corp', '--show');
  assert.equal(issuer.callCount, calls, 'the issuer was not asked again');
  assert.notEqual(first.stdout, '');
  assert.equal(second.stdout, first.stdout);
  assert.doesNotMatch(second.stderr, /revokes the token/);
});
