import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { AttemptTimer } from '../attempt-timer.ts';
import { ResponseHeaders, UpstreamResponse } from '../response.ts';
import { type BodySource, ResponseBody } from './body.ts';
import type { Connections } from './connections.ts';
import { decodeContent } from './decoding.ts';
import { fromBrokenBody, fromTransport } from './transport-error.ts';

/** One HTTP request as it goes on the wire. */
export interface WireRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Flat name, value, … */
  readonly headers: string[];
  readonly body: Buffer | string | Readable | null;
}

/** Who may end an exchange early, and what its time limits restart on. */
interface ExchangeControl {
  /** The upstream's configured name, for errors. */
  readonly upstream: string;
  /** Aborted when the client leaves or the attempt is given up; its reason becomes the error. */
  readonly signal: AbortSignal;
  readonly timer: AttemptTimer;
  /** True: over a new connection and not over one that was kept. */
  readonly isAlone?: boolean;
}

/**
 * Sends one request and resolves at the response's headers; the body is read from the reply. Rejects with a
 * `FerryError`. Aborting the signal closes the socket at any moment, connecting and waiting in the pool included.
 */
export function exchange(
  connections: Connections,
  request: WireRequest,
  control: ExchangeControl,
): Promise<UpstreamResponse> {
  return new Promise((resolve, reject) => {
    const handler = new ExchangeHandler(connections, control, resolve, reject);
    if (!handler.begin()) return;
    try {
      if (control.isAlone === true) connections.dispatchAlone(request as Dispatcher.DispatchOptions, handler);
      else connections.dispatch(request as Dispatcher.DispatchOptions, handler);
    } catch (error) {
      handler.onResponseError(null, error as Error);
    }
  });
}

/** Thrown by `exchange` in place of `unreachable` when a pooled socket turned out to be closed: safe to send again. */
export class StaleSocketError extends Error {}

class ExchangeHandler implements Dispatcher.DispatchHandler, BodySource {
  readonly #connections: Connections;
  readonly #control: ExchangeControl;
  readonly #resolve: (reply: UpstreamResponse) => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | null = null;
  /** Set at the response's headers; from then on failures belong to the body. */
  #body: ResponseBody | null = null;
  #isSettled = false;

  constructor(
    connections: Connections,
    control: ExchangeControl,
    resolve: (reply: UpstreamResponse) => void,
    reject: (error: Error) => void,
  ) {
    this.#connections = connections;
    this.#control = control;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** False: the signal was aborted before anything was sent. */
  begin(): boolean {
    const { signal } = this.#control;
    if (signal.aborted) {
      this.#isSettled = true;
      this.#reject(asError(signal.reason));
      return false;
    }
    signal.addEventListener('abort', this.#onAbort);
    return true;
  }

  readonly #onAbort = (): void => {
    this.#abort(asError(this.#control.signal.reason));
  };

  #abort(reason: Error): void {
    this.#settle();
    if (this.#body === null) this.#reject(reason);
    else this.#body.fail(reason);
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isSettled) controller.abort(asError(this.#control.signal.reason));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx are announcements, not the answer.
    if (status < 200 || this.#isSettled) return;
    const body = new ResponseBody(this);
    this.#body = body;
    const replyHeaders = new ResponseHeaders(headers);
    const decoded = decodeContent(body, replyHeaders.get('content-encoding'), this.#control.upstream);
    this.#resolve(new UpstreamResponse(status, replyHeaders, decoded));
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  /** The reader of the body wants no more of it. */
  abort(reason: Error): void {
    this.#settle();
    this.#controller?.abort(reason);
  }

  touched(): void {
    this.#control.timer.touch();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body?.push(chunk);
  }

  onResponseEnd(): void {
    this.#settle();
    this.#body?.finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#isSettled) return;
    this.#settle();
    const { upstream } = this.#control;
    if (this.#body !== null) this.#body.fail(fromBrokenBody(error, upstream));
    else if (this.#connections.isStaleSocket(error))
      this.#reject(new StaleSocketError('stale socket', { cause: error }));
    else this.#reject(fromTransport(error, upstream));
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#control.signal.removeEventListener('abort', this.#onAbort);
  }
}

function asError(reason: unknown): Error {
  if (reason instanceof Error) return reason;
  return new FerryError('client_gone', { message: 'The client closed the connection.', cause: reason });
}
