import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { decoderOf } from '../../lib/net/content-coding.ts';
import { inSeconds } from '../../lib/text/format.ts';
import { shorten } from '../../lib/text/sanitize.ts';
import { type ParsedRequest, parseRequest, type RequestKind } from '../../openai/request/parsed-request.ts';
import { type Router, refuseLongModelName } from '../../routing/router.ts';
import type { RequestContext } from '../middleware/request-context.ts';

export interface BodyReaderSettings {
  /** `limits.buffered`: all bodies in memory together. */
  readonly maxBufferedBytes: number;
  /** A body is refused when it is incomplete and no bytes come for so long. */
  readonly stallMs: number;
}

/** The beginning of a body, or all of it. */
interface BodyHead {
  readonly bytes: Buffer;
  /** True: nothing follows. */
  readonly isWhole: boolean;
}

/**
 * Reads request bodies within one limit for the memory of all of them together. A body counts from its first bytes until
 * `release`, since it is kept for further attempts while its request is served.
 */
export class BodyReader {
  #settings: BodyReaderSettings;
  #bufferedBytes = 0;

  constructor(settings: BodyReaderSettings) {
    this.#settings = settings;
  }

  /** Other limits from now on; bodies that are in memory stay counted. */
  adjust(settings: BodyReaderSettings): void {
    this.#settings = settings;
  }

  /** Bytes of bodies that are in memory. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /**
   * Reads a body whole. A declared length over a limit is refused before anything is read. Throws `body_too_large`,
   * `overloaded`, `request_timeout` for a body that stalls, or the reason of the abort when the client disconnects.
   */
  async read(context: RequestContext, limitBytes: number): Promise<Buffer> {
    const declared = Number(context.headers['content-length'] ?? 0);
    const maxBytes = Math.min(limitBytes, this.#settings.maxBufferedBytes);
    if (declared > maxBytes) throw tooLarge(maxBytes);
    if (this.#bufferedBytes + declared > this.#settings.maxBufferedBytes) throw noRoom();
    return (await this.#gather(context, maxBytes, Number.POSITIVE_INFINITY)).bytes;
  }

  /**
   * Reads a body whole without its `content-encoding`, of which the limit holds as well: it is parsed here, and upstreams
   * seldom decode one. Throws as `read` does, `unsupported_encoding` before anything is read, and `invalid_json` for a
   * body that cannot be decoded.
   */
  async readDecoded(context: RequestContext, limitBytes: number): Promise<Buffer> {
    const { headers } = context;
    const { 'content-encoding': encoding } = headers;
    if (encoding === undefined) return this.read(context, limitBytes);
    const coding = codingOf(encoding);
    const makeDecoder = coding === null ? null : decoderOf(coding);
    if (makeDecoder === undefined) throw unsupportedEncoding(encoding);
    const body = await this.read(context, limitBytes);
    // From here on the headers describe the body as it is sent on.
    delete headers['content-encoding'];
    if (makeDecoder === null || body.length === 0) return body;
    const decoder = makeDecoder(body[0] ?? 0, 'strict');
    const decoded = await this.#decode(context, decoder, { body, coding: coding ?? '', limitBytes });
    this.#bufferedBytes -= body.length;
    context.bufferedBytes -= body.length;
    return decoded;
  }

  async #decode(
    context: RequestContext,
    decoder: Transform,
    { body, coding, limitBytes }: { body: Buffer; coding: string; limitBytes: number },
  ): Promise<Buffer> {
    const { maxBufferedBytes } = this.#settings;
    const maxBytes = Math.min(limitBytes, maxBufferedBytes);
    const chunks: Buffer[] = [];
    let size = 0;
    decoder.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) decoder.destroy(tooLarge(maxBytes));
      else if (this.#bufferedBytes + chunk.length > maxBufferedBytes) decoder.destroy(noRoom());
      else {
        this.#bufferedBytes += chunk.length;
        context.bufferedBytes += chunk.length;
        chunks.push(chunk);
      }
    });
    decoder.end(body);
    try {
      await once(decoder, 'end', { signal: context.signal });
    } catch (error) {
      decoder.destroy();
      context.signal.throwIfAborted();
      if (error instanceof FerryError) throw error;
      throw new FerryError('invalid_json', {
        message: `Invalid request body: it cannot be decoded as its Content-Encoding says (${coding}).`,
        cause: error,
      });
    }
    return Buffer.concat(chunks, size);
  }

  /**
   * Reads the beginning of a body, `enoughBytes` and what came with their last piece, and leaves the rest paused; all
   * of it when it is shorter. Throws as `read` does.
   */
  readHead(context: RequestContext, enoughBytes: number): Promise<BodyHead> {
    return this.#gather(context, Number.POSITIVE_INFINITY, enoughBytes);
  }

  #gather(context: RequestContext, maxBytes: number, enoughBytes: number): Promise<BodyHead> {
    const { request } = context;
    const { stallMs } = this.#settings;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const stop = (): void => {
        clearTimeout(stall);
        request.off('data', onData).off('end', finish).off('error', onError);
        context.onAbort = null;
      };
      const finish = (isWhole = true): void => {
        stop();
        const [first] = chunks;
        const bytes = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, size);
        resolve({ bytes, isWhole });
      };
      const fail = (error: Error): void => {
        stop();
        reject(error);
      };
      const refuse = (error: FerryError): void => {
        fail(error);
        // The rest is read and dropped, so that the client gets the response instead of a reset.
        request.resume();
      };
      const onData = (chunk: Buffer): void => {
        stall.refresh();
        size += chunk.length;
        if (size > maxBytes) refuse(tooLarge(maxBytes));
        else if (this.#bufferedBytes + chunk.length > this.#settings.maxBufferedBytes) refuse(noRoom());
        else {
          this.#bufferedBytes += chunk.length;
          context.bufferedBytes += chunk.length;
          chunks.push(chunk);
          if (size < enoughBytes) return;
          request.pause();
          finish(false);
        }
      };
      const onError = (cause: Error): void => fail(requestCutOff(cause));
      const stall = setTimeout(() => refuse(stalled(stallMs)), stallMs);
      context.onAbort = fail;
      request.on('end', finish).on('error', onError).on('data', onData);
    });
  }

  /** Aborts the request when a body that is streamed to the upstream stalls; not while the upstream is the slower one. */
  watch(context: RequestContext): void {
    const { request } = context;
    const { stallMs } = this.#settings;
    const timer = setTimeout(() => {
      if (isPausedByReader(request)) timer.refresh();
      else context.abort(stalled(stallMs));
    }, stallMs);
    const stop = (): void => clearTimeout(timer);
    request.on('data', () => timer.refresh());
    request.once('end', stop);
    request.once('close', stop);
    context.signal.addEventListener('abort', stop);
  }

  /** Stops counting a body that is no longer kept. */
  release(context: RequestContext): void {
    this.#bufferedBytes -= context.bufferedBytes;
    context.bufferedBytes = 0;
  }
}

/** What reading a body that names a model needs of one configuration. */
interface ModelBodySettings {
  readonly router: Pick<Router, 'isKnownModel'>;
  readonly bodies: BodyReader;
  readonly bodyLimitBytes: number;
}

/** Reads a body that names a model, and notes its facts for the record. */
export async function readModelRequest(
  context: RequestContext,
  kind: RequestKind,
  { router, bodies, bodyLimitBytes }: ModelBodySettings,
): Promise<ParsedRequest> {
  const { outcome } = context;
  const body = await bodies.readDecoded(context, bodyLimitBytes);
  context.receivedBody(body);
  const request = parseRequest(body, kind, context.modelInPath);
  outcome.model = request.model;
  refuseLongModelName(request.model);
  outcome.isKnownModel = router.isKnownModel(request.model);
  return request;
}

function isPausedByReader(request: IncomingMessage): boolean {
  return request.isPaused() || request.readableLength > 0;
}

/** null: the body is not encoded. Several codings, which no known client sends, are the whole list. */
function codingOf(encoding: string): string | null {
  const coding = encoding.trim().toLowerCase();
  return coding === '' || coding === 'identity' ? null : coding;
}

function unsupportedEncoding(encoding: string): FerryError {
  return new FerryError('unsupported_encoding', {
    message: `Unsupported Content-Encoding: ${shorten(encoding, 60)}. Send the body plain, or with one of gzip, deflate, br and zstd.`,
  });
}

function tooLarge(limitBytes: number): FerryError {
  return new FerryError('body_too_large', {
    message: `Request body too large: more than ${limitBytes} bytes (limits.body). Send less or raise the limit.`,
  });
}

function noRoom(): FerryError {
  return new FerryError('overloaded', {
    message: 'Overloaded: the bodies of running requests fill limits.buffered. Retry in a moment.',
  });
}

function stalled(stallMs: number): FerryError {
  return new FerryError('request_timeout', {
    message: `Request body incomplete: no bytes came for ${inSeconds(stallMs)}.`,
  });
}

/** The client closed the connection before its request was complete. */
export function requestCutOff(cause?: Error): FerryError {
  return new FerryError('client_gone', {
    message: 'The client closed the connection before its request was complete.',
    cause,
  });
}
