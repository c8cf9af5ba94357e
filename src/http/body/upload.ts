import { Readable } from 'node:stream';
import { asFerryError, FerryError } from '../../lib/errors/ferry-error.ts';
import type { BodyFields } from '../../openai/request/body-fields.ts';
import type { OpenedBody, StreamedBody } from '../../routing/services/pass-through-service.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import type { BodyReader } from './body-reader.ts';

interface UploadParts {
  readonly bodies: BodyReader;
  /** What was read of it before it was known where it goes; empty when nothing was. */
  readonly head: Buffer;
  /** What the head says; only the model in it may change. */
  readonly fields: BodyFields;
  /** `limits.upload`. */
  readonly mostBytes: number;
}

/** Pieces of the client's socket that wait for the upstream's; what is beyond stays with the client. Bytes. */
const HIGH_WATER_BYTES = 64 * 1024;

/**
 * A request body that is too long to be kept: handed on as it comes and as fast as it is taken. An attempt gets a
 * stream of its own, since whoever gives up an attempt destroys its body, and with the request itself the connection
 * would go that the client is to be answered on. As long as no more than the head was taken, another attempt can have
 * it as well.
 */
export class Upload implements StreamedBody {
  readonly #context: RequestContext;
  readonly #parts: UploadParts;
  /** Set when a stream goes on behind the head; from then on the body is spent. */
  #isBegun = false;

  constructor(context: RequestContext, parts: UploadParts) {
    this.#context = context;
    this.#parts = parts;
    context.outcome.requestBytes = parts.head.length;
    // A body that breaks off can never be sent whole, whatever `on_disconnect` says of the answer.
    context.request.once('close', () => {
      if (!context.request.complete) context.abort(brokenOff());
    });
  }

  get isSpent(): boolean {
    return this.#isBegun;
  }

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
        // The client may write all of it before it reads what it is answered.
        if (this.#isBegun) this.#context.request.resume();
        done(error);
      },
    });
    return {
      stream,
      lengthBytes: declared === undefined ? null : Number(declared) + first.length - head.length,
    };
  }

  /** The answer is out: what still comes is read and dropped. */
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
    const { mostBytes } = this.#parts;
    this.#context.outcome.requestBytes += bytes;
    // The attempt ends with the client's own mistake, which speaks against no upstream.
    if (this.#context.outcome.requestBytes > mostBytes) this.#context.abort(uploadTooLarge(mostBytes));
  }

  /** Looked at before it is handed on, so that a second model never reaches the upstream whole. */
  #follow(chunk: Buffer): void {
    try {
      this.#parts.fields.follow(chunk);
    } catch (error) {
      this.#context.abort(asFerryError(error));
    }
  }
}

export function uploadTooLarge(limitBytes: number): FerryError {
  return new FerryError('body_too_large', {
    message: `The request body is larger than ${limitBytes} bytes, which is what limits.upload allows.`,
  });
}

function brokenOff(): FerryError {
  return new FerryError('client_gone', { message: 'The client closed the connection within its request.' });
}
