import { type Clock, systemClock } from '../lib/clock.ts';
import { FileOutput, type LineOutput, outputOf } from './line-output.ts';

/** Waiting text; a reader that is stuck for so long loses lines rather than the gateway its memory. */
const MOST_PENDING_CHARS = 8 * 1024 * 1024;

/** Writes follow each other at this pace: a wake of the thread pool costs as much as a hundred lines. */
const WRITE_EVERY_MS = 200;
/** So much text does not wait for the pace. */
const PACED_CHARS = 256 * 1024;

interface LineSinkOptions {
  readonly clock?: Clock | undefined;
  /** Written when lines are accepted again after some were lost; ends with a newline. */
  readonly lossNotice?: ((lines: number) => string) | undefined;
  readonly mostPendingChars?: number | undefined;
}

/**
 * Appends lines in the background: one write is under way, the rest waits within a bound. A full disk, a stuck
 * reader or a closed pipe costs lines, which are counted, and nothing else.
 */
export class LineSink {
  readonly #output: LineOutput;
  readonly #clock: Clock;
  readonly #lossNotice: ((lines: number) => string) | undefined;
  readonly #mostPendingChars: number;
  #pending: string[] = [];
  /** Characters in `#pending` and of the write under way. */
  #pendingChars = 0;
  /** The loop that empties `#pending`, never rejecting; null while there is nothing to do. */
  #draining: Promise<void> | null = null;
  /** Ends the pause between two writes early; null while there is none. */
  #hurry: (() => void) | null = null;
  /** Flushes under way: while there are any, writes follow each other without a pause. */
  #flushes = 0;
  #isClosed = false;
  #dropped = 0;
  /** Lost since the last notice. */
  #unreported = 0;

  /** `target`: a descriptor that is not ours to close, or the path of a file to append to. */
  constructor(target: number | string, options: LineSinkOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#output = typeof target === 'string' ? new FileOutput(target, this.#clock) : outputOf(target);
    this.#lossNotice = options.lossNotice;
    this.#mostPendingChars = options.mostPendingChars ?? MOST_PENDING_CHARS;
  }

  /** Lines lost since the start. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /** Takes one or more whole lines, each with its newline. Never throws, never blocks. */
  write(lines: string): void {
    const isFull = this.#pendingChars + lines.length > this.#mostPendingChars;
    if (isFull || this.#isClosed || this.#output.isGone) {
      this.#lose(lines);
      return;
    }
    this.#pending.push(lines);
    this.#pendingChars += lines.length;
    if (this.#pendingChars > PACED_CHARS) this.#hurry?.();
    this.#draining ??= this.#drain();
  }

  /** Writes what waits, for at most `boundMs`, and closes a file; a descriptor stays open. Idempotent. */
  async close(boundMs: number): Promise<void> {
    await this.flush(boundMs);
    this.#isClosed = true;
    if (this.#draining === null) await this.#output.close();
  }

  /** Resolves when everything is written or lost, at the latest after `boundMs`. */
  async flush(boundMs: number): Promise<void> {
    const { promise: expired, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.schedule(resolve, boundMs);
    this.#flushes += 1;
    this.#hurry?.();
    await Promise.race([this.#settled(), expired]);
    this.#flushes -= 1;
    timer.cancel();
  }

  async #settled(): Promise<void> {
    while (this.#draining !== null) await this.#draining;
  }

  async #drain(): Promise<void> {
    // One turn later: lines that come together are written together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0) {
      const text = this.#pending.join('');
      this.#pending = [];
      try {
        await this.#append(text);
      } catch {
        this.#lose(text);
      }
      this.#pendingChars -= text.length;
      await this.#pace();
    }
    this.#draining = null;
  }

  /** The pause after a write. Its timer holds the process: what came meanwhile should still get out. */
  async #pace(): Promise<void> {
    if (this.#flushes > 0 || this.#pendingChars > PACED_CHARS) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, WRITE_EVERY_MS);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#hurry = null;
  }

  async #append(text: string): Promise<void> {
    const reported = this.#unreported;
    const notice = reported > 0 ? (this.#lossNotice?.(reported) ?? '') : '';
    await this.#output.append((this.#output.isMidLine ? '\n' : '') + notice + text);
    this.#unreported -= reported;
  }

  #lose(text: string): void {
    const lines = text.split('\n').length - 1;
    this.#dropped += lines;
    this.#unreported += lines;
  }
}
