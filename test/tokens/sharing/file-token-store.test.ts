import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileTokenStore } from '../../../src/tokens/sharing/file-token-store.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';
import { testTokenStore } from './token-store-contract.ts';

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ferry-share-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const TOKEN = { generation: 1, value: 'shared-value', issuedWallMs: 1, lifeMs: 300_000 };

testTokenStore('files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferry-share-'));
  const clock = new VirtualClock();
  return {
    one: new FileTokenStore(directory, clock),
    two: new FileTokenStore(directory, clock),
    pass: (ms) => clock.stepWall(ms),
    end: () => rm(directory, { recursive: true, force: true }),
  };
});

test('files are readable by their owner only, their names reveal nothing, and no other files remain', async () => {
  await inDirectory(async (parent) => {
    const directory = join(parent, 'tokens');
    const store = new FileTokenStore(directory, new VirtualClock());
    await store.put('../../etc/passwd', TOKEN);
    await store.put('../../etc/passwd', { ...TOKEN, generation: 2 });
    await (await store.lease('../../etc/passwd', 1_000))?.release();
    assert.deepEqual(await readdir(directory), ['etcpasswd.json']);
    assert.equal((await stat(join(directory, 'etcpasswd.json'))).mode & 0o777, 0o600);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  });
});

test('a directory into which others can write is not used', async () => {
  await inDirectory(async (directory) => {
    await mkdir(join(directory, 'open'));
    await chmod(join(directory, 'open'), 0o777);
    const store = new FileTokenStore(join(directory, 'open'), new VirtualClock());
    await assert.rejects(store.get('k'), /writable by no other user/);
    await assert.rejects(store.lease('k', 1_000), /writable by no other user/);
  });
});

test('a file that is cut, empty or something else is no token', async () => {
  await inDirectory(async (directory) => {
    const store = new FileTokenStore(directory, new VirtualClock());
    for (const text of ['', '{"value":"v"', 'null', '[]', '{"value":"v","generation":1}', '{"value":1}']) {
      await writeFile(join(directory, 'k.json'), text);
      assert.equal(await store.get('k'), null, text);
    }
    assert.equal(await store.put('k', TOKEN), true);
  });
});

test('a lock from the future, or without sense, is stale: a clock was set back, or its writer died', async () => {
  await inDirectory(async (directory) => {
    const clock = new VirtualClock();
    const store = new FileTokenStore(directory, clock);
    await store.lease('k', 1_000);
    clock.stepWall(-3_600_000);
    assert.notEqual(await store.lease('k', 1_000), null);
    await writeFile(join(directory, 'other.json.lock'), '{');
    assert.notEqual(await store.lease('other', 1_000), null);
  });
});

test('a watcher is notified of a token that another process stored', async () => {
  await inDirectory(async (directory) => {
    const clock = new VirtualClock();
    const [one, two] = [new FileTokenStore(directory, clock), new FileTokenStore(directory, clock)];
    let hear = (): void => {};
    const heard = new Promise<void>((resolve) => {
      hear = resolve;
    });
    const watching = one.watch('k', () => hear());
    // The watch begins in the background; a hint may be missed until then.
    for (let generation = 1; generation <= 50; generation++) {
      await two.put('k', { ...TOKEN, generation });
      const isHeard = await Promise.race([
        heard.then(() => true),
        new Promise((resolve) => setTimeout(resolve, 20)),
      ]);
      if (isHeard === true) break;
    }
    await heard;
    watching.close();
    one.watch('k', () => {}).close();
  });
});
