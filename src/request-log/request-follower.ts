import type { PageRequest, RequestFilter, RequestPage, StoredRequest } from './request-store.ts';

/** Requests for a reader that shows them and then goes on with what is written meanwhile. */
export interface RequestFollower {
  /** The newest requests, newest first; what is written from now on is news. */
  newest(filter: RequestFilter, limit: number): Promise<readonly StoredRequest[]>;
  /** What was written since the last call, oldest first. */
  news(): Promise<readonly StoredRequest[]>;
  close(): Promise<void>;
}

/** A store without an order of writing. */
interface Pages {
  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage>;
  close(): Promise<void>;
}

const MOST_PER_LOOK = 1_000;
/** A request is written when it ends: one that began longer ago than this and ends now is not seen. */
const LONGEST_REQUEST_MS = 15 * 60_000;

/** Follows a store that knows when requests began but not in which order they were written. */
export class PageFollower implements RequestFollower {
  readonly #pages: Pages;
  readonly #nowMs: () => number;
  /** Requests that were shown or were there before, with the time they began. */
  readonly #seen = new Map<string, number>();

  constructor(pages: Pages, nowMs: () => number) {
    this.#pages = pages;
    this.#nowMs = nowMs;
  }

  async newest(filter: RequestFilter, limit: number): Promise<readonly StoredRequest[]> {
    await this.news();
    const { requests } = await this.#pages.recent(filter, { limit });
    for (const request of requests) this.#note(request);
    return requests;
  }

  async news(): Promise<readonly StoredRequest[]> {
    const sinceMs = this.#nowMs() - LONGEST_REQUEST_MS;
    for (const [key, createdAtMs] of this.#seen) if (createdAtMs < sinceMs) this.#seen.delete(key);
    const { requests } = await this.#pages.recent({ sinceMs }, { limit: MOST_PER_LOOK });
    return requests.filter((request) => this.#note(request)).toReversed();
  }

  close(): Promise<void> {
    return this.#pages.close();
  }

  /** False: it was noted before. */
  #note({ id, createdAtMs }: StoredRequest): boolean {
    const key = `${createdAtMs} ${id}`;
    if (this.#seen.has(key)) return false;
    this.#seen.set(key, createdAtMs);
    return true;
  }
}
