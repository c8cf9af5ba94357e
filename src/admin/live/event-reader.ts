import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { AdminEvents } from '../api-types.ts';

/** What may wait for a reader; one that is slower is disconnected and loads everything again. */
const MAX_BUFFERED_BYTES = 256 * 1024;
/** Proxies close silent connections after a minute. */
const KEEP_ALIVE_MS = 15_000;

/** One connection that gets live events. */
export class EventReader {
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  #keepAlive: Timer | null = null;
  /** Called once, when the connection is closed. */
  onEnd: (() => void) | null = null;

  /** Sends the headers. */
  constructor(response: ServerResponse, clock: Clock) {
    this.#response = response;
    this.#clock = clock;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would collect events otherwise.
      'x-accel-buffering': 'no',
    });
    response.on('close', () => {
      this.#keepAlive?.cancel();
      this.onEnd?.();
      this.onEnd = null;
    });
    this.#keepAliveLater();
  }

  send<Name extends keyof AdminEvents>(name: Name, data: AdminEvents[Name]): void {
    this.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  write(event: string): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    if (this.#response.writableLength > MAX_BUFFERED_BYTES) {
      this.#response.destroy();
      return;
    }
    this.#response.write(event);
  }

  end(): void {
    this.#response.end();
  }

  #keepAliveLater(): void {
    this.#keepAlive = this.#clock.schedule(() => {
      this.write(': keep-alive\n\n');
      this.#keepAliveLater();
    }, KEEP_ALIVE_MS);
  }
}
