import { createHmac, hkdfSync, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import type { Secret } from '../../lib/secret.ts';
import {
  decide,
  type ReplicaReport,
  type SharedAlerts,
  type SharedDecision,
  type SharedProblem,
  UNKNOWN_PROBLEM,
  withdrawn,
} from './shared-alerts.ts';

/** A slower database counts as not available: an alert that is sent twice is better than a late one. */
const TIMEOUT_MS = 3_000;
const CONNECTIONS = 1;
const IDLE_MS = 60_000;
const KEY_BYTES = 32;

const UNDEFINED_TABLE = '42P01';
/** Two replicas created the table at the same time. */
const CREATED_MEANWHILE = new Set(['23505', '42P07', '42710']);
/** Engines that are always serializable (CockroachDB) send it to the loser of a race. */
const SERIALIZATION_FAILURE = '40001';
const MAX_TRIES = 5;

/** `problem` is a keyed hash: the address of an alert service is a secret, and models are named by clients. */
const CREATE = `CREATE TABLE IF NOT EXISTS tokenferry_alerts (
  problem text PRIMARY KEY,
  state jsonb NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
)`;
const ADD = `INSERT INTO tokenferry_alerts (problem, state) VALUES ($1, $2) ON CONFLICT (problem) DO NOTHING`;
const LOCK = 'SELECT state FROM tokenferry_alerts WHERE problem = $1 FOR UPDATE';
/** After the row is locked, by the only clock that all replicas share. */
const NOW = 'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms';
const CHANGE = 'UPDATE tokenferry_alerts SET state = $2, changed_at = now() WHERE problem = $1';

/** Shares the state of alerts through a table of PostgreSQL, which is created at first use, if the role may. */
export class PostgresSharedAlerts implements SharedAlerts {
  readonly #connection: pg.PoolConfig;
  readonly #rowKey: Buffer;
  readonly #replica = randomUUID();
  /** Null until the first call. */
  #opening: Promise<pg.Pool> | null = null;

  /** `url` and `sharedKey` are the settings `shared` and `shared_key`. Connects at the first call. */
  constructor(url: Secret, sharedKey: Secret) {
    const key = Buffer.from(sharedKey.reveal(), 'base64');
    this.#rowKey = Buffer.from(hkdfSync('sha256', key, '', 'tokenferry alert', KEY_BYTES));
    this.#connection = {
      connectionString: url.reveal(),
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      keepAlive: true,
      application_name: 'tokenferry',
      max: CONNECTIONS,
      idleTimeoutMillis: IDLE_MS,
      allowExitOnIdle: true,
    };
  }

  async report(problem: string, report: Omit<ReplicaReport, 'replica'>): Promise<SharedDecision> {
    let decision: SharedDecision = { kind: 'told' };
    await this.#change(problem, (known, nowMs) => {
      const decided = decide(known, { ...report, replica: this.#replica }, nowMs);
      decision = decided.decision;
      return decided.next;
    });
    return decision;
  }

  async withdraw(problem: string): Promise<void> {
    await this.#change(problem, (known, nowMs) => withdrawn(known, this.#replica, nowMs));
  }

  async close(): Promise<void> {
    const pool = await this.#opening?.catch(() => null);
    await pool?.end().catch(() => {});
  }

  async #change(
    problem: string,
    next: (known: SharedProblem, nowMs: number) => SharedProblem,
  ): Promise<void> {
    const row = createHmac('sha256', this.#rowKey).update(problem).digest('hex');
    for (let tries = 1; ; tries++) {
      try {
        await this.#changeOnce(row, next);
        return;
      } catch (error) {
        const code = errorCodeOf(error);
        if (tries === MAX_TRIES || (code !== UNDEFINED_TABLE && code !== SERIALIZATION_FAILURE)) throw error;
        if (code === UNDEFINED_TABLE) await this.#createTable();
      }
    }
  }

  async #changeOnce(
    row: string,
    next: (known: SharedProblem, nowMs: number) => SharedProblem,
  ): Promise<void> {
    const client = await (await this.#pool()).connect();
    let isBroken = false;
    try {
      await client.query('BEGIN');
      await client.query(ADD, [row, JSON.stringify(UNKNOWN_PROBLEM)]);
      const { rows } = await client.query<{ state: SharedProblem }>(LOCK, [row]);
      const now = await client.query<{ now_ms: number }>(NOW);
      const known = rows[0]?.state ?? UNKNOWN_PROBLEM;
      await client.query(CHANGE, [row, JSON.stringify(next(known, now.rows[0]?.now_ms ?? 0))]);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {
        isBroken = true;
      });
      throw error;
    } finally {
      client.release(isBroken);
    }
  }

  async #createTable(): Promise<void> {
    const pool = await this.#pool();
    await pool.query(CREATE).catch((error: unknown) => {
      if (!CREATED_MEANWHILE.has(errorCodeOf(error) ?? '')) throw error;
    });
  }

  #pool(): Promise<pg.Pool> {
    this.#opening ??= openPool(this.#connection);
    return this.#opening;
  }
}

/** The driver is loaded at the first alert and not at the start. */
async function openPool(connection: pg.PoolConfig): Promise<pg.Pool> {
  const { default: driver } = await import('pg');
  const pool = new driver.Pool(connection);
  // An idle connection that breaks is replaced by the next call; an unhandled event would end the process.
  pool.on('error', () => {});
  return pool;
}
