import { Readable } from 'node:stream';
import { asFerryError, FerryError } from '../../lib/errors/ferry-error.ts';
import type { BodyFields } from '../../openai/request/body-fields.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { type BodyReader, requestCutOff } from './body-reader.ts';

interface UploadParts {
  readonly bodies: BodyReader;
  /** What was read of it before the upstream was chosen; empty when nothing was. */
  readonly head: Buffer;
  /** The fields in the head; only the model may be changed. */
  readonly fields: BodyFields;
  /** `limits.upload`. */
  readonly maxBytes: number;
}

/** The body for one attempt. */
interface OpenedBody {
  readonly stream: Readable;
  /** Null: unknown. */
  readonly lengthBytes: number | null;
}

/** Bytes that are buffered between the client's socket and the upstream's. */
const HIGH_WATER_BYTES = 64 * 1024;

/**
 * A request body that is too long to be kept: streamed to the upstream as it comes, with back-pressure. Each attempt gets
 * a stream of its own, since an aborted attempt destroys its body, and destroying the request itself would close the
 * client's connection. While no more than the head was read, another attempt can send the body too.
 */
export class Upload {
  readonly #context: RequestContext;
  readonly #parts: UploadParts;
  /** Set when a stream reads beyond the head; from then on the body cannot be sent again. */
  #isBegun = false;

  constructor(context: RequestContext, parts: UploadParts) {
    this.#context = context;
    this.#parts = parts;
    context.outcome.requestBytes = parts.head.length;
    // A body that is cut off can never be sent completely, with any `on_disconnect`.
    context.request.once('close', () => {
      if (!context.request.complete) context.abort(requestCutOff());
    });
  }

  /** True: an attempt read more of it than is kept, so that no other can send it. */
  get isSpent(): boolean {
    return this.#isBegun;
  }

  /** For one attempt; `model` is put in place of the one that it names, null: it stays as it is. */
  open(model: string | null): OpenedBody {
    const { head, fields } = this.#parts;
    const first = model === null ? head : fields.withModel(model);
    const declared = this.#context.request.headers['content-length'];
    let isFirst = first.length > 0;
    const stream = new Readable({
      highWaterMark: HIGH_WATER_BYTES,
      read: () => {
        if (!isFirst) this.#continueInto(stream);
        else {
          isFirst = false;
          stream.push(first);
        }
      },
      destroy: (error, done) => {
        // The client may send all of it before it reads the response.
        if (this.#isBegun) this.#context.request.resume();
        done(error);
      },
    });
    return {
      stream,
      lengthBytes: declared === undefined ? null : Number(declared) + first.length - head.length,
    };
  }

  /** The response was sent: what still comes is read and dropped. */
  drop(): void {
    this.#context.request.resume();
  }

  #continueInto(stream: Readable): void {
    const { request, signal } = this.#context;
    if (this.#isBegun) {
      request.resume();
      return;
    }
    this.#isBegun = true;
    request.on('data', (chunk: Buffer) => {
      this.#count(chunk.length);
      this.#follow(chunk);
      if (!stream.destroyed && !signal.aborted && !stream.push(chunk)) request.pause();
    });
    request.once('end', () => {
      if (!stream.destroyed) stream.push(null);
    });
    this.#parts.bodies.watch(this.#context);
    request.resume();
  }

  #count(bytes: number): void {
    const { maxBytes } = this.#parts;
    this.#context.outcome.requestBytes += bytes;
    // A client error, which does not count against the upstream.
    if (this.#context.outcome.requestBytes > maxBytes) this.#context.abort(uploadTooLarge(maxBytes));
  }

  /** Parsed before it is sent on, so that a second model never reaches the upstream whole. */
  #follow(chunk: Buffer): void {
    try {
      this.#parts.fields.follow(chunk);
    } catch (error) {
      this.#context.abort(asFerryError(error));
    }
  }
}

/** `body_too_large` for a body that is streamed to the upstream. */
export function uploadTooLarge(limitBytes: number): FerryError {
  return new FerryError('body_too_large', {
    message: `Request body too large: more than ${limitBytes} bytes (limits.upload).`,
  });
}
