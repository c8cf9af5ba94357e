import type { Clock, Timer } from '../../lib/clock.ts';
import type { RequestRecord } from '../../lib/request-record.ts';
import type { AdminEvents, RecentRequests } from '../api-types.ts';
import { requestOfRecord } from '../views/request-view.ts';
import type { EventReader } from './event-reader.ts';
import { RecentTotals } from './recent-totals.ts';

interface LiveFeedOptions {
  readonly clock: Clock;
  /** Passes the records of finished requests to `sink` until the returned function is called. */
  follow(sink: LiveFeed): () => void;
  inFlight(): number;
}

/** Without a look for so long, records are no longer followed. */
const IDLE_MS = 10 * 60_000;
const TICK_MS = 5_000;
/** For a reader that shows them; the others are counted. */
const MAX_REQUESTS_PER_SECOND = 50;
const MAX_READERS = 50;
/** Names come from the configuration; reloads may add others. */
const MAX_UPSTREAMS = 2_000;

/**
 * What is happening right now, for those who look: totals of the last minutes, and events. Follows the records only while
 * somebody looks, so that requests cost nothing more otherwise.
 */
export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #readers = new Set<EventReader>();
  /** Of requests that no upstream was called for. */
  #elsewhere: RecentTotals;
  /** A request is counted once; the sums of all are added up when somebody asks. */
  readonly #byUpstream = new Map<string, RecentTotals>();
  #unfollow: (() => void) | null = null;
  #lastUseMonoMs = 0;
  #idleTimer: Timer | null = null;
  #tickTimer: Timer | null = null;
  #second = 0;
  #sentInSecond = 0;
  #omitted = 0;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#elsewhere = new RecentTotals(options.clock);
  }

  /** Somebody looks. */
  use(): void {
    const { clock, follow } = this.#options;
    this.#lastUseMonoMs = clock.monoMs();
    if (this.#unfollow !== null) return;
    this.#elsewhere = new RecentTotals(clock);
    this.#byUpstream.clear();
    this.#unfollow = follow(this);
    this.#watchIdle();
  }

  acceptRecords(records: readonly RequestRecord[]): void {
    let events = '';
    for (const record of records) {
      // Probes and metrics are no requests of applications.
      if (!record.path.startsWith('/v1/')) continue;
      this.#totalsOf(record.upstream ?? NO_UPSTREAM).add(record);
      if (this.#readers.size > 0 && this.#mayShow()) events += eventText('request', requestOfRecord(record));
    }
    // One text and one write a reader for a whole batch: most of the cost of an event is the write.
    if (events !== '') for (const reader of this.#readers) reader.write(events);
  }

  /** Totals of all requests of the last `seconds`. */
  recent(seconds: number): RecentRequests {
    return this.#elsewhere.over(seconds, this.#byUpstream.values());
  }

  /** Totals of the requests whose last attempt was at `upstream`. */
  recentAt(upstream: string, seconds: number): RecentRequests {
    return (
      this.#byUpstream.get(upstream)?.over(seconds) ?? {
        ...NOTHING,
        window_ms: this.#elsewhere.over(seconds).window_ms,
      }
    );
  }

  /** False: there are too many readers already. */
  add(reader: EventReader): boolean {
    if (this.#readers.size >= MAX_READERS) return false;
    this.#readers.add(reader);
    reader.onEnd = () => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) {
        this.#tickTimer?.cancel();
        this.#tickTimer = null;
      }
    };
    reader.send('tick', this.#tick(0));
    this.#tickTimer ??= this.#scheduleTick();
    return true;
  }

  send<Name extends keyof AdminEvents>(name: Name, data: AdminEvents[Name]): void {
    if (this.#readers.size === 0) return;
    const event = eventText(name, data);
    for (const reader of this.#readers) reader.write(event);
  }

  /** Ends all readers. */
  close(): void {
    for (const reader of this.#readers) reader.end();
    this.#tickTimer?.cancel();
    this.#idleTimer?.cancel();
    this.#unfollow?.();
    this.#unfollow = null;
  }

  #totalsOf(upstream: string): RecentTotals {
    const known = this.#byUpstream.get(upstream);
    if (known !== undefined) return known;
    if (upstream === NO_UPSTREAM || this.#byUpstream.size >= MAX_UPSTREAMS) return this.#elsewhere;
    const totals = new RecentTotals(this.#options.clock);
    this.#byUpstream.set(upstream, totals);
    return totals;
  }

  #mayShow(): boolean {
    const second = Math.floor(this.#options.clock.monoMs() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#sentInSecond = 0;
    }
    if (this.#sentInSecond >= MAX_REQUESTS_PER_SECOND) {
      this.#omitted += 1;
      return false;
    }
    this.#sentInSecond += 1;
    return true;
  }

  #scheduleTick(): Timer {
    return this.#options.clock.schedule(() => {
      this.send('tick', this.#tick(this.#omitted));
      this.#omitted = 0;
      this.#tickTimer = this.#scheduleTick();
    }, TICK_MS);
  }

  #tick(omitted: number): AdminEvents['tick'] {
    const { clock, inFlight } = this.#options;
    return {
      now_ms: clock.wallMs(),
      in_flight: inFlight(),
      recent: this.recent(60),
      omitted_requests: omitted,
    };
  }

  #watchIdle(): void {
    const { clock } = this.#options;
    this.#idleTimer = clock.schedule(() => {
      const isIdle = this.#readers.size === 0 && clock.monoMs() - this.#lastUseMonoMs >= IDLE_MS;
      if (!isIdle) {
        this.#watchIdle();
        return;
      }
      this.#unfollow?.();
      this.#unfollow = null;
    }, IDLE_MS);
  }
}

/** Not the name of an upstream. */
const NO_UPSTREAM = '';

function eventText<Name extends keyof AdminEvents>(name: Name, data: AdminEvents[Name]): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

const NOTHING: Omit<RecentRequests, 'window_ms'> = {
  requests: 0,
  errors: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  first_token_ms: null,
  elapsed_ms: null,
  first_token_p50_ms: null,
  first_token_p95_ms: null,
  elapsed_p50_ms: null,
  elapsed_p95_ms: null,
};
