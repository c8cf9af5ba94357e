import { IdleTimer } from '../../lib/idle-timer.ts';
import { keepAliveChunkAfter } from '../../openai/chat/writing/chunk-writer.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { ChunkedWriter, drained } from '../node-internals.ts';
import { commonHeaders } from './json.ts';

export interface SseSettings {
  /** A comment after so much silence; 0 = never. */
  readonly keepAliveMs: number;
  /** An event with empty `choices` after so much silence, for clients that count only events; 0 = never. */
  readonly keepAliveChunkMs: number;
  /** What takes the place of the comment once the first event was written; absent: the comment. */
  readonly keepAliveEvent?: string;
}

const KEEP_ALIVE = ': keep-alive\n\n';

/**
 * Writes one event stream to a client: headers with the first text or early, back-pressure, keep-alives in silences.
 * Texts are whole events, so that a keep-alive never falls into one.
 */
export class SseWriter {
  readonly #context: RequestContext;
  readonly #settings: SseSettings;
  readonly #writer: ChunkedWriter;
  #early: NodeJS.Timeout | undefined;
  #comments: IdleTimer | null = null;
  #chunks: IdleTimer | null = null;
  /** The last text, whose identity a keep-alive chunk repeats; '' before the first one. */
  #last = '';
  #isOpen = false;

  constructor(context: RequestContext, settings: SseSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#writer = new ChunkedWriter(context.response);
  }

  /** Sends the headers after `delayMs`, unless `open`, `end` or `dispose` is called before. 0 = never. */
  openAfter(delayMs: number): void {
    if (delayMs <= 0) return;
    this.#early = setTimeout(() => {
      this.open();
      this.#writer.flushHeaders();
    }, delayMs);
  }

  /** Makes the headers final, with `extra` flat ones; idempotent. From here on a failure can only be an event. */
  open(extra: readonly string[] = []): void {
    clearTimeout(this.#early);
    const { response } = this.#context;
    if (this.#isOpen || response.destroyed) return;
    this.#isOpen = true;
    const headers = commonHeaders(this.#context);
    headers.push(
      'content-type',
      'text/event-stream; charset=utf-8',
      'cache-control',
      'no-cache, no-transform',
      // nginx would otherwise buffer the stream.
      'x-accel-buffering',
      'no',
      ...extra,
    );
    response.writeHead(200, headers);
    const { keepAliveMs, keepAliveChunkMs } = this.#settings;
    if (keepAliveMs > 0)
      this.#comments = new IdleTimer(keepAliveMs, () => this.#keepAlive(this.#ownKeepAlive));
    if (keepAliveChunkMs > 0) {
      this.#chunks = new IdleTimer(keepAliveChunkMs, () => this.#keepAlive(keepAliveChunkAfter(this.#last)));
    }
  }

  /** Resolves when the client has read enough for more; null: no need to wait. */
  write(text: string): Promise<void> | null {
    const { response } = this.#context;
    if (response.destroyed) return null;
    const byteLength = Buffer.byteLength(text);
    this.#context.wrote(text, byteLength);
    this.#comments?.touch();
    if (this.#chunks !== null) {
      this.#last = text;
      this.#chunks.touch();
    }
    return this.#writer.write(text, byteLength) ? null : drained(response);
  }

  end(): void {
    this.dispose();
    this.#writer.end();
  }

  /** Stops all timers. To be called at the end of the route in any case; idempotent. */
  dispose(): void {
    clearTimeout(this.#early);
    this.#comments?.stop();
    this.#chunks?.stop();
  }

  get #ownKeepAlive(): string {
    const { keepAliveEvent } = this.#settings;
    return keepAliveEvent !== undefined && this.#context.outcome.responseBytes > 0
      ? keepAliveEvent
      : KEEP_ALIVE;
  }

  #keepAlive(text: string | null): void {
    const { response } = this.#context;
    // Skips keep-alives under back-pressure: they would only fill the buffer.
    if (text === null || response.destroyed || response.writableEnded || this.#writer.needsDrain) return;
    this.#writer.write(text);
  }
}
