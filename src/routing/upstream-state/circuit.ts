import type { Clock } from '../../lib/clock.ts';
import type { CountsAgainst } from '../../lib/errors/ferry-error.ts';

interface CircuitSettings {
  /** How many failures in a row open the circuit. */
  readonly failures: number;
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
}

export type CircuitState = 'closed' | 'cooling' | 'probing';

/**
 * The health of one upstream. `failures` in a row, or one that shows that the upstream is down, open it for a pause
 * that doubles up to `maxPauseMs`; when the pause is over one request at a time may try (half open).
 */
export class Circuit {
  readonly #settings: CircuitSettings;
  readonly #clock: Clock;
  readonly #onChange: (state: CircuitState) => void;
  /** Closed, and nothing has failed since the last success: spares requests a look at it. */
  isFaultless = true;
  #failuresInRow = 0;
  /** Zero while closed; doubles with each pause. */
  #pauseMs = 0;
  #coolsUntilMonoMs = 0;
  #isProbing = false;
  /** The running pause ended early by `endPause`. */
  #isEndedEarly = false;
  /** A request failed after such an end since the circuit opened: `endPause` is ignored until a success. */
  #isEndPauseIgnored = false;

  constructor(settings: CircuitSettings, clock: Clock, onChange: (state: CircuitState) => void = () => {}) {
    this.#settings = settings;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get state(): CircuitState {
    if (this.#pauseMs === 0) return 'closed';
    return this.#isProbing ? 'probing' : 'cooling';
  }

  get failuresInRow(): number {
    return this.#failuresInRow;
  }

  /** Milliseconds until the next probe is due; 0 when closed or due. */
  get remainingMs(): number {
    return this.#pauseMs === 0 ? 0 : Math.max(0, this.#coolsUntilMonoMs - this.#clock.monoMs());
  }

  /** True: a request may go here as to a healthy upstream, or as the one probe of a pause that is over. */
  isOpenForRequests(): boolean {
    return this.#pauseMs === 0 || (!this.#isProbing && this.remainingMs === 0);
  }

  /**
   * Called when an attempt begins. True: it is the probe, and its `succeed` or `fail` decides; attempts beside it (all
   * requests try a lone upstream) can close the circuit but not keep it open.
   */
  begin(): boolean {
    if (this.#pauseMs === 0 || this.#isProbing || this.remainingMs > 0) return false;
    this.#isProbing = true;
    return true;
  }

  /** The upstream responded to a check that costs no request: the pause is over, and the next request is the probe. */
  endPause(): void {
    if (this.remainingMs === 0 || this.#isEndPauseIgnored) return;
    this.#coolsUntilMonoMs = this.#clock.monoMs();
    this.#isEndedEarly = true;
  }

  succeed(): void {
    this.isFaultless = true;
    this.#failuresInRow = 0;
    this.#isProbing = false;
    this.#isEndedEarly = false;
    this.#isEndPauseIgnored = false;
    if (this.#pauseMs === 0) return;
    this.#pauseMs = 0;
    this.#onChange('closed');
  }

  /** `counts` is `no` when the failure is not the upstream's: the client disconnected, or its request was invalid. */
  fail(counts: CountsAgainst, isProbe: boolean): void {
    if (isProbe) this.#isProbing = false;
    if (counts === 'no') return;
    this.isFaultless = false;
    this.#failuresInRow += 1;
    const isOpening = isProbe || counts === 'cools_at_once' || this.#failuresInRow >= this.#settings.failures;
    if (!isOpening) return;
    // Requests that were running when it opened fail too, and do not prolong the pause.
    if (this.#pauseMs > 0 && !isProbe) return;
    this.#isEndPauseIgnored ||= this.#isEndedEarly;
    this.#isEndedEarly = false;
    const doubled = this.#pauseMs === 0 ? this.#settings.firstPauseMs : this.#pauseMs * 2;
    this.#pauseMs = Math.min(doubled, this.#settings.maxPauseMs);
    this.#coolsUntilMonoMs = this.#clock.monoMs() + this.#pauseMs;
    this.#onChange('cooling');
  }
}
