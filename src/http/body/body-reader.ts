import type { IncomingMessage } from 'node:http';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { RequestContext } from '../middleware/request-context.ts';

export interface BodyReaderSettings {
  /** `limits.buffered`: all bodies in memory together. */
  readonly mostBufferedBytes: number;
  /** A body that is not whole is given up after so much silence of the client. */
  readonly stallMs: number;
}

/** The beginning of a body. */
interface BodyHead {
  readonly bytes: Buffer;
  /** True: nothing follows. */
  readonly isWhole: boolean;
}

interface GatherBounds {
  readonly mostBytes: number;
  /** Reading ends when so much is there. */
  readonly enoughBytes: number;
}

/**
 * Reads bodies of requests within one bound for the memory of all of them together. A body counts from its first
 * bytes until `release`, since it is kept for another attempt as long as its request is served.
 */
export class BodyReader {
  #settings: BodyReaderSettings;
  #bufferedBytes = 0;

  constructor(settings: BodyReaderSettings) {
    this.#settings = settings;
  }

  /** Other bounds from now on; bodies that are in memory stay counted. */
  adjust(settings: BodyReaderSettings): void {
    this.#settings = settings;
  }

  /** Bytes of bodies that are in memory. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /**
   * Reads a body whole. A declared length over a limit is refused before anything is read. Throws `body_too_large`,
   * `overloaded`, `request_timeout` for a body that stalls, or the signal's reason when the client leaves.
   */
  async read(context: RequestContext, limitBytes: number): Promise<Buffer> {
    const declared = Number(context.request.headers['content-length'] ?? 0);
    const mostBytes = Math.min(limitBytes, this.#settings.mostBufferedBytes);
    if (declared > mostBytes) throw tooLarge(mostBytes);
    if (!this.#hasRoomFor(declared)) throw noRoom();
    return (await this.#gather(context, { mostBytes, enoughBytes: Number.POSITIVE_INFINITY })).bytes;
  }

  /**
   * Reads the beginning of a body, `enoughBytes` and what came with their last piece, and leaves the rest paused; all
   * of it when it is shorter. Throws as `read` does.
   */
  readHead(context: RequestContext, enoughBytes: number): Promise<BodyHead> {
    return this.#gather(context, { mostBytes: Number.POSITIVE_INFINITY, enoughBytes });
  }

  #gather(context: RequestContext, bounds: GatherBounds): Promise<BodyHead> {
    const { request, signal } = context;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const settle = (): void => {
        clearTimeout(stall);
        stopListening();
      };
      const resolveWith = (isWhole: boolean): void => {
        settle();
        const [first] = chunks;
        const bytes = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, size);
        resolve({ bytes, isWhole });
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const refuse = (error: FerryError): void => {
        fail(error);
        // The rest is read and dropped, so that the client hears the answer instead of a reset.
        request.resume();
      };
      const take = (chunk: Buffer): void => {
        stall.refresh();
        size += chunk.length;
        if (size > bounds.mostBytes) refuse(tooLarge(bounds.mostBytes));
        else if (!this.#hasRoomFor(chunk.length)) refuse(noRoom());
        else {
          this.#take(context, chunk.length);
          chunks.push(chunk);
          if (size < bounds.enoughBytes) return;
          request.pause();
          resolveWith(false);
        }
      };
      const stall = setTimeout(() => refuse(stalled(this.#settings.stallMs)), this.#settings.stallMs);
      const stopListening = listenTo(context, {
        data: take,
        end: () => resolveWith(true),
        error: (error) => fail(gone(error)),
        abort: () => fail(signal.reason),
      });
    });
  }

  /** Ends the request when a body that is streamed through stalls; a reader that is behind is no silence. */
  watch(context: RequestContext): void {
    const { request } = context;
    const { stallMs } = this.#settings;
    const timer = setTimeout(() => {
      if (isWaitingForReader(request)) timer.refresh();
      else context.abort(stalled(stallMs));
    }, stallMs);
    const stop = (): void => clearTimeout(timer);
    request.on('data', () => timer.refresh());
    request.once('end', stop);
    request.once('close', stop);
    context.signal.addEventListener('abort', stop);
  }

  /** The request is over and its body is no longer kept. */
  release(context: RequestContext): void {
    this.#bufferedBytes -= context.bufferedBytes;
    context.bufferedBytes = 0;
  }

  #hasRoomFor(bytes: number): boolean {
    return this.#bufferedBytes + bytes <= this.#settings.mostBufferedBytes;
  }

  #take(context: RequestContext, bytes: number): void {
    this.#bufferedBytes += bytes;
    context.bufferedBytes += bytes;
  }
}

interface BodyListeners {
  readonly data: (chunk: Buffer) => void;
  readonly end: () => void;
  readonly error: (error: Error) => void;
  /** The client left, or the service ends. */
  readonly abort: () => void;
}

/** Listens to a body, which begins to flow, until the function that it returns is called. */
function listenTo({ request, signal }: RequestContext, on: BodyListeners): () => void {
  request.on('data', on.data);
  request.on('end', on.end);
  request.on('error', on.error);
  signal.addEventListener('abort', on.abort);
  return () => {
    request.off('data', on.data);
    request.off('end', on.end);
    request.off('error', on.error);
    signal.removeEventListener('abort', on.abort);
  };
}

function isWaitingForReader(request: IncomingMessage): boolean {
  return request.isPaused() || request.readableLength > 0;
}

function tooLarge(limitBytes: number): FerryError {
  return new FerryError('body_too_large', {
    message: `The request body is larger than ${limitBytes} bytes, which is what limits.body allows. Send less or raise the limit.`,
  });
}

function noRoom(): FerryError {
  return new FerryError('overloaded', {
    message:
      'The bodies of the requests that are being served fill the memory for them (limits.buffered). Try again in a moment.',
  });
}

function stalled(stallMs: number): FerryError {
  return new FerryError('request_timeout', {
    message: `The rest of the request body did not arrive: nothing came for ${stallMs / 1000} s.`,
  });
}

function gone(cause: Error): FerryError {
  return new FerryError('client_gone', {
    message: 'The client closed the connection within its request.',
    cause,
  });
}
