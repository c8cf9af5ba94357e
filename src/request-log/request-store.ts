import type { RequestRecord } from '../lib/request-record.ts';

/** A request as the store returns it: the record without what only metrics need. */
export type StoredRequest = Omit<RequestRecord, 'isKnownModel' | 'overheadMs' | 'isUsageEstimated'>;

/** Which requests to list; every field that is present must hold. */
export interface RequestFilter {
  /** Inclusive, milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  /** Exclusive, milliseconds since 1970. */
  readonly untilMs?: number | undefined;
  /** True: everything but `ok`. */
  readonly onlyFailed?: boolean | undefined;
  /** Its id, the client's own, or that of its trace. Clients may choose the id and may repeat it. */
  readonly id?: string | undefined;
  readonly outcome?: RequestRecord['outcome'] | undefined;
  readonly client?: string | undefined;
  readonly model?: string | undefined;
  readonly upstream?: string | undefined;
  readonly path?: string | undefined;
  readonly status?: number | undefined;
  /** In the id, path, model, client, upstream, error or user agent, in any case of ASCII letters. */
  readonly text?: string | undefined;
}

/** A page contains requests older than this one. Unlike an offset it is stable while new requests arrive. */
interface PageCursor {
  readonly createdAtMs: number;
  readonly id: string;
}

export interface PageRequest {
  /** 1 to 1000; limited to that. */
  readonly limit: number;
  readonly after?: PageCursor | undefined;
  /** True: without headers and bodies. */
  readonly isBrief?: boolean | undefined;
  /** How long a search may take, in milliseconds; then the page has what was found so far. Unbounded unless given. */
  readonly budgetMs?: number | undefined;
}

export interface RequestPage {
  /** Newest first. */
  readonly requests: readonly StoredRequest[];
  /** Null: this was the last page. */
  readonly next: PageCursor | null;
  /** The budget was used up: older requests were not searched, and `next` continues there. */
  readonly searchedUntilMs?: number;
}

/** What to sum. */
export interface StatsQuery {
  /** Both multiples of the step, which is a minute or more. */
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly stepMs: number;
  readonly by: 'none' | 'client' | 'model' | 'upstream';
  readonly client?: string | undefined;
  readonly model?: string | undefined;
  readonly upstream?: string | undefined;
}

/** Sums of one step of time for one client, model or upstream. */
export interface StatsSum {
  readonly atMs: number;
  /** Empty: requests without one, and all of them when `by` is `none`. */
  readonly key: string;
  readonly requests: number;
  readonly errors: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Requests that had content, and the sum of their times to it. */
  readonly firstTokens: number;
  readonly firstTokenMs: number;
  readonly elapsedMs: number;
}

/**
 * Rows for a store: the values of `COLUMNS`, row after row, as the inside of one JSON array. One string is copied to a
 * worker and costs less than structured clones (measured per row of 27 columns, both threads and the insert: objects
 * 12.8 µs, arrays 11.1 µs, this 9 µs).
 */
export interface RowBatch {
  readonly rows: number;
  readonly values: string;
}

/** How much of a batch is now in the store; `refused` rows can never be written and were left out. */
export interface InsertResult {
  readonly written: number;
  readonly refused: number;
}

/**
 * A database for records. Methods reject with `StoreError` only; a batch is written completely or not at all.
 * `test/request-log/store-contract.ts` tests every implementation.
 */
export interface RequestStore {
  insert(batch: RowBatch): Promise<InsertResult>;
  /** Deletes up to `limit` of the oldest requests before `createdAtMs` and returns how many. */
  deleteBefore(createdAtMs: number, limit: number): Promise<number>;
  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage>;
  /** Sums by steps of time, ordered by time. Minutes are kept for two days, hours for 400. */
  series(query: StatsQuery): Promise<readonly StatsSum[]>;
  /** Idempotent; waits for running calls. */
  close(): Promise<void>;
}

/**
 * `unavailable`: locked, full, read-only, unreachable; a retry may succeed soon. `unusable`: corrupt, of a newer version,
 * or another program's table; a person has to act.
 */
export type StoreFault = 'unavailable' | 'unusable';

/** Why a call of a store failed. The message names the database and what to do. */
export class StoreError extends Error {
  readonly fault: StoreFault;
  /** The database's own code, such as `SQLITE_FULL`. */
  readonly code: string;

  constructor(fault: StoreFault, code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreError';
    this.fault = fault;
    this.code = code;
  }
}
