import { createHmac, hkdfSync, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import type { Secret } from '../../lib/secret.ts';
import { SERIALIZATION_FAILURE, SharedTable } from '../../lib/shared-table.ts';
import {
  decide,
  type ReplicaReport,
  type SharedAlerts,
  type SharedDecision,
  type SharedProblem,
  UNKNOWN_PROBLEM,
  withdrawn,
} from './shared-alerts.ts';

const KEY_BYTES = 32;
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

/** Shares the state of alerts through a table of PostgreSQL. An alert that is sent twice is better than a late one, so nothing waits for a slow database. */
export class PostgresSharedAlerts implements SharedAlerts {
  readonly #table: SharedTable;
  readonly #rowKey: Buffer;
  readonly #replica = randomUUID();

  /** `url` and `sharedKey` are the settings `shared` and `shared_key`. Connects at the first call. */
  constructor(url: Secret, sharedKey: Secret) {
    const key = Buffer.from(sharedKey.reveal(), 'base64');
    this.#rowKey = Buffer.from(hkdfSync('sha256', key, '', 'tokenferry alert', KEY_BYTES));
    this.#table = new SharedTable({ url, maxConnections: 1, create: CREATE });
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

  close(): Promise<void> {
    return this.#table.close();
  }

  async #change(
    problem: string,
    next: (known: SharedProblem, nowMs: number) => SharedProblem,
  ): Promise<void> {
    const row = createHmac('sha256', this.#rowKey).update(problem).digest('hex');
    for (let tries = 1; ; tries++) {
      try {
        await this.#table.use((pool) => this.#changeOnce(pool, row, next));
        return;
      } catch (error) {
        if (tries === MAX_TRIES || errorCodeOf(error) !== SERIALIZATION_FAILURE) throw error;
      }
    }
  }

  async #changeOnce(
    pool: pg.Pool,
    row: string,
    next: (known: SharedProblem, nowMs: number) => SharedProblem,
  ): Promise<void> {
    const client = await pool.connect();
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
}
