import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Clock, Timer } from '../../lib/clock.ts';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import type { Secret } from '../../lib/secret.ts';
import { SERIALIZATION_FAILURE, SharedTable } from '../../lib/shared-table.ts';
import { TokenCipher } from './token-cipher.ts';
import {
  parseStoredToken,
  type RenewalLease,
  type StoredToken,
  type TokenStore,
  TokenStoreError,
} from './token-store.ts';

/** Calls are rare (a few a minute per source) and short. */
const MAX_CONNECTIONS = 2;

/**
 * One row a source. The generation beside the token is the fence of every write; `issued_at` is when it was
 * issued by the clock of the database, the only one that all replicas share; `expires_at` is for people. No advisory
 * locks, no sessions: it must also work behind a transaction pooler.
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

/** Also by the clock of the database. */
const LEASE = `INSERT INTO tokenferry_tokens AS t (source, lease_owner, lease_until)
VALUES ($1, $2, now() + $3 * interval '1 millisecond')
ON CONFLICT (source) DO UPDATE
SET lease_owner = excluded.lease_owner, lease_until = excluded.lease_until
WHERE t.lease_until IS NULL OR t.lease_until <= now()`;

const RELEASE = `UPDATE tokenferry_tokens SET lease_owner = NULL, lease_until = NULL
WHERE source = $1 AND lease_owner = $2`;

/** Shares tokens between replicas through PostgreSQL or an engine with its protocol. */
export class PostgresTokenStore implements TokenStore {
  readonly #table: SharedTable;
  readonly #clock: Clock;
  readonly #cipher: TokenCipher;
  readonly #hints: PostgresHints;

  /** `url` and `sharedKey` are the settings `shared` and `shared_key`. Connects at the first call. */
  constructor(url: Secret, sharedKey: Secret, clock: Clock) {
    this.#cipher = new TokenCipher(sharedKey);
    this.#clock = clock;
    this.#table = new SharedTable({ url, maxConnections: MAX_CONNECTIONS, create: CREATE });
    this.#hints = new PostgresHints(this.#table.connection, clock);
  }

  async get(key: string): Promise<StoredToken | null> {
    const row = this.#cipher.rowOf(key);
    const { rows } = await this.#query<Row>(GET, [row]);
    const [found] = rows;
    if (found === undefined || found.token === null) return null;
    const text = this.#cipher.decrypt(found.token, `${row} ${found.generation}`);
    // An unavailable store is better than a renewal for nothing with each call.
    if (text === null)
      throw new TokenStoreError(
        'cannot decrypt a shared token: its row was changed, or shared_key is another one',
      );
    const token = parseStoredToken(text);
    return token === null || found.age_ms === null ? token : agedBy(token, found.age_ms, this.#clock);
  }

  async put(key: string, token: StoredToken): Promise<boolean> {
    const row = this.#cipher.rowOf(key);
    const { generation, issuedWallMs, lifeMs } = token;
    const encrypted = this.#cipher.encrypt(JSON.stringify(token), `${row} ${generation}`);
    const ageMs = this.#clock.wallMs() - issuedWallMs;
    const leftMs = lifeMs === null ? null : withinCalendar(lifeMs - ageMs);
    const { rowCount } = await this.#query(PUT, [row, generation, encrypted, withinCalendar(ageMs), leftMs]);
    if (rowCount !== 1) return false;
    this.#hints.notify(await this.#table.pool(), row);
    return true;
  }

  async lease(key: string, forMs: number): Promise<RenewalLease | null> {
    const row = this.#cipher.rowOf(key);
    const owner = randomUUID();
    try {
      const { rowCount } = await this.#query(LEASE, [row, owner, Math.ceil(forMs)]);
      if (rowCount !== 1) return null;
    } catch (error) {
      if (errorCodeOf(error) === SERIALIZATION_FAILURE) return null;
      throw error;
    }
    return {
      release: async () => {
        // An unreleased lease expires.
        await this.#query(RELEASE, [row, owner]).catch(() => {});
      },
    };
  }

  watch(key: string, onHint: () => void): { close(): void } {
    return this.#hints.watch(this.#cipher.rowOf(key), onHint);
  }

  async close(): Promise<void> {
    await Promise.all([this.#hints.close(), this.#table.close()]);
  }

  #query<Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[],
  ): Promise<pg.QueryResult<Row>> {
    return this.#table.use((pool) => pool.query<Row>(text, [...values]));
  }
}

interface Row {
  readonly generation: string;
  readonly token: Buffer | null;
  /** By the clock of the database; null where PostgreSQL's calendar has no such time. */
  readonly age_ms: number | null;
}

/** `token` by this replica's clock, which may differ from that of the replica that obtained it. */
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
const MAX_CALENDAR_MS = 10_000 * 365 * 86_400_000;

/** Null: too long for PostgreSQL's calendar. */
function withinCalendar(ms: number): number | null {
  return Math.abs(ms) <= MAX_CALENDAR_MS ? ms : null;
}

const CHANNEL = 'tokenferry_tokens';
const MIN_RECONNECT_MS = 1_000;
const MAX_RECONNECT_MS = 30_000;

/**
 * Hints about new rows over LISTEN and NOTIFY: replicas follow in milliseconds where these work. Where they do not (a
 * transaction pooler, CockroachDB, a broken connection) nothing is lost, as replicas poll.
 */
class PostgresHints {
  readonly #connection: pg.ClientConfig;
  readonly #clock: Clock;
  readonly #watchers = new Map<string, Set<() => void>>();
  /** The connection that listens or is being made; null while there is none. */
  #client: pg.Client | null = null;
  #isListening = false;
  /** The driver is being loaded, before there is a connection. */
  #isLoading = false;
  #pauseMs = MIN_RECONNECT_MS;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(connection: pg.ClientConfig, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Notifies all replicas that `row` has a new token. Returns at once; a failed notification is dropped. */
  notify(pool: pg.Pool, row: string): void {
    pool.query('SELECT pg_notify($1, $2)', [CHANNEL, row]).catch(() => {});
  }

  watch(row: string, onHint: () => void): { close(): void } {
    const watchers = this.#watchers.get(row) ?? new Set();
    this.#watchers.set(row, watchers.add(onHint));
    if (this.#client === null && this.#timer === null && !this.#isLoading) void this.#listen();
    return { close: () => void watchers.delete(onHint) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    const closed = this.#client?.end().catch(() => {});
    // A connection that is still being made ends by its own timeout.
    if (this.#isListening) await closed;
  }

  async #listen(): Promise<void> {
    this.#isLoading = true;
    const { default: driver } = await import('pg');
    this.#isLoading = false;
    if (this.#isClosed) return;
    const client = new driver.Client(this.#connection);
    this.#client = client;
    // `end` follows every error, also that of a connection that was never made.
    client.on('error', () => {});
    client.on('end', () => this.#reconnect(client));
    client.on('notification', ({ payload }) => this.#hint(payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      this.#isListening = true;
      this.#pauseMs = MIN_RECONNECT_MS;
      // What was stored while the connection was down.
      for (const row of this.#watchers.keys()) this.#hint(row);
    } catch {
      await client.end().catch(() => {});
      this.#reconnect(client);
    }
  }

  #hint(row: string): void {
    for (const onHint of this.#watchers.get(row) ?? []) onHint();
  }

  #reconnect(client: pg.Client): void {
    if (this.#isClosed || this.#client !== client) return;
    this.#client = null;
    this.#isListening = false;
    this.#timer = this.#clock.schedule(() => {
      this.#timer = null;
      void this.#listen();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(MAX_RECONNECT_MS, 2 * this.#pauseMs);
  }
}
