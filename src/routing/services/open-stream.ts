import { asFerryError, FerryError } from '../../lib/errors/ferry-error.ts';
import { inSeconds } from '../../lib/text/format.ts';
import type { ResponseStream } from '../../openai/chat/response-format.ts';
import type { Usage } from '../../openai/usage/usage.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { ReadDirective } from '../../upstream/transport/body.ts';
import type { Attempt } from '../attempt.ts';

/** How long an upstream may hold its connection after `[DONE]`: long enough to end properly and keep it pooled. */
const LINGER_MS = 500;
/** Every choice is finished, only `[DONE]` is missing: usage may still come, but nobody should wait long for it. */
const LAST_WORDS_MS = 5_000;

/**
 * A stream that proved itself: events in the client's form from the first on. It ends its attempt itself, so that a break
 * after the router returned still counts against the upstream.
 */
export class OpenStream {
  readonly kind = 'stream';
  readonly dropped: readonly string[];
  readonly #attempt: Attempt;
  readonly #reply: UpstreamResponse;
  readonly #stream: ResponseStream;
  /** What was read before the stream was handed out; '' once it was given on. */
  #head: string;
  #isOver = false;
  /** Set when every choice is finished. */
  #isEnding = false;
  #failure: FerryError | null = null;
  #totalTimer: NodeJS.Timeout | null = null;

  constructor(parts: {
    attempt: Attempt;
    reply: UpstreamResponse;
    stream: ResponseStream;
    head: string;
    dropped: readonly string[];
  }) {
    this.#attempt = parts.attempt;
    this.#reply = parts.reply;
    this.#stream = parts.stream;
    this.#head = parts.head;
    this.dropped = parts.dropped;
    parts.attempt.commit();
    parts.attempt.limitIdleTime(parts.reply.body);
    this.#limitTotalTime();
  }

  /**
   * Hands all canonical SSE text to `write` in order, and waits for the promise that it may give (the client reads
   * slowly). Never throws: a break is text too, the error event. A piece goes from socket to socket without a promise,
   * since a stream of a hundred frames would pay for a hundred.
   */
  async relayTo(write: (text: string) => Promise<void> | null): Promise<void> {
    const tell = (text: string): ReadDirective => {
      const drained = text === '' ? null : write(text);
      return this.#isOver ? 'enough' : (drained ?? 'more');
    };
    const wanted = tell(this.#takeHead());
    if (typeof wanted !== 'string') await wanted;
    if (this.#isOver) return;
    try {
      const hasEnded = await this.#reply.body.readEach((bytes) => tell(this.#take(bytes)));
      if (hasEnded) tell(this.#take(null));
    } catch (error) {
      tell(this.#broken(error));
    }
  }

  /** Why the stream broke; null while it runs and after a proper end. */
  get failure(): FerryError | null {
    return this.#failure;
  }

  get usage(): Usage | null {
    return this.#stream.usage;
  }

  get isUsageEstimated(): boolean {
    return this.#stream.isUsageEstimated;
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head + this.#settle();
  }

  /** The text of one piece of the upstream's body; null: it is over. */
  #take(bytes: Buffer | null): string {
    const text = bytes === null ? this.#stream.end() : this.#stream.push(bytes);
    return text + this.#settle(bytes === null);
  }

  /** Looks whether the last text was the end of the stream; gives the error event when it ended badly. */
  #settle(isBodyOver = false): string {
    const { failure, isFinished, canEnd } = this.#stream;
    if (failure !== null) {
      this.#end(failure);
      this.#reply.body.destroy(failure);
      return this.#stream.broken(failure);
    }
    if (isFinished || isBodyOver) {
      this.#end(null);
      this.#linger();
    } else if (canEnd && !this.#isEnding) {
      this.#isEnding = true;
      this.#attempt.limitIdleTime(this.#reply.body, LAST_WORDS_MS);
    }
    return '';
  }

  #broken(error: unknown): string {
    // Everything that matters was said: a reset after the finish is not a broken stream.
    if (this.#stream.canEnd) {
      const text = this.#stream.end();
      if (this.#stream.failure === null) {
        this.#end(null);
        return text;
      }
    }
    const failure = asFerryError(error);
    this.#end(failure);
    return failure.kind === 'client_gone' ? '' : this.#stream.broken(failure);
  }

  #end(failure: FerryError | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    // What a broken stream brought was paid for all the same.
    if (failure !== null) this.#stream.settleUsage();
    if (this.#totalTimer !== null) clearTimeout(this.#totalTimer);
    this.#attempt.finish(failure);
  }

  #linger(): void {
    const { body } = this.#reply;
    if (body.isSettled) return;
    const timer = setTimeout(() => body.destroy(new Error('held open after [DONE]')), LINGER_MS);
    timer.unref();
    void discard(this.#reply).finally(() => clearTimeout(timer));
  }

  #limitTotalTime(): void {
    const { upstream } = this.#attempt;
    const limitMs = upstream.limits.streamTotalTimeoutMs;
    if (limitMs <= 0) return;
    this.#totalTimer = setTimeout(() => {
      this.#reply.body.destroy(
        new FerryError('timeout', {
          message: `The stream was ended after stream_total_timeout (${inSeconds(limitMs)}).`,
        }),
      );
    }, limitMs);
  }
}

async function discard(reply: UpstreamResponse): Promise<void> {
  try {
    while ((await reply.body.next()) !== null);
  } catch {
    // Destroyed while lingering: that is what the timer is for.
  }
}
