import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, checkGood, KINDS } from '../behaviour/fault-rig.ts';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

interface BrokenSource {
  readonly what: string;
  /** `folder` has the files `page.html`, `banner` and `empty`. */
  readonly source: (folder: string) => object;
  readonly reason: RegExp;
}

const PRINTS = (script: string) => ({ type: 'exec', command: [process.execPath, '-e', script] });

const BROKEN: readonly BrokenSource[] = [
  {
    what: 'a file that is not there',
    source: (folder) => ({ type: 'file', path: join(folder, 'missing') }),
    reason: /cannot read .*missing \(ENOENT\)/,
  },
  {
    what: 'a path that is a directory',
    source: (folder) => ({ type: 'file', path: folder }),
    reason: /is a directory/,
  },
  {
    what: 'an empty file',
    source: (folder) => ({ type: 'file', path: join(folder, 'empty') }),
    reason: /empty is empty/,
  },
  {
    what: 'a file with a page',
    source: (folder) => ({ type: 'file', path: join(folder, 'page.html') }),
    reason: /HTML or JSON and not a token/,
  },
  {
    what: 'a file with a banner before the token',
    source: (folder) => ({ type: 'file', path: join(folder, 'banner') }),
    reason: /a line break \(a banner before the token\?\)/,
  },
  {
    what: 'a program that prints a banner before the token',
    source: () => PRINTS("console.log('Welcome to corp-login 2.1\\nabcdef-token')"),
    reason: /a line break \(a banner before the token\?\)/,
  },
  {
    what: 'a program that does not exist',
    source: () => ({ type: 'exec', command: ['/nonexistent/corp-login'] }),
    reason: /cannot start \/nonexistent\/corp-login \(ENOENT\)/,
  },
  {
    what: 'a program whose JSON has no token',
    source: () => PRINTS('console.log(\'{"jeton":"abcdef"}\')'),
    reason: /no token at .*Set token_at/,
  },
  {
    what: 'an environment variable that is not set',
    source: () => ({ type: 'env', name: 'TOKENFERRY_NO_SUCH_VARIABLE' }),
    reason: /environment variable TOKENFERRY_NO_SUCH_VARIABLE is not set/,
  },
  {
    what: 'a module that throws when it is loaded',
    source: (folder) => ({ type: 'function', module: join(folder, 'broken.mjs') }),
    reason: /cannot load .*broken\.mjs/,
  },
];

async function folderOfFiles(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-broken-'));
  await writeFile(join(folder, 'page.html'), '<html>Log in</html>');
  await writeFile(join(folder, 'banner'), 'Last login: today\nabcdef-token\n');
  await writeFile(join(folder, 'empty'), '');
  await writeFile(join(folder, 'broken.mjs'), "throw new Error('no module');");
  return folder;
}

test('sources that cannot work', { concurrency: 4 }, async (context) => {
  const folder = await folderOfFiles();
  context.after(() => rm(folder, { recursive: true }));
  await Promise.all(
    BROKEN.map(({ what, source, reason }) =>
      context.test(
        `${what}: the first requests fail at once, with the reason that is in the log`,
        async () => {
          await using model = await StandInModel.start();
          await using gateway = await Gateway.start({
            // A request that waited for the token would take longer than this test may.
            tokens: { corp: { ...source(folder), refresh: { max_wait: '20d' } } },
            deadline: '20d',
            upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
          });
          for (const kind of KINDS) {
            const { response, text } = await ask(gateway, kind, 'm');
            assert.equal(response.status, 503, text);
            assert.equal(errorIn(text).code, 'upstream_auth_unavailable');
            const row = await gateway.rowOf(response.headers.get('x-request-id'));
            assert.match(row.error_message ?? '', reason);
          }
          await until(() => reason.test(gateway.log), 'the reason in the log');
          assert.equal(model.received.length, 0);
        },
      ),
    ),
  );
});

test('a file that appears later is used at once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-later-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'secrets', 'token');
  await mkdir(join(folder, 'secrets'));
  await using model = await StandInModel.start({ reply: 'all is well' });
  await using gateway = await Gateway.start({
    tokens: { corp: { type: 'file', path } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  assert.equal((await ask(gateway, 'chat', 'm')).response.status, 503);
  await writeFile(path, 'abcdef-token');
  await until(() => gateway.tokenEvents.some(({ kind }) => kind === 'acquired'), 'the token of the file');
  const { response, text } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 200, text);
  checkGood('chat', text);
});
