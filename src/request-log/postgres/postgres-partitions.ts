import type { PoolClient } from 'pg';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { COLUMNS, type ColumnValue, TABLE } from '../request-row.ts';

const DAY_MS = 86_400_000;
const CREATED_AT = COLUMNS.indexOf('created_at');
/** Makes replicas create a partition one after the other; the number is arbitrary. */
const LOCK = 7_046_029;
/** How long inserts may wait behind a drop. */
const LOCK_WAIT_MS = 250;
const LOCK_NOT_AVAILABLE = '55P03';
const NAME = new RegExp(`^${TABLE}_(\\d{8})$`);

/** The partitions of `tokenferry_requests`, one a day in UTC: created before the first row of a day, dropped as a whole. */
export class PostgresPartitions {
  /** Days since 1970 whose partition is known to exist. */
  readonly #days = new Set<number>();

  /** Creates the partitions that the rows of `values` need. */
  async createFor(client: PoolClient, values: readonly ColumnValue[]): Promise<void> {
    for (let row = CREATED_AT; row < values.length; row += COLUMNS.length) {
      const day = Math.floor(Number(values[row]) / DAY_MS);
      if (this.#days.has(day)) continue;
      await this.#create(client, day);
      this.#days.add(day);
    }
  }

  /** They were changed elsewhere: every one is created again if it is missing. */
  forget(): void {
    this.#days.clear();
  }

  /**
   * Drops the oldest day if it ends before `createdAtMs`, else deletes up to `limit` rows from it. Returns how many, and
   * `limit` for a day, behind which there may be another one.
   */
  async deleteBefore(client: PoolClient, createdAtMs: number, limit: number): Promise<number> {
    const { rows } = await client.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '${TABLE}'::regclass`,
    );
    const days = rows.map(({ name }) => dayOf(name)).filter((day) => day !== null);
    const day = Math.min(...days);
    if (day * DAY_MS >= createdAtMs) return 0;
    if ((day + 1) * DAY_MS <= createdAtMs) return (await this.#drop(client, day)) ? limit : 0;
    // By the places of the rows: a condition on the whole table reads all of its days.
    const { rowCount } = await client.query(
      `DELETE FROM ${nameOf(day)} WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM ${nameOf(day)} WHERE created_at < $1 ORDER BY created_at LIMIT $2))`,
      [createdAtMs, limit],
    );
    return rowCount ?? 0;
  }

  /** False: somebody reads the table, and inserts would wait behind a drop that waits for that. */
  async #drop(client: PoolClient, day: number): Promise<boolean> {
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL lock_timeout = ${LOCK_WAIT_MS}`);
      await client.query(`DROP TABLE IF EXISTS ${nameOf(day)}`);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      if (errorCodeOf(error) === LOCK_NOT_AVAILABLE) return false;
      throw error;
    }
    this.#days.delete(day);
    return true;
  }

  async #create(client: PoolClient, day: number): Promise<void> {
    const bounds = `FROM (${day * DAY_MS}) TO (${(day + 1) * DAY_MS})`;
    await client.query('BEGIN');
    try {
      await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
      await client.query(
        `CREATE TABLE IF NOT EXISTS ${nameOf(day)} PARTITION OF ${TABLE} FOR VALUES ${bounds}`,
      );
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }
}

/** `tokenferry_requests_20261121`. */
function nameOf(day: number): string {
  return `${TABLE}_${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** Null: not one of our partitions. */
function dayOf(name: string): number | null {
  const date = NAME.exec(name)?.[1];
  if (date === undefined) return null;
  const at = Date.parse(`${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}T00:00:00Z`);
  return Number.isNaN(at) ? null : at / DAY_MS;
}
