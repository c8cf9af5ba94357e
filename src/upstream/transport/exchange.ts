import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { inSeconds } from '../../lib/text/format.ts';
import type { AttemptTimer } from '../attempt-timer.ts';
import { ResponseHeaders, UpstreamResponse } from '../response.ts';
import { type BodySource, ResponseBody } from './body.ts';
import type { Connection, ConnectionHandler, Connections } from './connections.ts';
import { decodeContent } from './decoding.ts';
import { fromBrokenBody, fromTransport } from './transport-error.ts';

/** One HTTP request as it is sent, without its path. */
interface WireRequest {
  readonly method: string;
  /** Flat name, value, … */
  readonly headers: string[];
  /** A stream can be sent once only: no second try on a stale socket. */
  readonly body: Buffer | string | Readable | null;
}

/** Who may end an exchange early, and its time limit. */
export interface ExchangeControl {
  /** Aborted when the client disconnects or the attempt is aborted; its reason becomes the error. */
  readonly signal: AbortSignal;
  readonly timer: AttemptTimer;
  /** From sending to the response's headers; 0 = no limit. */
  readonly headersTimeoutMs: number;
  /** The key of the configuration that set it; null: none did. */
  readonly headersTimeoutKey: string | null;
  /** How long a new connection took to open, or was opening when the exchange failed; 0: one was open. Written by the exchange only. */
  connectMs: number;
}

/**
 * One request on the wire and its response: undici's handler, the listener of the signal and what feeds the body, in one
 * object. When it is over it refers to nothing that belongs to the request.
 */
export class Exchange implements ConnectionHandler, BodySource {
  connection: Connection | null = null;
  readonly #upstream: string;
  readonly #connections: Connections;
  #control: ExchangeControl | null;
  #request: Dispatcher.DispatchOptions | null = null;
  #resolve: ((response: UpstreamResponse) => void) | null = null;
  #reject: ((error: Error) => void) | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  /** Set at the headers; from then on failures belong to the body. */
  #body: ResponseBody | null = null;
  #isRetry = false;

  /** `upstream` is the configured name, for errors. */
  constructor(upstream: string, connections: Connections, control: ExchangeControl) {
    this.#upstream = upstream;
    this.#connections = connections;
    this.#control = control;
  }

  /**
   * Sends a request to `path`, query included, and resolves at the response's headers, of any status. Rejects with a `FerryError`, or the
   * signal's reason. Aborting the signal closes the socket at any moment, connecting and waiting in the pool included. A
   * request that met a stale connection is sent once more over a new one.
   */
  send(path: string, { method, headers, body }: WireRequest): Promise<UpstreamResponse> {
    const control = this.#control as ExchangeControl;
    const { signal } = control;
    if (signal.aborted) return Promise.reject(abortReason(signal));
    control.timer.start(control.headersTimeoutMs, () => this.#timeoutError(control));
    signal.addEventListener('abort', this);
    this.#request = {
      origin: this.#connections.origin,
      method: method as Dispatcher.HttpMethod,
      path,
      headers,
      body,
    };
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#dispatch(this.#request as Dispatcher.DispatchOptions);
    });
  }

  #dispatch(request: Dispatcher.DispatchOptions): void {
    try {
      if (this.#isRetry) this.#connections.dispatchAlone(request, this);
      else this.#connections.dispatch(request, this);
    } catch (error) {
      this.onResponseError(null, error as Error);
    }
  }

  #timeoutError({ headersTimeoutMs: limitMs, headersTimeoutKey: key }: ExchangeControl): FerryError {
    const source = key === null ? '' : ` (${key})`;
    return new FerryError('timeout', {
      message: `Upstream "${this.#upstream}" timed out: it did not respond within ${inSeconds(limitMs)}${source}.`,
    });
  }

  /** The signal was aborted. */
  handleEvent(): void {
    const controller = this.#controller;
    const reason = abortReason((this.#control as ExchangeControl).signal);
    this.#fail(reason);
    controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#control === null) controller.abort(new Error('aborted while connecting'));
    else if (this.connection !== null) this.#control.connectMs += this.connection.requestStarts();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    values: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx are interim responses.
    if (status < 200 || this.#control === null) return;
    const body = new ResponseBody(this);
    this.#body = body;
    const headers = new ResponseHeaders(values);
    const coding = headers.get('content-encoding');
    const decoded = coding === null ? body : decodeContent(body, coding, this.#upstream);
    this.#resolve?.(new UpstreamResponse(status, headers, decoded));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#control?.timer.touch();
    this.#body?.push(chunk);
  }

  onResponseEnd(): void {
    const body = this.#body;
    this.#release();
    body?.finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#control === null) return;
    if (this.#body !== null) {
      this.#fail(fromBrokenBody(error, this.#upstream));
      return;
    }
    const isStale = this.#controller !== null && this.connection?.isStale === true;
    const request = this.#request;
    if (isStale && !this.#isRetry && request !== null && !isStreamed(request.body)) {
      this.#isRetry = true;
      this.#controller = null;
      this.#dispatch(request);
      return;
    }
    this.#fail(fromTransport(error, this.#upstream, this.#connections.isProxied));
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  /** The reader of the body stopped. */
  abort(reason: Error): void {
    const controller = this.#controller;
    this.#release();
    controller?.abort(reason);
  }

  #fail(reason: Error): void {
    const body = this.#body;
    const reject = this.#reject;
    const control = this.#control;
    if (control !== null && this.#controller === null && this.connection !== null)
      control.connectMs += this.connection.connectingMs;
    this.#release();
    if (body === null) reject?.(reason);
    else body.fail(reason);
  }

  #release(): void {
    this.#control?.signal.removeEventListener('abort', this);
    this.#control = null;
    this.#request = null;
    this.#resolve = null;
    this.#reject = null;
    this.#body = null;
    this.#controller = null;
  }
}

/** Whether a body can be sent once only. */
export function isStreamed(body: unknown): body is Readable {
  return typeof body === 'object' && body !== null && !Buffer.isBuffer(body);
}

function abortReason({ reason }: AbortSignal): Error {
  if (reason instanceof Error) return reason;
  return new FerryError('client_gone', { message: 'The client closed the connection.', cause: reason });
}
