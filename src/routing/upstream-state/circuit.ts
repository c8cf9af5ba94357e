import type { Clock } from '../../lib/clock.ts';
import type { CountsAgainst } from '../../lib/errors/ferry-error.ts';

interface CircuitSettings {
  /** How many failures in a row open the circuit. */
  readonly failures: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

export type CircuitState = 'closed' | 'cooling' | 'probing';

/**
 * The health of one upstream. `failures` in a row, or one failure that means "nobody is there", open it for a pause
 * that doubles up to `longestPauseMs`; when the pause is over one request at a time may try (half open).
 */
export class Circuit {
  readonly #settings: CircuitSettings;
  readonly #clock: Clock;
  readonly #onChange: (state: CircuitState) => void;
  #failuresInRow = 0;
  /** Zero while closed; doubles with each pause. */
  #pauseMs = 0;
  #coolsUntilMonoMs = 0;
  #isProbing = false;
  /** The running pause was ended by a sign of life. */
  #isEndedEarly = false;
  /** Such a sign was wrong once since the circuit opened: the next ones are not believed. */
  #wasMisled = false;

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
   * Called when an attempt begins. True: it is the probe, and its `succeed` or `fail` decides; attempts beside it (an
   * upstream that is alone is asked by everybody) can close the circuit but not keep it open.
   */
  begin(): boolean {
    if (this.#pauseMs === 0 || this.#isProbing || this.remainingMs > 0) return false;
    this.#isProbing = true;
    return true;
  }

  /** A sign of life that cost no request: the pause is over now, and the next request is its probe. */
  endPause(): void {
    if (this.remainingMs === 0 || this.#wasMisled) return;
    this.#coolsUntilMonoMs = this.#clock.monoMs();
    this.#isEndedEarly = true;
  }

  succeed(): void {
    this.#failuresInRow = 0;
    this.#isProbing = false;
    this.#isEndedEarly = false;
    this.#wasMisled = false;
    if (this.#pauseMs === 0) return;
    this.#pauseMs = 0;
    this.#onChange('closed');
  }

  /** `counts` is `no` when the attempt said nothing of the upstream: the client left, or the fault was not its own. */
  fail(counts: CountsAgainst, isProbe: boolean): void {
    if (isProbe) this.#isProbing = false;
    if (counts === 'no') return;
    this.#failuresInRow += 1;
    const isOpening = isProbe || counts === 'cools_at_once' || this.#failuresInRow >= this.#settings.failures;
    if (!isOpening) return;
    // Requests that were under way when it opened fail too; they say nothing new.
    if (this.#pauseMs > 0 && !isProbe) return;
    this.#wasMisled ||= this.#isEndedEarly;
    this.#isEndedEarly = false;
    const doubled = this.#pauseMs === 0 ? this.#settings.firstPauseMs : this.#pauseMs * 2;
    this.#pauseMs = Math.min(doubled, this.#settings.longestPauseMs);
    this.#coolsUntilMonoMs = this.#clock.monoMs() + this.#pauseMs;
    this.#onChange('cooling');
  }
}
