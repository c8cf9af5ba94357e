import { FerryError } from '../../lib/errors/ferry-error.ts';

/** A running request, as far as ending it goes. */
export interface RunningRequest {
  abort(reason: FerryError): void;
  /** Its place among the running ones; written here only. -1: none. */
  slot: number;
}

/** What requests hear that come, or still run, when the service ends. */
export function restarting(): FerryError {
  return new FerryError('shutting_down', { message: 'tokenferry is being restarted. Try again.' });
}

/** The requests that are being served right now. */
export class RunningRequests {
  /**
   * An array and not a Set: a Set that is added to and deleted from all the time leaves a chain of outgrown tables,
   * each pointing to the next and to the requests that were running then. Once the first is in the old generation,
   * young collections keep all of them (measured: 14 KB survived of each request, a fifth of the CPU went into that).
   */
  readonly #running: RunningRequest[] = [];
  #isRefusing = false;
  /** Called when the last one has ended. */
  #onDrained: (() => void) | null = null;

  get count(): number {
    return this.#running.length;
  }

  get isRefusing(): boolean {
    return this.#isRefusing;
  }

  /** What comes while new ones are refused has its answer at once: nobody waits for it. */
  add(request: RunningRequest): void {
    if (this.#isRefusing) return;
    request.slot = this.#running.push(request) - 1;
  }

  delete(request: RunningRequest): void {
    if (request.slot === -1) return;
    const last = this.#running.pop();
    if (last !== undefined && last !== request) {
      this.#running[request.slot] = last;
      last.slot = request.slot;
    }
    request.slot = -1;
    if (this.#running.length === 0) this.#onDrained?.();
  }

  refuseNew(): void {
    this.#isRefusing = true;
  }

  abortAll(reason: FerryError): void {
    for (const request of [...this.#running]) request.abort(reason);
  }

  /** Resolves with true as soon as none is left, with false after `graceMs`. */
  async drained(graceMs: number): Promise<boolean> {
    if (this.#running.length === 0) return true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#onDrained = null;
        resolve(false);
      }, graceMs);
      this.#onDrained = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
