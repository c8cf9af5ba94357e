import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { generate } from 'selfsigned';
import { check as checkCommand } from '../../src/cli/check.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { freePort } from '../helpers/free-port.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { callCommand } from '../helpers/run-command.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { SecureModel } from '../helpers/secure-model.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-check-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

/** `check` without upstreams: what is left is this machine. */
function check(config: object) {
  return callCommand(checkCommand, { address: '127.0.0.1:0', dbtype: 'none', upstreams: [], ...config });
}

test('an address in use is a warning, one that this machine does not have a failure', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const used = await check({ address: `127.0.0.1:${port}` });
  assert.equal(used.code, 0, used.stdout);
  assert.match(
    used.stdout,
    /^warn {2}address 127\.0\.0\.1:\d+: already in use, by a tokenferry that runs here or/m,
  );
  const free = await check({ address: `127.0.0.1:${await freePort()}` });
  assert.match(free.stdout, /^ok {4}address 127\.0\.0\.1:\d+: free$/m);
  const foreign = await check({ address: '192.0.2.7:8888', noauth: true });
  assert.equal(foreign.code, 1, foreign.stdout);
  assert.match(foreign.stdout, /^FAIL {2}address 192\.0\.2\.7:8888: not an address of this machine/m);
});

test('a database that cannot be written is a failure with what to do, without its password', async (t) => {
  const file = join(await folderFor(t), 'file');
  await writeFile(file, 'no database, and longer than the header of one. '.repeat(20));
  const foreign = await check({ dbtype: 'sqlite', dbaddr: file });
  assert.equal(foreign.code, 1, foreign.stdout);
  assert.match(foreign.stdout, /^FAIL {2}request log: .*move the file away/m);
  const { host } = new URL(await refusingUrl());
  const away = await check({ dbtype: 'postgres', dbaddr: `postgres://ferry:pass-77c1@${host}/ferry` });
  assert.equal(away.code, 1, away.stdout);
  assert.match(away.stdout, /^FAIL {2}request log: .*ECONNREFUSED/m);
  assert.ok(!away.stdout.includes('pass-77c1'), away.stdout);
});

test('a log file is looked at and not written', async (t) => {
  const folder = await folderFor(t);
  const good = await check({ log: { file: join(folder, 'deep', 'ferry.log') } });
  assert.equal(good.code, 0, good.stdout);
  assert.match(good.stdout, /^ok {4}log file .*ferry\.log: can be written$/m);
  const bad = await check({ log: { file: folder } });
  assert.equal(bad.code, 1, bad.stdout);
  assert.match(bad.stdout, /^FAIL {2}log file .*: cannot be written: is a directory\. Give this user write/m);
});

test('certificate files: expired is a failure, less than 14 days a warning with the date', async (t) => {
  const folder = await folderFor(t);
  const day = 86_400_000;
  const pair = async (name: string, days: number) => {
    const made = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      notBeforeDate: new Date(Date.now() - 30 * day),
      notAfterDate: new Date(Date.now() + days * day),
    });
    await writeFile(join(folder, `${name}.pem`), made.cert);
    await writeFile(join(folder, `${name}.key`), made.private);
    return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  };
  const endpoint = await refusingUrl();
  const upstream = async (name: string, days: number) => ({
    name,
    endpoint,
    sk: 'k',
    tls: await pair(name, days),
  });
  const { code, stdout } = await check({
    upstreams: [await upstream('old', -1), await upstream('soon', 5.5), await upstream('good', 100.5)],
  });
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^FAIL {2}certificate upstreams\[0\]\.tls\.cert \(.*old\.pem\): expired on \d{4}-\d\d-\d\d\. Replace the file\.$/m,
  );
  assert.match(
    stdout,
    /^warn {2}certificate .*soon\.pem\): expires on \d{4}-\d\d-\d\d, in 5 days\. Replace the file before that\.$/m,
  );
  assert.match(stdout, /^ok {4}certificate .*good\.pem\): expires on \d{4}-\d\d-\d\d, in 100 days$/m);
});

test('the certificate that an https endpoint shows is named with its last day', async (t) => {
  const folder = await folderFor(t);
  const { ca, server } = await makeCertificates();
  const model = await SecureModel.start({ cert: server.cert, key: server.key });
  t.after(() => model.close());
  const file = join(folder, 'ca.pem');
  await writeFile(file, ca);
  const { stdout } = await check({
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'k', tls: { ca: file } }],
  });
  assert.match(
    stdout,
    /^ok {4}certificate of localhost:\d+ \(upstream chat\): expires on \d{4}-\d\d-\d\d, in \d+ days$/m,
  );
});

test('a clock that is more than 30 s off is a warning that names both', async (t) => {
  const issuer = await ScriptedIssuer.start({ clockOffsetMs: -95_000 });
  t.after(() => issuer.close());
  const model = await StandInModel.start({
    intercept: (_request, response) => {
      response.setHeader('date', new Date(Date.now() + 61_000).toUTCString());
      return false;
    },
  });
  t.after(() => model.close());
  const { code, stdout } = await check({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp' }],
  });
  assert.equal(code, 0, stdout);
  const time = '\\(\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ\\)';
  assert.match(
    stdout,
    new RegExp(`^warn  clock: this machine ${time} is 9[4-6] s ahead of token corp ${time}\\. Set`, 'm'),
  );
  assert.match(
    stdout,
    new RegExp(`^warn  clock: this machine ${time} is 6[0-2] s behind upstream chat ${time}\\. Set`, 'm'),
  );
});
