import type pg from 'pg';
import type { Clock, Timer } from '../../lib/clock.ts';

const CHANNEL = 'tokenferry_tokens';
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Hints about new rows over LISTEN and NOTIFY: they make replicas follow in milliseconds where they work. Where they
 * do not (a transaction pooler, CockroachDB, a connection that is down) nothing is lost, as those who wait poll.
 */
export class PostgresHints {
  readonly #connection: pg.ClientConfig;
  readonly #clock: Clock;
  readonly #watchers = new Map<string, Set<() => void>>();
  /** The connection that listens, or is being made; null while there is none. */
  #client: pg.Client | null = null;
  #isListening = false;
  /** The driver is being loaded, before there is a connection. */
  #isBeginning = false;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(connection: pg.ClientConfig, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Tells all replicas that `row` has a new token. Returns at once; a hint that cannot be given is none. */
  tell(pool: pg.Pool, row: string): void {
    pool.query('SELECT pg_notify($1, $2)', [CHANNEL, row]).catch(() => {});
  }

  watch(row: string, onHint: () => void): { close(): void } {
    const watchers = this.#watchers.get(row) ?? new Set();
    this.#watchers.set(row, watchers.add(onHint));
    if (this.#client === null && this.#timer === null && !this.#isBeginning) void this.#listen();
    return { close: () => void watchers.delete(onHint) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    const ended = this.#client?.end().catch(() => {});
    // A connection that is still being made ends by its own timeout; nobody waits for that.
    if (this.#isListening) await ended;
  }

  async #listen(): Promise<void> {
    this.#isBeginning = true;
    const { default: driver } = await import('pg');
    this.#isBeginning = false;
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
      this.#pauseMs = FIRST_PAUSE_MS;
      // What was stored while nobody listened.
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
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * this.#pauseMs);
  }
}
