import { closeSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { makeDirectorySync } from '../../lib/directory.ts';
import { COLUMNS, type ColumnValue, TABLE, valuesOf } from '../request-row.ts';
import {
  addNameStatsSql,
  addStatsSql,
  cleaningSql,
  NAME_STATS_COLUMNS,
  RequestStats,
  STATS_COLUMNS,
} from '../request-stats.ts';
import type { InsertResult, RowBatch } from '../request-store.ts';
import { openFaultOf, storeFaultOf } from './sqlite-errors.ts';
import { checkMigration, migrate } from './sqlite-migrations.ts';

/** Rows of one INSERT statement: fewer native calls; more rows gain nothing (measured). */
const ROWS_PER_STATEMENT = 8;

/** How long SQLite itself waits for a lock. Short: rows wait in the queue, where `close` counts them. */
const LOCK_WAIT_MS = 250;

/** How often it is checked that the path is still the open file. */
const IDENTITY_CHECK_MS = 2_000;

export interface SqliteDatabaseOptions {
  readonly path: string;
  /** Applied to both bodies of each row before anything is written. */
  readonly redact: (body: string) => string;
}

/**
 * The database file, synchronous, for use in the worker. Opens at the first use and again after a fault that the
 * connection may not survive, so that a disk that is available again is used again.
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
    this.#closeReplacedFile();
    try {
      this.#open ??= new OpenDatabase(this.#options.path);
      return run(this.#open);
    } catch (error) {
      const fault = openFaultOf(error, this.#options.path);
      if (!isSurvivable(fault.code)) this.#closeBroken();
      throw fault;
    }
  }

  /** Rows written to a file that was moved or deleted would be lost: its inode lives on without a name. */
  #closeReplacedFile(): void {
    const nowMs = performance.now();
    if (this.#open === null || nowMs - this.#checkedAtMs < IDENTITY_CHECK_MS) return;
    this.#checkedAtMs = nowMs;
    const found = statSync(this.#options.path, { throwIfNoEntry: false });
    if (found === undefined || found.ino !== this.#open.inode) this.#closeBroken();
  }

  #closeBroken(): void {
    try {
      this.#open?.close();
    } catch {
      // The connection is not used again; the next use opens another.
    }
    this.#open = null;
  }
}

/** Faults after which the same connection works again. */
function isSurvivable(code: string): boolean {
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED') || code === 'SQLITE_FULL';
}

/** One connection with its prepared statements, from a successful open to the first fault that it does not survive. */
class OpenDatabase {
  readonly connection: Database.Database;
  readonly inode: number;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #rollback: Database.Statement;
  readonly #insertOne: Database.Statement;
  readonly #insertSome: Database.Statement;
  readonly #delete: Database.Statement;
  readonly #addStats: Database.Statement;
  readonly #addNameStats: Database.Statement;
  readonly #stats = new RequestStats();
  /** The hour in which the last old stats were deleted. */
  #cleanedHour = 0;

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
      this.#addStats = this.connection.prepare(addStatsSql(`(${STATS_COLUMNS.map(() => '?').join(',')})`));
      this.#addNameStats = this.connection.prepare(
        addNameStatsSql(`(${NAME_STATS_COLUMNS.map(() => '?').join(',')})`),
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
      this.#count(values);
      return values.length / COLUMNS.length;
    });
  }

  /** Row by row, for a batch with a row that SQLite rejects: the others are written. */
  insertEach(values: readonly ColumnValue[]): InsertResult {
    return this.#transaction(() => {
      let written = 0;
      let refused = 0;
      for (let at = 0; at < values.length; at += COLUMNS.length) {
        const row = values.slice(at, at + COLUMNS.length);
        try {
          this.#insertOne.run(...row);
          this.#count(row);
          written += 1;
        } catch (error) {
          if (storeFaultOf(error, this.connection.name) !== null) throw error;
          refused += 1;
        }
      }
      return { written, refused };
    });
  }

  #count(values: readonly ColumnValue[]): void {
    const { stats, nameStats } = this.#stats.of(values);
    for (const row of stats) this.#addStats.run(...row);
    for (const row of nameStats) this.#addNameStats.run(...row);
    const nowMs = Date.now();
    const hour = Math.floor(nowMs / 3_600_000);
    if (hour !== this.#cleanedHour && !this.#clean(nowMs)) this.#cleanedHour = hour;
  }

  /** False: there was nothing to delete. */
  #clean(nowMs: number): boolean {
    const deleted = cleaningSql(nowMs).map((sql) => this.connection.prepare(sql).run().changes);
    return deleted.some((rows) => rows > 0);
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

/** False: the file does not exist. Throws `StoreError` when it cannot be written; changes nothing. */
export function checkSqliteFile(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  try {
    const connection = new Database(path, { fileMustExist: true });
    try {
      checkMigration(connection, path);
    } finally {
      connection.close();
    }
    return true;
  } catch (error) {
    throw openFaultOf(error, path);
  }
}

/** Records may contain bodies: a new file is for this user only, and SQLite gives its WAL the same mode. */
function createPrivate(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeDirectorySync(dirname(path));
  closeSync(openSync(path, 'a', 0o600));
}
