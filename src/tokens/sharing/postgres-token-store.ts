import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Clock } from '../../lib/clock.ts';
import type { Secret } from '../../lib/secret.ts';
import { PostgresHints } from './postgres-hints.ts';
import { parseStoredToken, type StoredToken } from './stored-token.ts';
import { TokenCipher } from './token-cipher.ts';
import { type RenewalLease, type TokenStore, TokenStoreError } from './token-store.ts';

/** A store that is slower than this is away: the issuer itself would have answered. */
const PATIENCE_MS = 3_000;
/** Calls are rare (a few a minute and source) and short. */
const CONNECTIONS = 2;
const IDLE_MS = 60_000;

const UNDEFINED_TABLE = '42P01';
/** Two replicas made the table at one time. */
const CREATED_MEANWHILE = new Set(['23505', '42P07', '42710']);
/** Engines that are always serializable (CockroachDB) say so to the one that lost a race. */
const SERIALIZATION_FAILURE = '40001';

/**
 * One row a source. The generation stands beside the token as the fence of every write; `issued_at` is when it was
 * issued by the clock of the database, which is the only one that all replicas share; `expires_at` is for people who
 * look. No advisory locks, no sessions: it must also work behind a transaction pooler.
 */
const CREATE = `CREATE TABLE IF NOT EXISTS tokenferry_tokens (
  source text PRIMARY KEY,
  generation bigint NOT NULL DEFAULT 0,
  token bytea,
  issued_at timestamptz,
  expires_at timestamptz,
  lease_owner text,
  lease_until timestamptz
)`;

const PUT = `INSERT INTO tokenferry_tokens AS t (source, generation, token, issued_at, expires_at)
VALUES ($1, $2, $3, now() - $4::float8 * interval '1 millisecond', now() + $5::float8 * interval '1 millisecond')
ON CONFLICT (source) DO UPDATE
SET generation = excluded.generation, token = excluded.token, issued_at = excluded.issued_at, expires_at = excluded.expires_at
WHERE t.generation < excluded.generation`;

const GET = `SELECT generation, token, extract(epoch FROM now() - issued_at)::float8 * 1000 AS age_ms
FROM tokenferry_tokens WHERE source = $1`;

/** By the clock of the database as well. */
const LEASE = `INSERT INTO tokenferry_tokens AS t (source, lease_owner, lease_until)
VALUES ($1, $2, now() + $3 * interval '1 millisecond')
ON CONFLICT (source) DO UPDATE
SET lease_owner = excluded.lease_owner, lease_until = excluded.lease_until
WHERE t.lease_until IS NULL OR t.lease_until <= now()`;

const RELEASE = `UPDATE tokenferry_tokens SET lease_owner = NULL, lease_until = NULL
WHERE source = $1 AND lease_owner = $2`;

/**
 * Shares tokens between replicas through PostgreSQL or an engine that speaks like it. Every call rejects within
 * `PATIENCE_MS` when the database is away. The table is made at first use, with whatever right the role has.
 */
export class PostgresTokenStore implements TokenStore {
  readonly #connection: pg.ClientConfig;
  readonly #clock: Clock;
  readonly #cipher: TokenCipher;
  readonly #hints: PostgresHints;
  /** Null until the store is asked for the first time. */
  #opening: Promise<pg.Pool> | null = null;

  /** `url` and `sharedKey` are the settings `shared` and `shared_key`. Connects when it is first asked. */
  constructor(url: Secret, sharedKey: Secret, clock: Clock) {
    this.#cipher = new TokenCipher(sharedKey);
    this.#clock = clock;
    this.#connection = {
      connectionString: url.reveal(),
      connectionTimeoutMillis: PATIENCE_MS,
      query_timeout: PATIENCE_MS,
      keepAlive: true,
      application_name: 'tokenferry',
    };
    this.#hints = new PostgresHints(this.#connection, clock);
  }

  async get(key: string): Promise<StoredToken | null> {
    const row = this.#cipher.rowOf(key);
    const { rows } = await this.#query<Row>(GET, [row]);
    const [found] = rows;
    if (found === undefined || found.token === null) return null;
    const text = this.#cipher.open(found.token, `${row} ${found.generation}`);
    // Whoever changed the row may do so again: better that the store counts as away than that each call renews for nothing.
    if (text === null)
      throw new TokenStoreError('a shared token cannot be opened: its row was changed by somebody else');
    const token = parseStoredToken(text);
    return token === null || found.age_ms === null ? token : agedBy(token, found.age_ms, this.#clock);
  }

  async put(key: string, token: StoredToken): Promise<boolean> {
    const row = this.#cipher.rowOf(key);
    const { generation, issuedWallMs, lifeMs } = token;
    const sealed = this.#cipher.seal(JSON.stringify(token), `${row} ${generation}`);
    const ageMs = this.#clock.wallMs() - issuedWallMs;
    const leftMs = lifeMs === null ? null : withinCalendar(lifeMs - ageMs);
    const { rowCount } = await this.#query(PUT, [row, generation, sealed, withinCalendar(ageMs), leftMs]);
    if (rowCount !== 1) return false;
    this.#hints.tell(await this.#pool(), row);
    return true;
  }

  async lease(key: string, forMs: number): Promise<RenewalLease | null> {
    const row = this.#cipher.rowOf(key);
    const owner = randomUUID();
    try {
      const { rowCount } = await this.#query(LEASE, [row, owner, Math.ceil(forMs)]);
      if (rowCount !== 1) return null;
    } catch (error) {
      if (codeOf(error) === SERIALIZATION_FAILURE) return null;
      throw error;
    }
    return {
      release: async () => {
        // Unreleased it ends by itself.
        await this.#query(RELEASE, [row, owner]).catch(() => {});
      },
    };
  }

  watch(key: string, onHint: () => void): { close(): void } {
    return this.#hints.watch(this.#cipher.rowOf(key), onHint);
  }

  async close(): Promise<void> {
    const pool = await this.#opening;
    await Promise.all([this.#hints.close(), pool?.end().catch(() => {})]);
  }

  async #query<Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[],
  ): Promise<pg.QueryResult<Row>> {
    const pool = await this.#pool();
    try {
      return await pool.query<Row>(text, [...values]);
    } catch (error) {
      if (codeOf(error) !== UNDEFINED_TABLE) throw error;
    }
    await pool.query(CREATE).catch((error: unknown) => {
      if (!CREATED_MEANWHILE.has(codeOf(error) ?? '')) throw error;
    });
    return pool.query<Row>(text, [...values]);
  }

  #pool(): Promise<pg.Pool> {
    this.#opening ??= openPool(this.#connection);
    return this.#opening;
  }
}

/** The driver is loaded here and not with this file: a start without sharing does not pay for it. */
async function openPool(connection: pg.ClientConfig): Promise<pg.Pool> {
  const { default: driver } = await import('pg');
  const pool = new driver.Pool({
    ...connection,
    max: CONNECTIONS,
    idleTimeoutMillis: IDLE_MS,
    allowExitOnIdle: true,
  });
  // An idle connection that breaks is replaced by the next call; unheard, the event would end the process.
  pool.on('error', () => {});
  return pool;
}

interface Row {
  readonly generation: string;
  readonly token: Buffer | null;
  /** By the clock of the database; null in rows whose time no calendar has. */
  readonly age_ms: number | null;
}

/** `token` as this replica's clock would have it: that of the replica which obtained it may go quite otherwise. */
function agedBy(token: StoredToken, ageMs: number, clock: Clock): StoredToken {
  const issuedWallMs = clock.wallMs() - ageMs;
  const { notBeforeWallMs } = token;
  return {
    ...token,
    issuedWallMs,
    ...(notBeforeWallMs === undefined
      ? {}
      : { notBeforeWallMs: notBeforeWallMs - token.issuedWallMs + issuedWallMs }),
  };
}

/** Milliseconds of 10,000 years, within what PostgreSQL's calendar can add to now. */
const LONGEST_MS = 10_000 * 365 * 86_400_000;

/** Null: so long that no calendar of PostgreSQL has it. */
function withinCalendar(ms: number): number | null {
  return Math.abs(ms) <= LONGEST_MS ? ms : null;
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error ? String(error.code) : null;
}
