import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { valuesOf } from '../batch-values.ts';
import { COLUMNS, type ColumnValue, TABLE } from '../request-row.ts';
import { type InsertResult, type RowBatch, StoreError } from '../request-store.ts';
import { openFaultOf, storeFaultOf } from './sqlite-errors.ts';
import { SQLITE_MIGRATIONS } from './sqlite-migrations.ts';

/** Rows of one INSERT statement: fewer calls across the border to C; more rows gain nothing (measured). */
const ROWS_PER_STATEMENT = 8;

/** How long SQLite itself waits for another's lock. Short: rows wait in the queue, where close can see them. */
const LOCK_WAIT_MS = 250;

/** How often the path is compared with the open file. */
const IDENTITY_CHECK_MS = 2_000;

export interface SqliteDatabaseOptions {
  readonly path: string;
  /** Applied to both bodies of each row before anything is written. */
  readonly redact: (body: string) => string;
}

/**
 * The database file, synchronous, for use inside the worker. Opens when first needed and again after a fault
 * that the connection might not survive, so that a disk that comes back is simply used again.
 */
export class SqliteDatabase {
  readonly #options: SqliteDatabaseOptions;
  #open: OpenDatabase | null = null;
  #checkedAtMs = 0;

  constructor(options: SqliteDatabaseOptions) {
    this.#options = options;
  }

  /** Writes the batch in one transaction. Throws `StoreError`; then nothing was written. */
  insert(batch: RowBatch): InsertResult {
    const values = valuesOf(batch, this.#options.redact);
    if (values === null) return { written: 0, refused: batch.rows };
    return this.#use((open) => {
      try {
        return { written: open.insertAll(values), refused: 0 };
      } catch (error) {
        if (storeFaultOf(error, this.#options.path) !== null) throw error;
        return open.insertEach(values);
      }
    });
  }

  deleteBefore(createdAtMs: number, limit: number): number {
    return this.#use((open) => open.deleteBefore(createdAtMs, limit));
  }

  /** The connection itself, for queries. */
  connection(): Database.Database {
    return this.#use((open) => open.connection);
  }

  close(): void {
    this.#open?.close();
    this.#open = null;
  }

  #use<T>(run: (open: OpenDatabase) => T): T {
    this.#leaveReplacedFile();
    try {
      this.#open ??= new OpenDatabase(this.#options.path);
      return run(this.#open);
    } catch (error) {
      const fault = openFaultOf(error, this.#options.path);
      if (!isSurvivable(fault.code)) this.#abandon();
      throw fault;
    }
  }

  /** A file that was moved or deleted under us would swallow rows unseen: its inode lives on without a name. */
  #leaveReplacedFile(): void {
    const nowMs = performance.now();
    if (this.#open === null || nowMs - this.#checkedAtMs < IDENTITY_CHECK_MS) return;
    this.#checkedAtMs = nowMs;
    const found = statSync(this.#options.path, { throwIfNoEntry: false });
    if (found === undefined || found.ino !== this.#open.inode) this.#abandon();
  }

  #abandon(): void {
    try {
      this.#open?.close();
    } catch {
      // A connection that cannot even close is garbage; the next use opens another.
    }
    this.#open = null;
  }
}

/** After these the same connection works again by itself. */
function isSurvivable(code: string): boolean {
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED') || code === 'SQLITE_FULL';
}

/** One connection with its prepared statements; lives from a successful open to the first fatal fault. */
class OpenDatabase {
  readonly connection: Database.Database;
  readonly inode: number;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #rollback: Database.Statement;
  readonly #insertOne: Database.Statement;
  readonly #insertSome: Database.Statement;
  readonly #delete: Database.Statement;

  constructor(path: string) {
    createPrivate(path);
    this.connection = new Database(path, { timeout: LOCK_WAIT_MS });
    try {
      this.inode = statSync(path).ino;
      // NORMAL under WAL: a power cut may lose the last transactions, never the database.
      this.connection.pragma('journal_mode = WAL');
      this.connection.pragma('synchronous = NORMAL');
      // A long reader lets the WAL grow; afterwards it shrinks again.
      this.connection.pragma('journal_size_limit = 67108864');
      migrate(this.connection, path);
      const row = `(${COLUMNS.map(() => '?').join(',')})`;
      const insert = `INSERT INTO ${TABLE} (${COLUMNS.join(',')}) VALUES `;
      this.#begin = this.connection.prepare('BEGIN IMMEDIATE');
      this.#commit = this.connection.prepare('COMMIT');
      this.#rollback = this.connection.prepare('ROLLBACK');
      this.#insertOne = this.connection.prepare(insert + row);
      this.#insertSome = this.connection.prepare(insert + Array(ROWS_PER_STATEMENT).fill(row).join(','));
      this.#delete = this.connection.prepare(
        `DELETE FROM ${TABLE} WHERE rowid IN
           (SELECT rowid FROM ${TABLE} WHERE created_at < ? ORDER BY created_at LIMIT ?)`,
      );
    } catch (error) {
      this.connection.close();
      throw error;
    }
  }

  insertAll(values: readonly ColumnValue[]): number {
    const some = COLUMNS.length * ROWS_PER_STATEMENT;
    return this.#transaction(() => {
      let at = 0;
      // Spread: as one array the same values cost 0.8 µs a row more (measured).
      for (; at + some <= values.length; at += some) this.#insertSome.run(...values.slice(at, at + some));
      for (; at < values.length; at += COLUMNS.length)
        this.#insertOne.run(...values.slice(at, at + COLUMNS.length));
      return values.length / COLUMNS.length;
    });
  }

  /** The slow way, for a batch with a row in it that SQLite refuses: the others are kept. */
  insertEach(values: readonly ColumnValue[]): InsertResult {
    return this.#transaction(() => {
      let written = 0;
      let refused = 0;
      for (let at = 0; at < values.length; at += COLUMNS.length) {
        try {
          this.#insertOne.run(...values.slice(at, at + COLUMNS.length));
          written += 1;
        } catch (error) {
          if (storeFaultOf(error, this.connection.name) !== null) throw error;
          refused += 1;
        }
      }
      return { written, refused };
    });
  }

  deleteBefore(createdAtMs: number, limit: number): number {
    return this.#transaction(() => this.#delete.run(createdAtMs, limit).changes);
  }

  close(): void {
    this.connection.close();
  }

  #transaction<T>(run: () => T): T {
    this.#begin.run();
    try {
      const result = run();
      this.#commit.run();
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some faults, a full disk among them.
      if (this.connection.inTransaction) this.#rollback.run();
      throw error;
    }
  }
}

/** Records may hold bodies: a new file is for this user only, and SQLite gives its WAL the same mode. */
function createPrivate(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  closeSync(openSync(path, 'a', 0o600));
}

/** Brings the table to the newest step. The file may hold tables of others: they are left alone. */
function migrate(connection: Database.Database, path: string): void {
  connection
    .transaction(() => {
      connection.exec(
        `CREATE TABLE IF NOT EXISTS tokenferry_migrations
         (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)`,
      );
      const done = connection.prepare('SELECT max(number) FROM tokenferry_migrations').pluck().get() as
        | number
        | null;
      const newest = SQLITE_MIGRATIONS.at(-1)?.number ?? 0;
      if (done !== null && done > newest) throw newerVersion(path);
      if (done === null && hasTable(connection)) throw foreignTable(path);
      const note = connection.prepare('INSERT INTO tokenferry_migrations VALUES (?, ?, ?)');
      for (const step of SQLITE_MIGRATIONS) {
        if (done !== null && step.number <= done) continue;
        connection.exec(step.sql);
        note.run(step.number, step.name, Date.now());
      }
      if (missingColumns(connection).length > 0) throw foreignTable(path);
    })
    .immediate();
}

/** Whether the database has a table of our name, ours or not. */
export function hasTable(connection: Database.Database): boolean {
  return (
    connection.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(TABLE) !==
    undefined
  );
}

function missingColumns(connection: Database.Database): string[] {
  const found = new Set(connection.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(TABLE));
  return COLUMNS.filter((column) => !found.has(column));
}

function newerVersion(path: string): StoreError {
  const text = `The database ${path} was written by a newer tokenferry; use that version or name another file in dbaddr.`;
  return new StoreError('unusable', 'NEWER_VERSION', text);
}

function foreignTable(path: string): StoreError {
  const text = `The database ${path} has a table ${TABLE} that is not ours; name another file in dbaddr.`;
  return new StoreError('unusable', 'FOREIGN_TABLE', text);
}
