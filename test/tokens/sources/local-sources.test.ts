import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose';
import { fingerprintOf, Secret } from '../../../src/lib/secret.ts';
import type { JwtSettings } from '../../../src/tokens/sources/jwt-source.ts';
import { makeSource } from '../../helpers/source-bench.ts';
import { unsignedJwt } from '../../helpers/unsigned-jwt.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tokenferry-source-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

/** Waits for something that real files and real notifications bring about. */
async function eventually(isDone: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !isDone(); turn++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(isDone(), 'it never happened');
}

test('a static token is given as it is, a JWT with its end', async () => {
  assert.deepEqual(await makeSource({ type: 'static', value: new Secret('abcdef') }).acquire(), {
    value: 'abcdef',
  });
  const exp = Math.round(Date.now() / 1000) + 300;
  const token = await makeSource({ type: 'static', value: new Secret(unsignedJwt({ exp })) }).acquire();
  assert.equal(token.expiresAtWallMs, exp * 1000);
});

test('an expired static token is an error', async () => {
  const { failure } = makeSource({ type: 'static', value: new Secret(unsignedJwt({ exp: 1_700_000_000 })) });
  const { message, severity } = await failure();
  assert.match(
    message,
    /^corp: value: token expired \d+ s ago by this machine's clock\. Replace it, or check the clock\.$/,
  );
  assert.equal(severity, 'credentials');
});

test('#31 a token from the environment is freed of quotes, Bearer and line ends', async () => {
  const { acquire } = makeSource({ type: 'env', name: 'T' }, { env: { T: ' "Bearer abcdef"\n' } });
  assert.equal((await acquire()).value, 'abcdef');
});

test('a variable that is not set is an error of the configuration, and names the variable', async () => {
  const error = await makeSource({ type: 'env', name: 'LLM_TOKEN' }, { env: {} }).failure();
  assert.equal(error.message, 'corp: name: environment variable LLM_TOKEN is not set');
  assert.equal(error.severity, 'credentials');
  const empty = await makeSource({ type: 'env', name: 'T' }, { env: { T: ' ' } }).failure();
  assert.deepEqual(
    [empty.message, empty.severity],
    ['corp: name: environment variable T is empty', 'credentials'],
  );
});

test('#28 another value in the environment is another key', () => {
  const keyOf = (value: string) => makeSource({ type: 'env', name: 'T' }, { env: { T: value } }).source.key;
  assert.notEqual(keyOf('one'), keyOf('two'));
});

test('a file is read; without an expiry inside it is read again after 60 s', async (t) => {
  const baseDir = await folder(t);
  await writeFile(join(baseDir, 'token'), '\ufeffabcdef\r\n');
  const token = await makeSource({ type: 'file', path: 'token' }, { baseDir }).acquire();
  assert.deepEqual(token, { value: 'abcdef', refreshInMs: 60_000 });
});

test('a JWT in a file expires at its exp', async (t) => {
  const path = join(await folder(t), 'token');
  const exp = Math.round(Date.now() / 1000) + 300;
  await writeFile(path, unsignedJwt({ exp }));
  const token = await makeSource({ type: 'file', path }).acquire();
  assert.equal(token.expiresAtWallMs, exp * 1000);
  assert.equal(token.refreshInMs, undefined);
});

test('a pointer finds the token in a file of JSON', async (t) => {
  const path = join(await folder(t), 'token');
  await writeFile(path, '{"data":{"token":"abcdef"}}');
  assert.equal((await makeSource({ type: 'file', path, tokenAt: '/data/token' }).acquire()).value, 'abcdef');
  assert.throws(
    () => makeSource({ type: 'file', path, tokenAt: 'data' }),
    /corp: token_at: must be a JSON pointer/,
  );
  await writeFile(path, '{"data":{"tok');
  const error = await makeSource({ type: 'file', path, tokenAt: '/data/token' }).failure();
  assert.match(error.message, /is not JSON \(13 characters\)\. Remove token_at/);
});

test('#8 #29 an empty, missing or unreadable file is an error of the configuration after three reads', async (t) => {
  const path = join(await folder(t), 'token');
  const { failure } = makeSource({ type: 'file', path });
  const started = performance.now();
  assert.equal((await failure()).message, `corp: path: cannot read ${path} (ENOENT)`);
  assert.ok(performance.now() - started >= 245);
  await writeFile(path, ' \n');
  const error = await failure();
  assert.equal(error.message, `corp: path: ${path} is empty`);
  assert.equal(error.severity, 'credentials');
  await writeFile(path, 'abcdef');
  await chmod(path, 0);
  // The superuser reads everything.
  if (process.getuid?.() !== 0) assert.match((await failure()).message, /EACCES/);
});

for (const [name, bytes] of [
  ['UTF-16 with a byte order mark, as PowerShell writes it', Buffer.from('\ufeffabcdef\r\n', 'utf16le')],
  ['big-endian UTF-16', Buffer.from('\ufeffabcdef\n', 'utf16le').swap16()],
  ['UTF-8 with a byte order mark', Buffer.from('\ufeffabcdef\n')],
] as const) {
  test(`#29 a token file in ${name} is decoded`, async (t) => {
    const path = join(await folder(t), 'token');
    await writeFile(path, bytes);
    assert.equal((await makeSource({ type: 'file', path }).acquire()).value, 'abcdef');
  });
}

test('#8 #29 a file that holds something else than a token is an error of the configuration', async (t) => {
  const path = join(await folder(t), 'token');
  const severities: string[] = [];
  for (const content of ['<html>', 'a banner\nabcdef', Buffer.from([0, 1, 2, 250]), 'x'.repeat(300_000)]) {
    await writeFile(path, content);
    severities.push((await makeSource({ type: 'file', path }).failure()).severity);
  }
  await writeFile(path, 'abcdef');
  severities.push((await makeSource({ type: 'file', path, tokenAt: '/t' }).failure()).severity);
  severities.push((await makeSource({ type: 'file', path: dirname(path) }).failure()).severity);
  assert.deepEqual(severities, Array(6).fill('credentials'));
});

test('#29 a file that is being written is read again 50 and 200 ms later', async (t) => {
  const path = join(await folder(t), 'token');
  await writeFile(path, '');
  const pending = makeSource({ type: 'file', path }).acquire();
  setTimeout(() => void writeFile(path, 'abcdef'), 20);
  assert.equal((await pending).value, 'abcdef');
});

test('#29 a file that still holds the rejected token is read again 50 and 200 ms later', async (t) => {
  const path = join(await folder(t), 'token');
  await writeFile(path, 'refused');
  const { acquire } = makeSource({ type: 'file', path });
  const previousFingerprint = fingerprintOf('refused');
  const pending = acquire({ force: true, previousFingerprint });
  setTimeout(() => void writeFile(path, 'renewed'), 100);
  assert.equal((await pending).value, 'renewed');
  // Nothing better: the manager decides what to do with it.
  await writeFile(path, 'refused');
  assert.equal((await acquire({ force: true, previousFingerprint })).value, 'refused');
});

test('#29 the swap of a symlink above the file is noticed, as Kubernetes does it', async (t) => {
  const base = await folder(t);
  for (const version of ['1', '2']) {
    await mkdir(join(base, version));
    await writeFile(join(base, version, 'token'), `token-${version}`);
  }
  await symlink(join(base, '1'), join(base, '..data'));
  await symlink(join('..data', 'token'), join(base, 'token'));
  const { source, acquire } = makeSource({ type: 'file', path: join(base, 'token') });
  let changes = 0;
  const watch = source.watch?.(() => void changes++);
  t.after(() => watch?.close());
  assert.equal((await acquire()).value, 'token-1');
  await new Promise((resolve) => setTimeout(resolve, 30));
  await symlink(join(base, '2'), join(base, '..next'));
  await rename(join(base, '..next'), join(base, '..data'));
  await eventually(() => changes > 0);
  assert.equal((await acquire()).value, 'token-2');
});

test('#29 polling alone notices a file that appears and one that is replaced, a deleted one is no change', async (t) => {
  const base = await folder(t);
  const path = join(base, 'later', 'token');
  const clock = new VirtualClock();
  const { source } = makeSource({ type: 'file', path }, { clock });
  let changes = 0;
  const watch = source.watch?.(() => void changes++);
  const poll = async () => {
    await eventually(() => clock.pending === 1);
    await clock.advance(2_000);
    await eventually(() => clock.pending === 1);
  };
  await mkdir(join(base, 'later'));
  await writeFile(path, 'token-1');
  await poll();
  await writeFile(path, 'token-22');
  await poll();
  const seen = changes;
  await unlink(path);
  await poll();
  assert.equal(changes, seen);
  await writeFile(path, 'token-333');
  await poll();
  assert.equal(changes, seen + 1);
  watch?.close();
  assert.equal(clock.pending, 0);
});

function jwtSettings(more: Partial<JwtSettings>): JwtSettings {
  return { type: 'jwt', alg: 'HS256', key: new Secret('shared-secret'), ttlMs: 300_000, ...more };
}

test('a JWT of Zhipu: HS256 with a short key, sign_type in the header, milliseconds in exp and timestamp', async () => {
  const key = new Secret('short');
  const { acquire } = makeSource(
    jwtSettings({
      key,
      header: { sign_type: 'SIGN' },
      claims: { api_key: 'id', exp: '{{now_ms + 300000}}', timestamp: '{{now_ms}}' },
    }),
  );
  const before = Date.now();
  const token = await acquire();
  const { payload, protectedHeader } = await compactVerify(token.value, Buffer.from('short'));
  const claims = JSON.parse(Buffer.from(payload).toString()) as Record<string, number | string>;
  assert.equal(protectedHeader.alg, 'HS256');
  assert.equal(protectedHeader.sign_type, 'SIGN');
  assert.equal(claims.api_key, 'id');
  assert.ok(Number(claims.timestamp) >= before);
  assert.equal(claims.exp, Number(claims.timestamp) + 300_000);
  assert.equal(token.lifetimeMs, 300_000);
  assert.equal(token.expiresAtWallMs, claims.exp);
  assert.equal(token.notes, undefined);
});

test('a JWT of Snowflake: RS256, the fingerprint of the public key in iss, seconds', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { acquire } = makeSource(
    jwtSettings({
      alg: 'RS256',
      key: new Secret(pem),
      claims: { iss: 'ACC.USER.SHA256:{{key_sha256}}', sub: '{{account}}.USER' },
      vars: { account: 'ACC' },
    }),
  );
  const { value } = await acquire();
  await compactVerify(value, publicKey);
  const claims = decodeJwt(value);
  const fingerprint = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
  assert.equal(claims.iss, `ACC.USER.SHA256:${fingerprint}`);
  assert.equal(claims.sub, 'ACC.USER');
  assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 300);
});

test('keys in files, as PKCS#1, of curves, encrypted and with \\n in one line are read', async (t) => {
  const path = join(await folder(t), 'key.pem');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const edwards = generateKeyPairSync('ed25519').privateKey;
  await writeFile(path, rsa.export({ type: 'pkcs1', format: 'pem' }));
  const passphrase = new Secret('pass-phrase');
  const encrypted = rsa.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'pass-phrase',
  });
  const keys: [string, string, Secret?][] = [
    ['RS256', path],
    ['ES256', curve.export({ type: 'sec1', format: 'pem' }).toString()],
    ['EdDSA', edwards.export({ type: 'pkcs8', format: 'pem' }).toString().replaceAll('\n', '\\n')],
    ['PS256', encrypted.toString(), passphrase],
  ];
  for (const [alg, key, phrase] of keys) {
    const settings = { alg, key: new Secret(key), ...(phrase === undefined ? {} : { passphrase: phrase }) };
    const { value } = await makeSource(jwtSettings(settings)).acquire();
    assert.equal(decodeProtectedHeader(value).alg, alg);
  }
});

test('#28 a key that was replaced in its file is another recipe', async (t) => {
  const path = join(await folder(t), 'key.pem');
  const keyOf = async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return makeSource(jwtSettings({ alg: 'EdDSA', key: new Secret(path) })).source.key;
  };
  assert.notEqual(await keyOf(), await keyOf());
});

test('a key that cannot be read or does not fit, and a wrong template, are errors of the configuration', async () => {
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const key = new Secret(curve.export({ type: 'pkcs8', format: 'pem' }).toString());
  assert.throws(
    () => makeSource(jwtSettings({ alg: 'RS256', key: new Secret('no/such.pem') })),
    /corp: key: cannot read the key \(ENOENT\)/,
  );
  assert.throws(
    () => makeSource(jwtSettings({ claims: { exp: '{{now}}' } })),
    /corp: claims: unknown name now/,
  );
  assert.match(
    (await makeSource(jwtSettings({ alg: 'RS256', key })).failure()).message,
    /corp: key: does not fit alg RS256/,
  );
});

async function moduleWith(t: TestContext, code: string): Promise<string> {
  const path = join(await folder(t), 'source.mjs');
  await writeFile(path, code);
  return path;
}

test('own code gives a token with its life', async (t) => {
  const module = await moduleWith(
    t,
    "export default async ({ force }) => ({ value: 'abcdef-' + force, lifetime_ms: 60000 })",
  );
  const token = await makeSource({ type: 'function', module }).acquire({ force: true });
  assert.equal(token.value, 'abcdef-true');
  assert.equal(token.lifetimeMs, 60_000);
});

test('own code states the end of its token as a Date, or as issuers do', async (t) => {
  const module = await moduleWith(
    t,
    `export const date = () => ({ value: 'abcdef', expires_at: new Date(4e12) });
     export const life = () => ({ value: 'abcdef', expires_in: 60 });`,
  );
  const of = (name: string) => makeSource({ type: 'function', module, export: name }).acquire();
  assert.equal((await of('date')).expiresAtWallMs, 4e12);
  assert.equal((await of('life')).lifetimeMs, 60_000);
});

test('own code may be the only export, a named one, and return bare text', async (t) => {
  const module = await moduleWith(
    t,
    "export const n = 1; export async function a() { return 'from-a' }; export const b = () => 'from-b'",
  );
  assert.equal((await makeSource({ type: 'function', module }).acquire()).value, 'from-a');
  assert.equal((await makeSource({ type: 'function', module, export: 'b' }).acquire()).value, 'from-b');
  assert.match(
    (await makeSource({ type: 'function', module, export: 'n' }).failure()).message,
    /exports no function n/,
  );
});

test('user code that throws, hangs or returns something invalid is described', async (t) => {
  const code = `
    export const throws = () => { throw new Error('no luck with AbCdEfGhIjKlMnOpQrStUvWxYz012345') };
    export const hangs = () => new Promise(() => {});
    export const nothing = async () => undefined;
    export const odd = async () => ({ token: 'abcdef' });`;
  const module = await moduleWith(t, code);
  const failure = async (name: string) =>
    (
      await makeSource({ type: 'function', module, export: name }).failure({
        signal: AbortSignal.timeout(40),
      })
    ).message;
  assert.equal(await failure('throws'), 'corp: module: threw: no luck with [...]');
  assert.equal(await failure('hangs'), 'corp: module: returned nothing before the attempt was aborted');
  assert.match(await failure('nothing'), /returned nothing; expected \{ value, lifetime_ms \}/);
  assert.match(await failure('odd'), /returned no value, but an object with the key token/);
});

test('#28 changed code is another key and is loaded anew; a missing module is an error of the configuration', async (t) => {
  const module = await moduleWith(t, "export default () => 'one-token'");
  const one = makeSource({ type: 'function', module });
  assert.equal((await one.acquire()).value, 'one-token');
  await writeFile(module, "export default () => 'two-token'");
  const two = makeSource({ type: 'function', module });
  assert.notEqual(one.source.key, two.source.key);
  assert.equal((await two.acquire()).value, 'two-token');
  await writeFile(module, 'this is no code');
  assert.match(
    (await makeSource({ type: 'function', module }).failure()).message,
    /cannot load .*source\.mjs: /,
  );
  assert.throws(
    () => makeSource({ type: 'function', module: '/no/module.mjs' }),
    /corp: module: cannot read \/no\/module.mjs \(ENOENT\)/,
  );
});

test('further values of a file of JSON are names, and a missing one is an error of the configuration', async (t) => {
  const path = join(await folder(t), 'credentials.json');
  await writeFile(path, '{"id":"AKID","secret":"abcdef","ttl":5}');
  const settings = { type: 'file', path, tokenAt: '/secret' } as const;
  const { acquire } = makeSource({ ...settings, extra: { key_id: '/id', ttl: '/ttl' } });
  assert.deepEqual((await acquire()).extra, { key_id: 'AKID', ttl: '5' });
  const error = await makeSource({ ...settings, extra: { session: '/none' } }).failure();
  assert.equal(
    error.message,
    'corp: extra session: no text at /none: an object with the keys id, secret, ttl',
  );
});
