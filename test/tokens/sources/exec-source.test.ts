import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../../src/lib/secret.ts';
import type { ExecSettings } from '../../../src/tokens/sources/exec-source.ts';
import { makeSource } from '../../helpers/source-bench.ts';

function node(code: string, more: Partial<ExecSettings> = {}) {
  return makeSource({ type: 'exec', command: [process.execPath, '-e', code], ...more });
}

const print = (value: unknown) =>
  `process.stdout.write(${JSON.stringify(typeof value === 'string' ? value : JSON.stringify(value))})`;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tokenferry-exec-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

test('a bare token with a line end is taken', async () => {
  assert.equal((await node("console.log('abcdef')").acquire()).value, 'abcdef');
});

test('a pointer finds token and expiry in JSON', async () => {
  const { acquire } = node(print({ d: { t: 'abcdef', ttl: 60 } }), {
    tokenAt: '/d/t',
    expiresAt: { pointer: '/d/ttl', as: 'relative', unit: 's' },
  });
  const token = await acquire();
  assert.equal(token.value, 'abcdef');
  assert.equal(token.lifetimeMs, 60_000);
});

const IN_AN_HOUR = Math.round(Date.now() / 1000) * 1000 + 3_600_000;
const local = (ms: number) => {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().replace('T', ' ').replace('Z', '000');
};

const FORMS: readonly [string, object][] = [
  [
    'a Kubernetes ExecCredential',
    {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'abcdef', expirationTimestamp: new Date(IN_AN_HOUR).toISOString() },
    },
  ],
  [
    'az with expires_on',
    { accessToken: 'abcdef', expiresOn: local(IN_AN_HOUR), expires_on: IN_AN_HOUR / 1000 },
  ],
  ['az before 2.54, local time only', { accessToken: 'abcdef', expiresOn: local(IN_AN_HOUR) }],
  [
    'gcloud config-helper',
    { credential: { access_token: 'abcdef', token_expiry: new Date(IN_AN_HOUR).toISOString() } },
  ],
  [
    'an executable source of GCP',
    { version: 1, success: true, token_type: 'x', id_token: 'abcdef', expiration_time: IN_AN_HOUR / 1000 },
  ],
];

for (const [name, output] of FORMS) {
  test(`the output of ${name} is recognised`, async () => {
    const token = await node(print(output)).acquire();
    assert.equal(token.value, 'abcdef');
    assert.equal(token.expiresAtWallMs, IN_AN_HOUR);
  });
}

test('a kubectl credential plugin gets its KUBERNETES_EXEC_INFO', async () => {
  const code =
    "const i = JSON.parse(process.env.KUBERNETES_EXEC_INFO); console.log(i.kind + '-' + process.env.MORE)";
  assert.equal(
    (await node(code, { env: { MORE: new Secret('secret-more') } }).acquire()).value,
    'ExecCredential-secret-more',
  );
});

test('#30 a helper that hangs is killed with everything it started', async (t) => {
  const pidFile = join(await folder(t), 'pid');
  const { failure } = makeSource({
    type: 'exec',
    command: ['sh', '-c', `sleep 60 & echo $! > ${pidFile}; wait`],
    timeoutMs: 300,
  });
  const started = performance.now();
  assert.equal((await failure()).message, 'corp: command: killed: it did not exit within 0.3 s');
  assert.ok(performance.now() - started < 30_000);
  const child = Number(await readFile(pidFile, 'utf8'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(await isRunning(child), false);
});

test('#30 a child that keeps the pipe open does not keep us waiting', async () => {
  const { acquire } = makeSource({ type: 'exec', command: ['sh', '-c', 'sleep 60 & echo abcdef'] });
  const started = performance.now();
  assert.equal((await acquire()).value, 'abcdef');
  assert.ok(performance.now() - started < 30_000);
});

test('#30 a helper is killed when the attempt is given up', async () => {
  const error = await node('setInterval(() => {}, 1000)').failure({ signal: AbortSignal.timeout(200) });
  assert.equal(error.message, 'corp: command: killed: it did not exit before the attempt was aborted');
});

test('#30 a helper that prints without end is killed at 256 KiB', async () => {
  const { failure } = makeSource({ type: 'exec', command: ['sh', '-c', 'yes'] });
  assert.equal((await failure()).message, 'corp: command: killed: it printed more than 256 KiB');
});

test('#30 a code other than 0 is an error with the scrubbed end of stderr', async () => {
  const code =
    "console.error('denied for hidden-password, key AbCdEfGhIjKlMnOpQrStUvWxYz012345'); process.exit(3)";
  const { failure } = node(code, { env: { PASSWORD: new Secret('hidden-password') } });
  const error = await failure();
  assert.equal(error.message, 'corp: command: exit code 3: "denied for [redacted], key [...]"');
  assert.equal(error.severity, 'transient');
});

test('#30 of a long stderr the end is quoted, where a traceback has its reason', async () => {
  const code =
    "console.error('Traceback: ' + 'in a frame '.repeat(200)); console.error('LoginError: password=hunter2 refused'); process.exit(1)";
  const { message } = await node(code).failure();
  assert.match(message, /^corp: command: exit code 1: ".*LoginError: password=\[\.\.\.\] refused"$/);
});

test('#30 one instance runs at a time', async (t) => {
  const log = join(await folder(t), 'log');
  const { acquire } = makeSource({
    type: 'exec',
    command: ['sh', '-c', `echo in >> ${log}; sleep 0.1; echo out >> ${log}; echo abcdef`],
  });
  await Promise.all([acquire(), acquire()]);
  assert.equal(await readFile(log, 'utf8'), 'in\nout\nin\nout\n');
});

test('a program that does not exist is an error of the configuration', async () => {
  const error = await makeSource({ type: 'exec', command: ['/no/such/program'] }).failure();
  assert.equal(error.message, 'corp: command: cannot start /no/such/program (ENOENT)');
  assert.equal(error.severity, 'credentials');
});

const NONSENSE: readonly [string, Partial<ExecSettings>, RegExp][] = [
  ['', {}, /command: empty token/],
  [
    'log line\nabcdef',
    {},
    /command: text of 15 characters is not a token: it has a line break \(a banner before the token\?\) inside/,
  ],
  ['abcdef', { format: 'json' }, /command: printed text of 6 characters; expected JSON/],
  [
    '{"status":{}}',
    { format: 'exec_credential' },
    /command: no token at \/status\/token: it printed an object with the key status\. Set token_at\./,
  ],
  [
    '{"success":false,"message":"x"}',
    { format: 'gcp_executable' },
    /command: printed success: false \("x"\)/,
  ],
  [
    '{"version":1,"success":false,"code":"401","message":"Caller not authorized, token=a1"}',
    {},
    /command: printed success: false \(401: "Caller not authorized, token=\[\.\.\.\]"\)$/,
  ],
  ['{"a":1}', {}, /no token at \/access_token/],
];

for (const [output, settings, message] of NONSENSE) {
  test(`#31 output ${JSON.stringify(output)} is described, not quoted`, async () => {
    assert.match((await node(print(output), settings).failure()).message, message);
  });
}

test('#8 #30 output that can never be a token is an error of the configuration, an empty one is not', async () => {
  const severityOf = async (output: string) => (await node(print(output)).failure()).severity;
  assert.equal(await severityOf('Welcome to corp-login 2.1\nabcdef'), 'credentials');
  assert.equal(await severityOf('{"a":1}'), 'credentials');
  assert.equal(await severityOf(''), 'transient');
});

/** A killed process stays as a zombie until somebody asks for it. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return !stat.includes(') Z');
  } catch {
    return false;
  }
}
