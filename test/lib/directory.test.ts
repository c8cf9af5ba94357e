import assert from 'node:assert/strict';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory, makeDirectorySync } from '../../src/lib/directory.ts';
import { errorCodeOf } from '../../src/lib/errors/ferry-error.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const BOTH = { sync: async (path: string) => makeDirectorySync(path), async: makeDirectory };

for (const [name, make] of Object.entries(BOTH)) {
  test(`${name}: a directory is created with those above it, also when some or all exist`, async (t) => {
    const folder = temporaryDirectory(t);
    for (const path of ['a', 'a/b/c/d', 'a/b/c/d', 'a/x/']) {
      await make(join(folder, path));
      assert.ok(statSync(join(folder, path)).isDirectory());
    }
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    await make(join(folder, 'link/deep'));
    assert.ok(statSync(join(folder, 'real/deep')).isDirectory());
    await make('/');
  });

  test(`${name}: what cannot be created is an error and not an endless loop`, async (t) => {
    const folder = temporaryDirectory(t);
    writeFileSync(join(folder, 'file'), '');
    await assert.rejects(make(join(folder, 'file')), { code: 'EEXIST' });
    await assert.rejects(make(join(folder, 'file/deep')), { code: 'ENOTDIR' });
    symlinkSync('nowhere', join(folder, 'dangling'));
    await assert.rejects(make(join(folder, 'dangling/deep')), (error) => errorCodeOf(error) !== undefined);
  });

  test(`${name}: below /proc`, { skip: process.platform !== 'linux' }, async () => {
    await assert.rejects(make('/proc/tokenferry/deep'), { code: 'ENOENT' });
  });
}

test('a directory has the mode that is given', async (t) => {
  const path = join(temporaryDirectory(t), 'private');
  await makeDirectory(path, 0o700);
  assert.equal(statSync(path).mode & 0o777, 0o700);
});
