import { SilenceTimer } from '../../lib/idle-timer.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { drained } from './back-pressure.ts';
import { ChunkedWriter } from './chunked-writer.ts';
import { commonHeaders, encodeHeader } from './json.ts';
import { KeepAliveChunks } from './keep-alive-chunks.ts';

export interface SseSettings {
  /** A comment block after so much silence; 0 = never. */
  readonly keepAliveMs: number;
  /** An event with empty choices after so much silence, for clients that count only events; 0 = never. */
  readonly keepAliveChunkMs: number;
}

const KEEP_ALIVE = ': keep-alive\n\n';

/**
 * Writes one event stream to a client: headers with the first text, back-pressure, a comment in long silences. Texts
 * are whole events, so a comment never falls into one.
 */
export class SseWriter {
  readonly #context: RequestContext;
  readonly #settings: SseSettings;
  readonly #writer: ChunkedWriter;
  #keepAlive: SilenceTimer | null = null;
  /** null unless configured: a stream does not pay for it. */
  #chunks: KeepAliveChunks | null = null;
  #isOpen = false;

  constructor(context: RequestContext, settings: SseSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#writer = new ChunkedWriter(context.response);
  }

  /** Sends the headers; idempotent. From here on a failure can only be told as an event. */
  open(extra: readonly string[] = []): void {
    const { response } = this.#context;
    if (this.#isOpen || response.destroyed) return;
    this.#isOpen = true;
    const headers = commonHeaders(this.#context);
    headers.push(
      'content-type',
      'text/event-stream; charset=utf-8',
      'cache-control',
      'no-cache, no-transform',
      // nginx would otherwise collect the stream before it passes it on.
      'x-accel-buffering',
      'no',
      ...extra,
    );
    response.writeHead(200, headers);
    const { keepAliveMs, keepAliveChunkMs } = this.#settings;
    if (keepAliveMs > 0) this.#keepAlive = new SilenceTimer(keepAliveMs, () => this.#comment());
    if (keepAliveChunkMs > 0) this.#chunks = new KeepAliveChunks(response, this.#writer, keepAliveChunkMs);
  }

  /** Sends the headers at once, before there is any text. */
  openEarly(): void {
    this.open();
    this.#writer.flushHeaders();
  }

  /** Resolves when more may be written: at once, or when the client has read enough. Null: no need to wait. */
  write(text: string): Promise<void> | null {
    const { response } = this.#context;
    if (response.destroyed) return null;
    const byteLength = Buffer.byteLength(text);
    this.#context.wrote(text, byteLength);
    this.#keepAlive?.touch();
    this.#chunks?.wrote(text);
    return this.#writer.write(text, byteLength) ? null : drained(response);
  }

  end(): void {
    this.#stopKeepAlive();
    this.#writer.end();
  }

  /** The route is over, however it ended. */
  dispose(): void {
    this.#stopKeepAlive();
  }

  #stopKeepAlive(): void {
    this.#keepAlive?.stop();
    this.#keepAlive = null;
    this.#chunks?.stop();
  }

  #comment(): void {
    const { response } = this.#context;
    if (response.destroyed || response.writableEnded) return;
    // A client that does not read needs no sign of life, and would only collect them.
    if (!this.#writer.needsDrain) this.#writer.write(KEEP_ALIVE);
  }
}

/** Flat headers that tell which parameters of the client were not sent. */
export function droppedHeaders(dropped: readonly string[]): string[] {
  return dropped.length === 0 ? [] : ['x-tokenferry-dropped', encodeHeader(dropped.join(', '))];
}
