import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../helpers/free-port.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const PACKAGES = { used: '1.0.0', tool: '2.0.0' };

/** A project with one package to run and one to develop, and the script. */
function project(t: TestContext, withLock = true): string {
  const folder = temporaryDirectory(t);
  const manifest = {
    name: 'project',
    version: '1.0.0',
    dependencies: { used: '1.0.0' },
    devDependencies: { tool: '2.0.0' },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, type: 'module' }));
  const packages = {
    '': manifest,
    'node_modules/used': { version: '1.0.0' },
    'node_modules/tool': { version: '2.0.0', dev: true },
  };
  if (withLock)
    writeFileSync(
      join(folder, 'package-lock.json'),
      JSON.stringify({ name: 'project', version: '1.0.0', lockfileVersion: 3, requires: true, packages }),
    );
  mkdirSync(join(folder, 'scripts'));
  copyFileSync(join(root, 'scripts/audit.ts'), join(folder, 'scripts/audit.ts'));
  return folder;
}

/** A registry with the advisories of each package, as npm's bulk endpoint has them; null: without that endpoint. */
class Registry extends LoopbackServer {
  constructor(advisories: Readonly<Record<string, string>> | null) {
    super(createServer());
    this.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const name = request.url?.slice(1) as keyof typeof PACKAGES;
      if (request.method === 'GET' && name in PACKAGES) {
        const version = PACKAGES[name];
        const manifest = { name, version, dist: { tarball: 'http://127.0.0.1:1/x.tgz' } };
        response.end(
          JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: manifest } }),
        );
        return;
      }
      if (advisories === null || request.url !== '/-/npm/v1/security/advisories/bulk') {
        response.writeHead(405).end();
        return;
      }
      const found = Object.entries(advisories).map(([of, severity], index) => [
        of,
        [
          {
            id: 1_000 + index,
            url: `https://advisories.example/${of}`,
            title: `A defect of ${of}`,
            severity,
            vulnerable_versions: '<9.0.0',
            cwe: [],
            cvss: { score: 9, vectorString: null },
          },
        ],
      ]);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(Object.fromEntries(found)));
    });
  }
}

function audit(t: TestContext, folder: string, port: number) {
  const env = {
    ...process.env,
    npm_config_registry: `http://127.0.0.1:${port}/`,
    npm_config_cache: temporaryDirectory(t),
    npm_config_fetch_retries: '0',
  };
  return new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    execFile(process.execPath, ['scripts/audit.ts'], { cwd: folder, env }, (error, stdout, stderr) =>
      done({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

test('a known vulnerability of severity high or critical in a package that is needed to run fails the audit', async (t) => {
  for (const severity of ['high', 'critical']) {
    await using registry = await new Registry({ used: severity }).listening();
    const { code, stdout } = await audit(t, project(t), registry.port);
    assert.equal(code, 1, stdout);
    assert.match(
      stdout,
      new RegExp(`^${severity} +used \\S+: A defect of used https://advisories\\.example/used$`, 'm'),
    );
    assert.match(stdout, /^audit failed: used\. Update/m);
  }
});

test('a lower severity is listed and passes, one of a development package is not looked at', async (t) => {
  await using registry = await new Registry({ used: 'moderate', tool: 'critical' }).listening();
  const { code, stdout } = await audit(t, project(t), registry.port);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^moderate used/m);
  assert.doesNotMatch(stdout, /tool/);
  assert.match(stdout, /^audit passed/m);
});

test('a registry without audit endpoint, or none at all, is said loudly and fails nothing', async (t) => {
  await using registry = await new Registry(null).listening();
  for (const port of [registry.port, await freePort()]) {
    const { code, stdout, stderr } = await audit(t, project(t), port);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^audit NOT DONE: the npm registry in use has no audit endpoint/m);
    assert.equal(stdout, '');
  }
});

test('an audit that fails for another reason is a failure', async (t) => {
  await using registry = await new Registry({}).listening();
  const { code, stderr } = await audit(t, project(t, false), registry.port);
  assert.equal(code, 1);
  assert.match(stderr, /^npm audit failed: /);
});
