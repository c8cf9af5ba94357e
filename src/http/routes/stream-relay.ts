import { asFerryError, FerryError } from '../../lib/errors/ferry-error.ts';
import { inSeconds } from '../../lib/text/format.ts';
import type { ResponseStream } from '../../openai/chat/response-format.ts';
import type { Attempt } from '../../routing/attempt.ts';
import { checkToken } from '../../routing/attempt-call.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { ReadDirective, ResponseBody } from '../../upstream/transport/body.ts';

/** How long an upstream may hold its connection after `[DONE]`: long enough to end properly and keep it pooled. */
const LINGER_MS = 500;
/** Every choice is finished and only `[DONE]` is missing: usage may still come, but not for long. */
const END_WAIT_MS = 5_000;
/** So much of a stream is searched for a rejected token (`reject`), again with each piece. UTF-16 units. */
const MAX_SEARCHED_LENGTH = 64 * 1024;

/** Reads until the first content, or a legitimate end, and returns the events so far; throws what the stream fails with. */
export async function readUntilContent(
  attempt: Attempt,
  response: UpstreamResponse,
  stream: ResponseStream,
): Promise<string> {
  const { hasBodyMatchers } = attempt.upstream.client;
  attempt.limitFirstContent();
  let searched: Buffer = Buffer.alloc(0);
  let head = '';
  while (!stream.hasContent && !stream.isFinished) {
    const bytes = await response.body.next();
    if (hasBodyMatchers && bytes !== null && searched.length < MAX_SEARCHED_LENGTH) {
      searched = Buffer.concat([searched, bytes]);
      checkToken(attempt, response, searched);
    }
    head += bytes === null ? stream.end() : stream.push(bytes);
    if (stream.failure !== null && !stream.hasContent) throw stream.failure;
    if (bytes === null) break;
  }
  return head;
}

interface EventWriter {
  /** The promise is kept when the client has read enough for more; null: no need to wait. */
  write(text: string): Promise<void> | null;
}

/**
 * Writes `head` and the rest of a committed stream to the client and finishes the attempt, so that a break still counts
 * against the upstream. Resolves with the failure, which was sent as an error event, or null.
 */
export function relayStream(
  attempt: Attempt,
  response: UpstreamResponse,
  stream: ResponseStream,
  head: string,
  writer: EventWriter,
): Promise<FerryError | null> {
  return new StreamRelay(attempt, response, stream, writer).run(head);
}

class StreamRelay {
  readonly #attempt: Attempt;
  readonly #body: ResponseBody;
  readonly #stream: ResponseStream;
  readonly #writer: EventWriter;
  #isOver = false;
  /** Set when every choice is finished. */
  #isEnding = false;
  #failure: FerryError | null = null;
  #totalTimer: NodeJS.Timeout | null = null;

  constructor(attempt: Attempt, { body }: UpstreamResponse, stream: ResponseStream, writer: EventWriter) {
    this.#attempt = attempt;
    this.#body = body;
    this.#stream = stream;
    this.#writer = writer;
  }

  /** A piece goes from socket to socket without a promise, since a stream of a hundred frames would pay for a hundred. */
  async run(head: string): Promise<FerryError | null> {
    this.#attempt.limitIdleTime(this.#body);
    this.#limitTotalTime();
    const directive = this.#write(head + this.#settle(false));
    if (typeof directive !== 'string') await directive;
    if (this.#isOver) return this.#failure;
    try {
      const hasEnded = await this.#body.readEach((bytes) => this.#write(this.#take(bytes)));
      if (hasEnded) this.#write(this.#take(null));
    } catch (error) {
      this.#write(this.#broken(error));
    }
    return this.#failure;
  }

  #write(text: string): ReadDirective {
    const drained = text === '' ? null : this.#writer.write(text);
    return this.#isOver ? 'enough' : (drained ?? 'more');
  }

  /** The text of one piece of the upstream's body; null: it is over. */
  #take(bytes: Buffer | null): string {
    const text = bytes === null ? this.#stream.end() : this.#stream.push(bytes);
    return text + this.#settle(bytes === null);
  }

  /** Checks whether the last text was the end of the stream; returns the error event when it ended with an error. */
  #settle(isBodyOver: boolean): string {
    const { failure, isFinished, canEnd } = this.#stream;
    if (failure !== null) {
      this.#end(failure);
      this.#body.destroy(failure);
      return this.#stream.broken(failure);
    }
    if (isFinished || isBodyOver) {
      this.#end(null);
      if (!this.#body.isSettled) void linger(this.#body);
    } else if (canEnd && !this.#isEnding) {
      this.#isEnding = true;
      this.#attempt.limitIdleTime(this.#body, END_WAIT_MS);
    }
    return '';
  }

  #broken(error: unknown): string {
    // All content is there: a reset after the finish is not a broken stream.
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
    // The tokens of a broken stream were paid for too.
    if (failure !== null) this.#stream.settleUsage();
    if (this.#totalTimer !== null) clearTimeout(this.#totalTimer);
    this.#attempt.finish(failure);
  }

  #limitTotalTime(): void {
    const limitMs = this.#attempt.upstream.limits.streamTotalTimeoutMs;
    if (limitMs <= 0) return;
    this.#totalTimer = setTimeout(() => {
      this.#body.destroy(
        new FerryError('timeout', {
          message: `The stream was aborted after stream_total_timeout (${inSeconds(limitMs)}).`,
        }),
      );
    }, limitMs);
  }
}

/** Reads on to the end of a body that is held open after `[DONE]`, so that its connection is used again. */
async function linger(body: ResponseBody): Promise<void> {
  const timer = setTimeout(() => body.destroy(new Error('held open after [DONE]')), LINGER_MS);
  timer.unref();
  try {
    while ((await body.next()) !== null);
  } catch {
    // Destroyed by the timer.
  } finally {
    clearTimeout(timer);
  }
}
