import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { SqliteStore } from '../../src/embeddings-cache/sqlite-store.ts';
import { temporaryDirectory, tinyDisk } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { describeStore, keptInputs, keysIn } from './store-contract.ts';

const MAX_BYTES = 1024 * 1024;
/** After a fault the file is left alone for so long. */
const RETRY_MS = 60_000;

describeStore('in SQLite', async (run) => {
  const directory = mkdtempSync(join(tmpdir(), 'tokenferry-'));
  const stores: SqliteStore[] = [];
  try {
    await run((maxBytes) => {
      const path = join(directory, `${stores.length}.sqlite`);
      const onFault = (fault: string | null): void => assert.equal(fault, null);
      const store = new SqliteStore({ path, maxBytes, clock: new VirtualClock(), onFault });
      stores.push(store);
      return store;
    });
  } finally {
    await Promise.all(stores.map((store) => store.close()));
    rmSync(directory, { recursive: true });
  }
});

interface Opened {
  readonly store: SqliteStore;
  readonly path: string;
  readonly clock: VirtualClock;
  /** What was reported of the file, oldest first. */
  readonly faults: (string | null)[];
}

function opened(
  t: TestContext,
  path = join(temporaryDirectory(t), 'vectors.sqlite'),
  maxBytes = MAX_BYTES,
): Opened {
  const clock = new VirtualClock();
  const faults: (string | null)[] = [];
  const store = new SqliteStore({ path, maxBytes, clock, onFault: (fault) => void faults.push(fault) });
  t.after(() => store.close());
  return { store, path, clock, faults };
}

test('in SQLite: vectors outlive the process, in a file that only this user can read', async (t) => {
  const { store, path } = opened(t);
  store.keep(keptInputs(['a', 'b']));
  await store.close();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const again = opened(t, path);
  assert.deepEqual(await keysIn(again.store, ['a', 'b', 'c']), ['a', 'b', null]);
  assert.equal(again.store.stats.entries, 2);
});

test('in SQLite: no text is in the file, and no key of an upstream', async (t) => {
  const { store, path } = opened(t);
  store.keep(keptInputs(['a']));
  await store.close();
  const database = new Database(path, { readonly: true });
  t.after(() => database.close());
  const row = database.prepare('SELECT scopes.name, text FROM vectors JOIN scopes').get();
  assert.deepEqual(row, { name: 'scope', text: 'a' });
});

test('in SQLite: the file stays near its maximum while it is written over and over', async (t) => {
  const { store, path } = opened(t);
  for (let round = 0; round < 40; round++) {
    const keys = Array.from({ length: 64 }, (_, index) => `key-${round}-${index}`);
    store.keep(keptInputs(keys, { bytes: 4096 }));
  }
  await keysIn(store, ['key-39-63']);
  assert.ok(store.stats.bytes <= MAX_BYTES);
  await store.close();
  assert.ok(statSync(path).size < 1.5 * MAX_BYTES, `${statSync(path).size} bytes`);
});

test('in SQLite: a smaller maximum gives the disk its pages back', async (t) => {
  const { store, path } = opened(t);
  store.keep(
    keptInputs(
      Array.from({ length: 100 }, (_, index) => `key-${index}`),
      { bytes: 4096 },
    ),
  );
  await store.close();
  const before = statSync(path).size;
  const again = opened(t, path, 128 * 1024);
  await keysIn(again.store, ['key-99']);
  await again.store.close();
  assert.ok(before > 400_000, `${before} bytes`);
  assert.ok(statSync(path).size < 200_000, `${statSync(path).size} bytes`);
});

test('in SQLite: a file that is no database is reported once, left as it is, and tried again after a minute', async (t) => {
  const path = join(temporaryDirectory(t), 'vectors.sqlite');
  writeFileSync(path, 'this is a letter\n'.repeat(100));
  const { store, clock, faults } = opened(t, path);
  assert.deepEqual(await keysIn(store, ['a']), [null]);
  store.keep(keptInputs(['a']));
  assert.deepEqual(await keysIn(store, ['a']), [null]);
  assert.deepEqual(faults, ['file is not a database (SQLITE_NOTADB)']);
  assert.equal(statSync(path).size, 1_700);
  await assert.rejects(store.clear(), /not a database/);
  rmSync(path);
  await clock.advance(RETRY_MS);
  store.keep(keptInputs(['a']));
  assert.deepEqual(await keysIn(store, ['a']), ['a']);
  assert.deepEqual(faults.slice(1), [null]);
});

test('in SQLite: pages that were overwritten are a fault, and no vector', async (t) => {
  const { store, path } = opened(t);
  store.keep(
    keptInputs(
      Array.from({ length: 50 }, (_, index) => `key-${index}`),
      { bytes: 4096 },
    ),
  );
  await store.close();
  const { size } = statSync(path);
  writeFileSync(path, Buffer.alloc(size - 8192, 0xff), { flag: 'r+' });
  const again = opened(t, path);
  assert.deepEqual(await keysIn(again.store, ['key-1']), [null]);
  assert.equal(again.faults.length, 1);
  assert.match(again.faults[0] ?? '', /SQLITE_/);
});

test('in SQLite: the database of another program is not touched', async (t) => {
  const path = join(temporaryDirectory(t), 'vectors.sqlite');
  const database = new Database(path);
  database.exec('CREATE TABLE vectors (a); INSERT INTO vectors VALUES (1)');
  const { store, faults } = opened(t, path);
  store.keep(keptInputs(['a']));
  assert.deepEqual(await keysIn(store, ['a']), [null]);
  assert.deepEqual(faults, ['it is the database of another program']);
  assert.deepEqual(database.prepare('SELECT * FROM vectors').all(), [{ a: 1 }]);
  database.close();
});

test('in SQLite: a file of another version is emptied', async (t) => {
  const { store, path } = opened(t);
  store.keep(keptInputs(['a']));
  await store.close();
  const database = new Database(path);
  database.pragma('user_version = 99');
  database.exec('ALTER TABLE vectors ADD COLUMN more TEXT');
  database.close();
  const again = opened(t, path);
  assert.deepEqual(await keysIn(again.store, ['a']), [null]);
  again.store.keep(keptInputs(['a']));
  assert.deepEqual(await keysIn(again.store, ['a']), ['a']);
  assert.deepEqual(again.faults, []);
});

test('in SQLite: a directory in its place is a fault', async (t) => {
  const { store, faults } = opened(t, temporaryDirectory(t));
  assert.deepEqual(await keysIn(store, ['a']), [null]);
  assert.equal(faults.length, 1);
});

test('in SQLite: a file that was deleted is made again', async (t) => {
  const { store, path } = opened(t);
  store.keep(keptInputs(['a']));
  await keysIn(store, ['a']);
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
  await until(() => {
    store.keep(keptInputs(['b']));
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  }, 'a new file');
  assert.deepEqual(await keysIn(store, ['a', 'b']), [null, 'b']);
});

test('in SQLite: on a full disk what is there is found, and nothing more is kept', async (t) => {
  const disk = tinyDisk(t, 700);
  if (disk === null) return t.skip('this user may not mount a file system');
  const { store, faults, clock } = opened(t, join(disk, 'vectors.sqlite'), 64 * MAX_BYTES);
  for (let round = 0; round < 100; round++) store.keep(keptInputs([`key-${round}`], { bytes: 8192 }));
  assert.deepEqual(await keysIn(store, ['key-0', 'key-99']), ['key-0', null]);
  assert.equal(faults.length, 1);
  assert.match(faults[0] ?? '', /SQLITE_(?:FULL|IOERR)/);
  await clock.advance(RETRY_MS);
  assert.deepEqual(await keysIn(store, ['key-0']), ['key-0']);
  assert.equal(faults.length, 1, 'a search does not say that the disk has room');
});

test('in SQLite: while another process holds the lock nothing is kept, and what is there is found', async (t) => {
  const { store, path, faults, clock } = opened(t);
  store.keep(keptInputs(['a']));
  await keysIn(store, ['a']);
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  store.keep(keptInputs(['b']));
  assert.deepEqual(await keysIn(store, ['a', 'b']), ['a', null]);
  assert.match(faults.join(), /^database is locked \(SQLITE_BUSY/);
  other.exec('ROLLBACK');
  other.close();
  await clock.advance(RETRY_MS);
  store.keep(keptInputs(['b']));
  assert.deepEqual(await keysIn(store, ['b']), ['b']);
  assert.equal(faults.at(-1), null);
});

test('in SQLite: a thread that does not respond delays one request, and those behind it not at all', async (t) => {
  const { store, clock } = opened(t);
  store.keep(keptInputs(['a']));
  const first = keysIn(store, ['a']);
  // It is still starting.
  await clock.advance(15_000);
  assert.deepEqual(await first, [null]);
  assert.deepEqual(await keysIn(store, ['a']), [null]);
  let isBack = false;
  await until(() => {
    void keysIn(store, ['a']).then(([found]) => {
      isBack ||= found === 'a';
    });
    return isBack;
  }, 'what was kept');
});

test('in SQLite: two processes share one file', async (t) => {
  const first = opened(t);
  const second = opened(t, first.path);
  first.store.keep(keptInputs(['a']));
  await keysIn(first.store, ['a']);
  second.store.keep(keptInputs(['b']));
  assert.deepEqual(await keysIn(second.store, ['a', 'b']), ['a', 'b']);
  assert.deepEqual(await keysIn(first.store, ['b']), ['b']);
});
