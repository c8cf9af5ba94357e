import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { StoredVector } from './stored-vector.ts';
import type { FoundInputs, KeptInputs, StoreStats } from './vector-store.ts';

/** Says in the file's header whose it is: `tfEC`. */
const APPLICATION_ID = 0x74664543;
/** A file of another version is emptied: what was in it can be asked for again. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE scopes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model TEXT);
  CREATE TABLE vectors (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    text TEXT NOT NULL,
    form TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    used_hour INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (scope, text)
  );
  CREATE INDEX vectors_by_use ON vectors (used_hour, id);
`;

/** How long SQLite waits for the lock of another process, while requests wait for this thread. */
const LOCK_WAIT_MS = 250;
/** How often it is checked that the path is still the open file. */
const IDENTITY_CHECK_MS = 2_000;
/** Of the rows; what is evicted at once when the file is full. */
const EVICTED_SHARE = 0.02;
/** Of a row beside its vector, in the table and two indexes. */
const ROW_BYTES = 160;
const HOUR_MS = 3_600_000;

interface VectorRow {
  readonly id: number;
  readonly form: StoredVector['form'];
  readonly tokens: number;
  readonly used_hour: number;
  readonly bytes: Buffer;
}

/**
 * The file of vectors, synchronous, for use in the worker. Its pages in use are the size that is bounded: evicted rows
 * leave pages that are used again. Every method throws what SQLite throws.
 */
export class SqliteFile {
  readonly path: string;
  readonly #connection: Database.Database;
  readonly #inode: number;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #pageBytes: number;
  #maxBytes: number;
  #entries: number;
  #evictions = 0;
  #checkedAtMs = performance.now();

  constructor(path: string, maxBytes: number) {
    this.path = path;
    createPrivate(path);
    const connection = new Database(path, { timeout: LOCK_WAIT_MS });
    try {
      this.#inode = statSync(path).ino;
      migrate(connection);
      this.#connection = connection;
      this.#statements = prepare(connection);
      this.#pageBytes = pragma(connection, 'page_size');
      this.#maxBytes = maxBytes;
      this.#entries = this.#count();
      this.resize(maxBytes);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get stats(): StoreStats {
    return { entries: this.#entries, bytes: this.#usedBytes(), evictions: this.#evictions };
  }

  /** False: the file was moved or deleted, so that what is written is lost. */
  isInPlace(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#checkedAtMs < IDENTITY_CHECK_MS) return true;
    this.#checkedAtMs = nowMs;
    return statSync(this.path, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  find(scope: string, keys: readonly string[], nowMs: number): FoundInputs {
    const { findScope, findVector } = this.#statements;
    const found = findScope.get(scope);
    if (found === undefined) return { model: null, inputs: keys.map(() => null) };
    const hour = Math.floor(nowMs / HOUR_MS);
    const stale: number[] = [];
    const inputs = keys.map((key) => {
      const row = findVector.get(found.id, key);
      if (row === undefined) return null;
      if (row.used_hour < hour) stale.push(row.id);
      return { vector: { form: row.form, bytes: row.bytes }, tokens: row.tokens };
    });
    // Within an hour the oldest row goes first: a read that writes would cost ten times as much.
    if (stale.length > 0) this.#touch(stale, hour);
    return { model: found.model, inputs };
  }

  #touch(ids: readonly number[], hour: number): void {
    const { touch } = this.#statements;
    try {
      this.#transaction(() => {
        for (const id of ids) touch.run(hour, id);
      });
    } catch {
      // The disk is full, or another process writes: what was found is good.
    }
  }

  keep({ scope, model, keys, inputs }: KeptInputs, nowMs: number): void {
    const { putVector, deleteVectors } = this.#statements;
    const hour = Math.floor(nowMs / HOUR_MS);
    const bytes = inputs.reduce((sum, { vector }) => sum + vector.bytes.byteLength + ROW_BYTES, 0);
    if (bytes > this.#maxBytes) return;
    this.#transaction(() => {
      this.#evictFor(bytes);
      const { id, isOther } = this.#scopeFor(scope, model);
      if (isOther) this.#entries -= deleteVectors.run(id).changes;
      for (const [at, { vector, tokens }] of inputs.entries()) {
        const { form, bytes: blob } = vector;
        const key = keys[at] ?? '';
        this.#entries += putVector.run(id, key, form, tokens, hour, blob).changes;
      }
      // Pages are never quite full.
      this.#evictFor(0);
    });
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    if (this.#usedBytes() > maxBytes) this.#transaction(() => this.#evictFor(0));
    // Gives pages back to the disk only where there are many, as after another size was set.
    const freeBytes = pragma(this.#connection, 'freelist_count') * this.#pageBytes;
    if (this.#usedBytes() + freeBytes > maxBytes) this.#connection.pragma('incremental_vacuum');
  }

  clear(): void {
    const { clearVectors, clearScopes } = this.#statements;
    this.#transaction(() => {
      clearVectors.run();
      clearScopes.run();
    });
    this.#entries = 0;
    this.#connection.pragma('incremental_vacuum');
    this.#connection.pragma('wal_checkpoint(TRUNCATE)');
  }

  close(): void {
    this.#connection.close();
  }

  #scopeFor(name: string, model: string | null): { readonly id: number | bigint; readonly isOther: boolean } {
    const { findScope, addScope, setModel } = this.#statements;
    const found = findScope.get(name);
    if (found === undefined) return { id: addScope.run(name, model).lastInsertRowid, isOther: false };
    if (found.model === model) return { id: found.id, isOther: false };
    setModel.run(model, found.id);
    return { id: found.id, isOther: true };
  }

  #evictFor(bytes: number): void {
    const { deleteOldest, clearEmptyScopes } = this.#statements;
    let isScopeEmpty = false;
    while (this.#usedBytes() + bytes > this.#maxBytes) {
      const wanted = Math.max(1, Math.ceil(this.#entries * EVICTED_SHARE));
      const { changes } = deleteOldest.run(wanted);
      if (changes === 0) break;
      this.#evictions += changes;
      this.#entries -= changes;
      isScopeEmpty = true;
    }
    if (isScopeEmpty) clearEmptyScopes.run();
  }

  #usedBytes(): number {
    const pages = pragma(this.#connection, 'page_count') - pragma(this.#connection, 'freelist_count');
    return pages * this.#pageBytes;
  }

  #count(): number {
    return this.#statements.countVectors.get()?.entries ?? 0;
  }

  #transaction(run: () => void): void {
    this.#connection.transaction(run).immediate();
  }
}

function prepare(connection: Database.Database) {
  return {
    findScope: connection.prepare<[string], { readonly id: number; readonly model: string | null }>(
      'SELECT id, model FROM scopes WHERE name = ?',
    ),
    addScope: connection.prepare<[string, string | null]>('INSERT INTO scopes (name, model) VALUES (?, ?)'),
    setModel: connection.prepare<[string | null, number]>('UPDATE scopes SET model = ? WHERE id = ?'),
    findVector: connection.prepare<[number, string], VectorRow>(
      'SELECT id, form, tokens, used_hour, bytes FROM vectors WHERE scope = ? AND text = ?',
    ),
    // Another request may have kept it meanwhile: then this is the same vector again.
    putVector: connection.prepare<[number | bigint, string, string, number, number, Uint8Array]>(
      'INSERT INTO vectors (scope, text, form, tokens, used_hour, bytes) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    touch: connection.prepare<[number, number]>('UPDATE vectors SET used_hour = ? WHERE id = ?'),
    deleteVectors: connection.prepare<[number | bigint]>('DELETE FROM vectors WHERE scope = ?'),
    deleteOldest: connection.prepare<[number]>(
      'DELETE FROM vectors WHERE id IN (SELECT id FROM vectors ORDER BY used_hour, id LIMIT ?)',
    ),
    clearEmptyScopes: connection.prepare<[]>(
      'DELETE FROM scopes WHERE NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.scope = scopes.id)',
    ),
    clearVectors: connection.prepare<[]>('DELETE FROM vectors'),
    clearScopes: connection.prepare<[]>('DELETE FROM scopes'),
    countVectors: connection.prepare<[], { readonly entries: number }>(
      'SELECT count(*) AS entries FROM vectors',
    ),
  };
}

/** Makes the tables in a new file or one of another version; throws for a file of another program. */
function migrate(connection: Database.Database): void {
  const isOurs = pragma(connection, 'application_id') === APPLICATION_ID;
  const isEmpty = connection.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
  if (!isOurs && !isEmpty) throw new Error('it is the database of another program');
  // Takes effect in a file without tables only.
  if (isEmpty) connection.pragma('auto_vacuum = INCREMENTAL');
  // NORMAL under WAL: a power cut may lose the last vectors, never the database.
  connection.pragma('journal_mode = WAL');
  connection.pragma('synchronous = NORMAL');
  connection.pragma('journal_size_limit = 4194304');
  if (!isEmpty && pragma(connection, 'user_version') === SCHEMA_VERSION) return;
  connection
    .transaction(() => {
      // Another process may have made them since.
      if (pragma(connection, 'user_version') === SCHEMA_VERSION) return;
      connection.exec('DROP TABLE IF EXISTS vectors; DROP TABLE IF EXISTS scopes;');
      connection.exec(SCHEMA);
      connection.pragma(`application_id = ${APPLICATION_ID}`);
      connection.pragma(`user_version = ${SCHEMA_VERSION}`);
    })
    .immediate();
}

function pragma(connection: Database.Database, name: string): number {
  return connection.pragma(name, { simple: true }) as number;
}

/** Texts can be guessed from vectors: a new file is for this user only, and SQLite gives its WAL the same mode. */
function createPrivate(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  closeSync(openSync(path, 'a', 0o600));
}
