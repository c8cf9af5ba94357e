import type { FerryError } from '../errors.ts';

/** A running request, as far as ending it goes. */
export interface RunningRequest {
  abort(reason: FerryError): void;
}

/** The requests that are being served right now. */
export class RunningRequests {
  readonly #running = new Set<RunningRequest>();
  #isRefusing = false;
  /** Called when the last one has ended. */
  #onDrained: (() => void) | null = null;

  get count(): number {
    return this.#running.size;
  }

  get isRefusing(): boolean {
    return this.#isRefusing;
  }

  add(request: RunningRequest): void {
    this.#running.add(request);
  }

  delete(request: RunningRequest): void {
    this.#running.delete(request);
    if (this.#running.size === 0) this.#onDrained?.();
  }

  refuseNew(): void {
    this.#isRefusing = true;
  }

  abortAll(reason: FerryError): void {
    for (const request of this.#running) request.abort(reason);
  }

  /** Resolves with true as soon as none is left, with false after `graceMs`. */
  async drained(graceMs: number): Promise<boolean> {
    if (this.#running.size === 0) return true;
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
