import type { Clock } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import { type ContentPolicy, RecordSelection } from './record-selection.ts';
import { RecordWriter, type RequestLogEvent } from './record-writer.ts';
import { appendRow, type ColumnValue } from './request-row.ts';
import {
  type PageRequest,
  type RequestFilter,
  type RequestPage,
  type StatsQuery,
  type StatsSum,
  StoreError,
} from './request-store.ts';
import { Retention } from './retention.ts';
import { WorkerStore } from './worker-store.ts';

export interface RequestLogSettings {
  readonly type: 'sqlite' | 'postgres' | 'none';
  /** The database file; for PostgreSQL a URL or a libpq keyword string. */
  readonly path: string;
  /** Rows that may wait for a slow or unavailable store. */
  readonly queueRows: number;
  /** How long a request is kept; 0: without limit. */
  readonly retentionMs: number;
  /** UTF-8 bytes of a body that are kept. */
  readonly maxBodyBytes: number;
  /** This and the following have the defaults of the configuration. */
  readonly content?: ContentPolicy | undefined;
  readonly keepHeaders?: readonly string[] | undefined;
  readonly include?: Partial<IncludeSettings> | undefined;
  /** Sources of regular expressions; matches in a body become `[redacted]`. */
  readonly redact?: readonly string[] | undefined;
}

interface IncludeSettings {
  readonly models: readonly string[];
  readonly clients: readonly string[];
  readonly paths: readonly string[];
  readonly sample: number;
}

interface RequestLogDeps {
  readonly clock: Clock;
  readonly secrets: SecretRegistry;
  readonly random: () => number;
  /** Called on changes of state, at most a few times a minute; must not throw. */
  readonly onEvent: (event: RequestLogEvent) => void;
}

/** Rows since the start: in the store, lost, waiting. */
interface RequestLogStats {
  readonly written: number;
  readonly dropped: number;
  readonly queued: number;
}

/** Writes records to a database and reads them. */
export interface RequestLog {
  /** Queues a batch. Never throws, never blocks; what a full queue drops is counted. */
  acceptRecords(records: readonly RequestRecord[]): void;
  stats(): RequestLogStats;
  /** Why records cannot be written now, for people; null when they can. */
  readonly problem: string | null;
  /** Every request that was accepted before, as far as the store is available; else rejects with `StoreError`. */
  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage>;
  /** Sums by steps of time, as `RequestStore.series`. */
  series(query: StatsQuery): Promise<readonly StatsSum[]>;
  /** Writes what waits and closes, within `maxMs` (5 s by default); then the rest is dropped. Never rejects. */
  close(maxMs?: number): Promise<void>;
}

/** The request log of these settings. Throws on invalid `redact` patterns, so that they fail at the start. */
export function createRequestLog(settings: RequestLogSettings, deps: RequestLogDeps): RequestLog {
  return settings.type === 'none' ? new NoRequestLog() : new StoredRequestLog(settings.type, settings, deps);
}

/** Of all waiting rows together; in addition to `queueRows`, because rows with bodies are large. */
const MAX_QUEUED_CHARS = 64 * 1024 * 1024;
const MAX_CLOSE_MS = 5_000;
/** Queries at once; one after the other they would take seconds. */
const MAX_QUERIES = 16;

class StoredRequestLog implements RequestLog {
  readonly #selection: RecordSelection;
  readonly #secrets: SecretRegistry;
  readonly #clock: Clock;
  readonly #store: WorkerStore;
  /** A thread of its own, which starts with the first query: inserts never wait for a search. */
  readonly #reader: WorkerStore;
  /** Queries without a result. */
  #queries = 0;
  readonly #writer: RecordWriter;
  readonly #retention: Retention;
  #isClosed = false;

  constructor(type: 'sqlite' | 'postgres', settings: RequestLogSettings, deps: RequestLogDeps) {
    const redact = settings.redact ?? [];
    for (const source of redact) new RegExp(source, 'g');
    this.#selection = new RecordSelection(selectionOf(settings), deps.random);
    this.#secrets = deps.secrets;
    this.#clock = deps.clock;
    const { path, maxBodyBytes } = settings;
    this.#store = new WorkerStore({ type, path, maxBodyBytes, redact });
    this.#reader = new WorkerStore({ type, path, maxBodyBytes, redact });
    this.#writer = new RecordWriter({
      store: this.#store,
      clock: deps.clock,
      maxRows: settings.queueRows,
      maxChars: MAX_QUEUED_CHARS,
      onEvent: deps.onEvent,
    });
    this.#retention = new Retention({
      store: this.#store,
      clock: deps.clock,
      retentionMs: settings.retentionMs,
    });
    this.#writer.open();
    this.#retention.start();
  }

  acceptRecords(records: readonly RequestRecord[]): void {
    if (this.#isClosed) {
      this.#writer.drop(records.length);
      return;
    }
    const room = this.#writer.room;
    const values: ColumnValue[] = [];
    let rows = 0;
    let dropped = 0;
    for (const record of records) {
      const kept = this.#selection.keep(record);
      if (kept === null) continue;
      if (rows >= room) {
        dropped += 1;
        continue;
      }
      appendRow(values, kept);
      rows += 1;
    }
    if (dropped > 0) this.#writer.drop(dropped);
    if (rows > 0) this.#writer.push({ rows, values: this.#encode(values) });
  }

  /** Redacts secrets in all columns, with any data of clients and upstreams. */
  #encode(values: readonly ColumnValue[]): string {
    const text = JSON.stringify(values);
    if (this.#secrets.scrub(text) === text) return text.slice(1, -1);
    // Value by value: a secret of digits may also occur in a number, and the text must stay valid JSON.
    const clean = values.map((value) => (typeof value === 'string' ? this.#secrets.scrub(value) : value));
    return JSON.stringify(clean).slice(1, -1);
  }

  stats(): RequestLogStats {
    return this.#writer.counts;
  }

  get problem(): string | null {
    return this.#writer.problem;
  }

  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage> {
    return this.#query((reader) => reader.recent(filter, page));
  }

  series(query: StatsQuery): Promise<readonly StatsSum[]> {
    return this.#query((reader) => reader.series(query));
  }

  async #query<Result>(run: (reader: WorkerStore) => Promise<Result>): Promise<Result> {
    if (this.#queries >= MAX_QUERIES)
      throw new StoreError('unavailable', 'BUSY', 'Too many searches of the request log at once.');
    this.#queries += 1;
    const reader = this.#reader;
    try {
      return await reader.hold(async () => {
        await this.#writer.hurry();
        return run(reader);
      });
    } finally {
      this.#queries -= 1;
    }
  }

  async close(maxMs = MAX_CLOSE_MS): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#retention.stop();
    const bound = new AbortController();
    const timer = this.#clock.schedule(() => bound.abort(), maxMs);
    const expired = new Promise<void>((resolve) => bound.signal.addEventListener('abort', () => resolve()));
    try {
      await this.#store.hold(() => this.#writer.flush(bound.signal));
      this.#writer.stop();
      await Promise.race([Promise.all([this.#store.close(), this.#reader.close()]), expired]);
    } finally {
      timer.cancel();
      // Not awaited: a thread that waits for an unresponsive disk cannot be ended.
      if (bound.signal.aborted) void Promise.all([this.#store.terminate(), this.#reader.terminate()]);
    }
  }
}

function selectionOf(settings: RequestLogSettings): ConstructorParameters<typeof RecordSelection>[0] {
  const { include } = settings;
  return {
    content: settings.content ?? 'none',
    maxBodyBytes: settings.maxBodyBytes,
    keepHeaders: settings.keepHeaders ?? ['user-agent', 'x-request-id'],
    includeModels: include?.models ?? ['*'],
    includeClients: include?.clients ?? ['*'],
    includePaths: include?.paths ?? ['*'],
    sample: include?.sample ?? 1,
  };
}

/** `dbtype: none`: records are discarded, and not counted as lost. */
class NoRequestLog implements RequestLog {
  readonly problem = null;

  acceptRecords(): void {}

  stats(): RequestLogStats {
    return { written: 0, dropped: 0, queued: 0 };
  }

  async recent(): Promise<RequestPage> {
    return { requests: [], next: null };
  }

  async series(): Promise<readonly StatsSum[]> {
    return [];
  }

  async close(): Promise<void> {}
}
