import type { PageRequest, RequestFilter, RequestPage, StoredRequest } from './request-store.ts';
import { openSqliteReader } from './sqlite/sqlite-reader.ts';

/** Requests for a reader that shows them and continues with those written meanwhile, such as the `log` command. */
export interface RequestFollower {
  /** The newest requests, newest first; `news` starts here. */
  newest(filter: RequestFilter, limit: number): Promise<readonly StoredRequest[]>;
  /** The requests written since the last call, oldest first. */
  news(): Promise<readonly StoredRequest[]>;
  close(): Promise<void>;
}

/** A store without an order of writing. */
interface Pages {
  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage>;
  close(): Promise<void>;
}

const MAX_PER_CALL = 1_000;
/** A request is written when it is finished: one that took longer than this is not among the news. */
const MAX_REQUEST_MS = 15 * 60_000;

/** Follows a SQLite file in the order of writing. Throws `StoreError` when it cannot be opened. */
export function followSqlite(path: string): RequestFollower {
  const reader = openSqliteReader(path);
  let position = 0;
  return {
    newest: async (filter, limit) => {
      // Before the page: requests written in between are shown twice rather than never.
      position = reader.lastPosition();
      return (await reader.recent(filter, { limit })).requests;
    },
    news: async () => {
      const found = reader.writtenAfter(position, MAX_PER_CALL);
      position = found.position;
      return found.requests;
    },
    close: async () => reader.close(),
  };
}

/** Follows a PostgreSQL database. Its calls reject with `StoreError`. */
export async function followPostgres(address: string, nowMs: () => number): Promise<RequestFollower> {
  const { PostgresDatabase } = await import('./postgres/postgres-database.ts');
  return new PageFollower(new PostgresDatabase({ address, redact: (body) => body, isReader: true }), nowMs);
}

/** Follows a store that has the start times of requests but not the order in which they were written. */
export class PageFollower implements RequestFollower {
  readonly #pages: Pages;
  readonly #nowMs: () => number;
  /** Requests that were returned or existed before, with the time they began. */
  readonly #seen = new Map<string, number>();

  constructor(pages: Pages, nowMs: () => number) {
    this.#pages = pages;
    this.#nowMs = nowMs;
  }

  async newest(filter: RequestFilter, limit: number): Promise<readonly StoredRequest[]> {
    await this.news();
    const { requests } = await this.#pages.recent(filter, { limit });
    for (const request of requests) this.#isNew(request);
    return requests;
  }

  async news(): Promise<readonly StoredRequest[]> {
    const sinceMs = this.#nowMs() - MAX_REQUEST_MS;
    for (const [key, createdAtMs] of this.#seen) if (createdAtMs < sinceMs) this.#seen.delete(key);
    const { requests } = await this.#pages.recent({ sinceMs }, { limit: MAX_PER_CALL });
    return requests.filter((request) => this.#isNew(request)).toReversed();
  }

  close(): Promise<void> {
    return this.#pages.close();
  }

  /** True the first time it is called for a request. */
  #isNew({ id, createdAtMs }: StoredRequest): boolean {
    const key = `${createdAtMs} ${id}`;
    if (this.#seen.has(key)) return false;
    this.#seen.set(key, createdAtMs);
    return true;
  }
}
