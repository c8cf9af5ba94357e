import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { FerryError } from '../../lib/errors/ferry-error.ts';

/** A running request, as far as ending it goes. */
export interface RunningRequest {
  readonly response: ServerResponse;
  abort(reason: FerryError): void;
  /** Its position among the running ones; written here only. -1: none. */
  slot: number;
}

/** The error of requests that arrive, or still run, when the service ends. */
export function restarting(): FerryError {
  return new FerryError('shutting_down', { message: 'The server is restarting. Retry the request.' });
}

/** The requests that are being served right now. */
export class RunningRequests {
  /**
   * An array and not a Set: a Set that is added to and deleted from all the time leaves a chain of outgrown tables,
   * each pointing to the next and to the requests that were running then. Once the first is in the old generation,
   * young collections keep all of them (measured: 14 KB survived of each request, a fifth of the CPU went into that).
   */
  readonly #running: RunningRequest[] = [];
  /** The last refused one of each connection. */
  readonly #refused = new WeakMap<Duplex, RunningRequest>();
  #isRefusing = false;
  /** Called when the last one has finished. */
  #onDrained: (() => void) | null = null;

  get count(): number {
    return this.#running.length;
  }

  /** A request that arrives while new ones are refused gets its response at once, so `drained` does not wait for it. */
  add(request: RunningRequest): void {
    if (!this.#isRefusing) request.slot = this.#running.push(request) - 1;
    else if (request.response.socket !== null) this.#refused.set(request.response.socket, request);
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

  /** The response that a connection is for now; null: none. Looks through all of them, for the rare malformed request. */
  responseOn(socket: Duplex): ServerResponse | null {
    const found =
      this.#running.find(({ response }) => response.socket === socket) ?? this.#refused.get(socket);
    return found?.response.socket === socket ? found.response : null;
  }

  /** Throws `shutting_down` after `refuseNew`, and `overloaded` when more than `maxRequests` run. */
  refuseWhenFull(maxRequests: number): void {
    if (this.#isRefusing) throw restarting();
    if (this.#running.length <= maxRequests) return;
    throw new FerryError('overloaded', {
      message: `Too many requests at once: more than ${maxRequests} (limits.concurrency). Retry in a moment.`,
    });
  }

  /** Returns how many requests are running. */
  refuseNew(): number {
    this.#isRefusing = true;
    return this.#running.length;
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

/** How many routes are using one configuration: what belongs to it may be closed when none is. */
export class UseCount {
  #users = 0;
  #onIdle: (() => void) | null = null;

  begin(): void {
    this.#users += 1;
  }

  end(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#onIdle?.();
  }

  /** Resolves when no route uses it. Only for one that gets no new users. */
  idle(): Promise<void> {
    if (this.#users === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }
}
