import type pg from 'pg';
import { errorCodeOf } from './errors/ferry-error.ts';
import type { Secret } from './secret.ts';

/** A database that is slower than this counts as unavailable. */
const TIMEOUT_MS = 3_000;
const IDLE_MS = 60_000;

const UNDEFINED_TABLE = '42P01';
/** Two replicas created the table at the same time. */
const CREATED_MEANWHILE = new Set(['23505', '42P07', '42710']);
/** Engines that are always serializable (CockroachDB) send it to the loser of a race. */
export const SERIALIZATION_FAILURE = '40001';

interface SharedTableSettings {
  /** The setting `shared`. */
  readonly url: Secret;
  readonly maxConnections: number;
  /** The statement that creates the table where it is missing. */
  readonly create: string;
}

/**
 * A table of PostgreSQL, or of an engine with its protocol, that replicas share. Connects at the first use; the table is
 * created when it is missing, if the role may. Every use rejects within `TIMEOUT_MS` when the database is unavailable.
 */
export class SharedTable {
  readonly connection: pg.ClientConfig;
  readonly #settings: SharedTableSettings;
  /** Null until the first use. */
  #opening: Promise<pg.Pool> | null = null;

  constructor(settings: SharedTableSettings) {
    this.#settings = settings;
    this.connection = {
      connectionString: settings.url.reveal(),
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      keepAlive: true,
      application_name: 'tokenferry',
    };
  }

  /** The result of `work`, which is done once more when the table had to be created. */
  async use<Result>(work: (pool: pg.Pool) => Promise<Result>): Promise<Result> {
    const pool = await this.pool();
    try {
      return await work(pool);
    } catch (error) {
      if (errorCodeOf(error) !== UNDEFINED_TABLE) throw error;
    }
    await pool.query(this.#settings.create).catch((error: unknown) => {
      if (!CREATED_MEANWHILE.has(errorCodeOf(error) ?? '')) throw error;
    });
    return work(pool);
  }

  pool(): Promise<pg.Pool> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async close(): Promise<void> {
    const pool = await this.#opening?.catch(() => null);
    await pool?.end().catch(() => {});
  }

  /** The driver is loaded here and not with this file, which saves its time at a start without sharing. */
  async #open(): Promise<pg.Pool> {
    const { default: driver } = await import('pg');
    const pool = new driver.Pool({
      ...this.connection,
      max: this.#settings.maxConnections,
      idleTimeoutMillis: IDLE_MS,
      allowExitOnIdle: true,
    });
    // An idle connection that breaks is replaced by the next call; an unhandled event would end the process.
    pool.on('error', () => {});
    return pool;
  }
}
