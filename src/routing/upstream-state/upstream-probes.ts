import type { Clock, Timer } from '../../lib/clock.ts';
import { AttemptTimer } from '../../upstream/attempt-timer.ts';
import type { RoutedUpstream } from './routed-upstream.ts';

interface ProbeSettings {
  /** `probe.every` in milliseconds; 0 = never. */
  readonly everyMs: number;
  readonly clock: Clock;
}

/** A list of models takes a healthy upstream less. */
const LONGEST_ANSWER_MS = 10_000;

/**
 * Asks cooling upstreams for their models, which costs no tokens. An answer ends the pause, so that the next request is
 * the circuit's own probe; it proves nothing about generating, so it does not close the circuit.
 */
export class UpstreamProbes {
  readonly #upstreams: readonly RoutedUpstream[];
  readonly #settings: ProbeSettings;
  readonly #controller = new AbortController();
  readonly #asked = new Set<RoutedUpstream>();
  #timer: Timer | null = null;

  /** Starts at once. Upstreams under `sk: asis` have no credentials of their own and are not asked. */
  constructor(upstreams: readonly RoutedUpstream[], settings: ProbeSettings) {
    this.#upstreams = upstreams.filter(({ client }) => client.credentials.kind !== 'as_is');
    this.#settings = settings;
    this.#schedule();
  }

  /** Ends running questions. */
  close(): void {
    this.#timer?.cancel();
    this.#controller.abort(new Error('no more probes'));
  }

  #schedule(): void {
    const { everyMs, clock } = this.#settings;
    if (everyMs <= 0 || this.#controller.signal.aborted) return;
    this.#timer = clock.schedule(() => {
      for (const upstream of this.#upstreams) void this.#look(upstream);
      this.#schedule();
    }, everyMs);
  }

  async #look(upstream: RoutedUpstream): Promise<void> {
    if (upstream.circuit.remainingMs === 0 || this.#asked.has(upstream)) return;
    this.#asked.add(upstream);
    const isAlive = await this.#asksModels(upstream);
    this.#asked.delete(upstream);
    if (isAlive) upstream.circuit.endPause();
  }

  async #asksModels({ client }: RoutedUpstream): Promise<boolean> {
    const controller = new AbortController();
    const timer = new AttemptTimer((error) => controller.abort(error));
    try {
      const reply = await client.send({
        method: 'GET',
        path: '/models',
        query: '',
        model: '',
        clientHeaders: {},
        body: null,
        isJson: false,
        signal: AbortSignal.any([controller.signal, this.#controller.signal]),
        timer,
        headersTimeoutMs: LONGEST_ANSWER_MS,
        tokenWaitMs: LONGEST_ANSWER_MS,
        tokenWaitedMs: 0,
      });
      reply.body.destroy(new Error('the status was all that was asked for'));
      return reply.ok;
    } catch {
      return false;
    } finally {
      timer.clear();
    }
  }
}
