import type { RequestRecord } from '../lib/request-record.ts';

/** A request as the store gives it back: the record less what only metrics need. */
export type StoredRequest = Omit<RequestRecord, 'isKnownModel' | 'overheadMs' | 'isUsageEstimated'>;

/** Which requests to list; every field that is present must hold. */
export interface RequestFilter {
  /** Inclusive, milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  /** Exclusive, milliseconds since 1970. */
  readonly untilMs?: number | undefined;
  /** True: everything but `ok`. */
  readonly onlyFailed?: boolean | undefined;
  readonly id?: string | undefined;
  readonly outcome?: RequestRecord['outcome'] | undefined;
  readonly client?: string | undefined;
  readonly model?: string | undefined;
  readonly upstream?: string | undefined;
  readonly path?: string | undefined;
  readonly status?: number | undefined;
}

/** Where a page begins: strictly older than this request. Stable while new requests arrive, as an offset is not. */
interface PageCursor {
  readonly createdAtMs: number;
  readonly id: string;
}

export interface PageRequest {
  /** 1 to 1000; more is cut. */
  readonly limit: number;
  readonly after?: PageCursor | undefined;
}

export interface RequestPage {
  /** Newest first. */
  readonly requests: readonly StoredRequest[];
  /** Null: this was the last page. */
  readonly next: PageCursor | null;
}

/**
 * Rows on their way to a store: the values of `COLUMNS`, row after row, as the inside of one JSON array. One
 * string crosses to a worker as a plain copy and costs less in all than cloning objects (measured, per row of
 * 27 columns, both threads and the insert: objects 12.8 µs, arrays 11.1 µs, this 9 µs).
 */
export interface RowBatch {
  readonly rows: number;
  readonly values: string;
}

/** How much of a batch is now in the store; `refused` rows can never be and were left out. */
export interface InsertResult {
  readonly written: number;
  readonly refused: number;
}

/**
 * A place for records. Every method rejects with `StoreError` and nothing else; a batch is written whole or not
 * at all. `test/request-log/store-contract.ts` is what an implementation promises.
 */
export interface RequestStore {
  insert(batch: RowBatch): Promise<InsertResult>;
  /** Deletes up to `limit` of the oldest requests from before `createdAtMs`; how many it were. */
  deleteBefore(createdAtMs: number, limit: number): Promise<number>;
  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage>;
  /** The newest request of that id: clients may choose the id and may repeat it. */
  byId(id: string): Promise<StoredRequest | null>;
  /** Idempotent; waits for what is under way. */
  close(): Promise<void>;
}

/**
 * `unavailable`: locked, full, read-only, away; worth asking again soon. `unusable`: a file that is corrupt, of
 * a newer version or holds another's table; nothing but a person changes that.
 */
export type StoreFault = 'unavailable' | 'unusable';

/** Why a store did not do what it was asked. The message names the file and what to do about it. */
export class StoreError extends Error {
  readonly fault: StoreFault;
  /** The store's own code, such as `SQLITE_FULL`. */
  readonly code: string;

  constructor(fault: StoreFault, code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreError';
    this.fault = fault;
    this.code = code;
  }
}
