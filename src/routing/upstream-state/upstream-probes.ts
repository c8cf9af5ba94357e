import type { Clock, Timer } from '../../lib/clock.ts';
import type { RoutedUpstream } from './routed-upstream.ts';

interface ProbeSettings {
  /** `probe.every` in milliseconds; 0 = never. */
  readonly everyMs: number;
  readonly clock: Clock;
}

/** A healthy upstream lists its models faster. */
const PROBE_TIMEOUT_MS = 10_000;

/**
 * Sends `GET /models` to cooling upstreams, which costs no tokens. A 2xx response ends the pause, so that the next request
 * is the circuit's own probe; it does not close the circuit, since it proves nothing about generating.
 */
export class UpstreamProbes {
  readonly #upstreams: readonly RoutedUpstream[];
  readonly #settings: ProbeSettings;
  readonly #controller = new AbortController();
  readonly #probed = new Set<RoutedUpstream>();
  #timer: Timer | null = null;

  /** Starts at once. Upstreams under `sk: asis` have no credentials of their own and are not probed. */
  constructor(upstreams: readonly RoutedUpstream[], settings: ProbeSettings) {
    this.#upstreams = upstreams.filter(({ client }) => client.credentials.kind !== 'as_is');
    this.#settings = settings;
    this.#schedule();
  }

  /** Aborts running probes. */
  close(): void {
    this.#timer?.cancel();
    this.#controller.abort(new Error('no more probes'));
  }

  #schedule(): void {
    const { everyMs, clock } = this.#settings;
    if (everyMs <= 0 || this.#controller.signal.aborted) return;
    this.#timer = clock.schedule(() => {
      for (const upstream of this.#upstreams) void this.#probe(upstream);
      this.#schedule();
    }, everyMs);
  }

  async #probe(upstream: RoutedUpstream): Promise<void> {
    if (upstream.circuit.remainingMs === 0 || this.#probed.has(upstream)) return;
    this.#probed.add(upstream);
    const isResponding = await this.#isResponding(upstream);
    this.#probed.delete(upstream);
    if (isResponding) upstream.circuit.endPause();
  }

  async #isResponding({ client }: RoutedUpstream): Promise<boolean> {
    try {
      const response = await client.fetchModels(PROBE_TIMEOUT_MS, this.#controller.signal);
      response.body.destroy(new Error('only the status is needed'));
      return true;
    } catch {
      return false;
    }
  }
}
