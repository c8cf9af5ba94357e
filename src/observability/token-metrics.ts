import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** One token source as it is now; read when metrics are. */
export interface TokenGauge {
  readonly source: string;
  /** Null: there is no token. */
  readonly remainingSeconds: number | null;
  /** A `TokenStateName`. */
  readonly state: string;
  readonly waiters?: number | undefined;
  readonly consecutiveFailures?: number | undefined;
  /** Leases given since the start, by the state of the token; counted in the manager because it is once a request. */
  readonly served?:
    | { readonly fresh: number; readonly renewing: number; readonly degraded: number }
    | undefined;
}

const WAIT_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The metrics of tokens: events are counted when they happen, states are read when the text is made. */
export class TokenMetrics {
  readonly #acquired: Counter<'source' | 'trigger' | 'outcome'>;
  readonly #acquireSeconds: Histogram<'source'>;
  readonly #waitSeconds: Histogram<'source'>;
  readonly #rejections: Counter<'source' | 'status'>;
  readonly #replays: Counter<'source' | 'outcome'>;
  readonly #sameReturned: Counter<'source'>;
  readonly #earlyRejections: Counter<'source'>;
  readonly #clockJumps: Counter;
  readonly #skew: Gauge<'source'>;

  constructor(registry: Registry, prefix: string, read: () => readonly TokenGauge[]) {
    const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
      new Counter({ name: prefix + name, help, labelNames, registers: [registry] });
    const histogram = (name: string, help: string) =>
      new Histogram({
        name: prefix + name,
        help,
        labelNames: ['source'],
        buckets: WAIT_BUCKETS,
        registers: [registry],
      });
    this.#acquired = counter('token_acquire_total', 'Token requests to an issuer.', [
      'source',
      'trigger',
      'outcome',
    ]);
    this.#acquireSeconds = histogram('token_acquire_seconds', 'Time an issuer took to respond.');
    this.#waitSeconds = histogram(
      'token_get_wait_seconds',
      'Time requests waited because no token was usable.',
    );
    this.#rejections = counter('token_rejections_total', 'Tokens that an upstream rejected.', [
      'source',
      'status',
    ]);
    this.#replays = counter('token_replays_total', 'Requests repeated with a renewed token.', [
      'source',
      'outcome',
    ]);
    this.#sameReturned = counter('token_same_returned_total', 'Renewals that gave the token in use.', [
      'source',
    ]);
    this.#earlyRejections = counter(
      'token_early_rejections_total',
      'Tokens rejected well before their expiry.',
      ['source'],
    );
    this.#clockJumps = counter('clock_jump_total', 'Jumps of the wall clock that were noticed.', []);
    this.#skew = new Gauge({
      name: `${prefix}issuer_clock_skew_seconds`,
      help: "The issuer's clock minus ours.",
      labelNames: ['source'],
      registers: [registry],
    });
    addGauges(registry, prefix, read);
  }

  /** An acquisition finished. `trigger`: start, demand, renewal, rejected, manual; `outcome`: `ok` or the kind of failure. */
  acquired(source: string, trigger: string, outcome: string, seconds: number): void {
    this.#acquired.inc({ source, trigger, outcome });
    this.#acquireSeconds.observe({ source }, seconds);
  }

  /** A request waited because no token was usable. */
  waited(source: string, seconds: number): void {
    this.#waitSeconds.observe({ source }, seconds);
  }

  /** An upstream rejected a token; `status` null: its response with the rejection had no status of its own. */
  rejected(source: string, status: number | null): void {
    this.#rejections.inc({ source, status: status === null ? 'none' : String(status) });
  }

  /** A request was repeated after a rejection. */
  replayed(source: string, outcome: string): void {
    this.#replays.inc({ source, outcome });
  }

  /** A renewal gave the token in use. */
  sameReturned(source: string): void {
    this.#sameReturned.inc({ source });
  }

  /** A token was rejected well before its expiry. */
  rejectedEarly(source: string): void {
    this.#earlyRejections.inc({ source });
  }

  /** The wall clock jumped. */
  clockJumped(): void {
    this.#clockJumps.inc();
  }

  /** The issuer's clock minus ours, as its last response showed it. */
  issuerSkew(source: string, seconds: number): void {
    this.#skew.set({ source }, seconds);
  }
}

/** Each reads the token managers again, so that a source that a reload removed leaves no last value. */
function addGauges(registry: Registry, prefix: string, read: () => readonly TokenGauge[]): void {
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    set: (gauge: Gauge<Label>, now: TokenGauge) => void,
  ) =>
    new Gauge<Label>({
      name: prefix + name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const now of read()) set(this, now);
      },
    });
  gauge(
    'token_remaining_seconds',
    'Remaining life of the current token; 0: there is none.',
    ['source'],
    (metric, now) => metric.set({ source: now.source }, Math.max(0, now.remainingSeconds ?? 0)),
  );
  gauge(
    'token_state',
    'The state of a token source: 1 for the current one.',
    ['source', 'state'],
    (metric, now) => metric.set({ source: now.source, state: now.state }, 1),
  );
  gauge('token_waiters', 'Requests that wait for a token.', ['source'], (metric, now) =>
    metric.set({ source: now.source }, now.waiters ?? 0),
  );
  gauge('token_consecutive_failures', 'Failed acquisitions in a row.', ['source'], (metric, now) =>
    metric.set({ source: now.source }, now.consecutiveFailures ?? 0),
  );
  new Counter({
    name: `${prefix}token_served_total`,
    help: 'Leases given to requests, by the state of the token.',
    labelNames: ['source', 'mode'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { source, served } of read()) {
        for (const mode of ['fresh', 'renewing', 'degraded'] as const) {
          this.inc({ source, mode }, served?.[mode] ?? 0);
        }
      }
    },
  });
}
