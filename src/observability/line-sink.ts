import { close, fstat, mkdirSync, open, stat, write } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { type Clock, systemClock } from '../clock.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const statPath = promisify(stat);
const statFile = promisify(fstat);

/** Waiting text; a reader that is stuck for so long loses lines rather than the gateway its memory. */
const MOST_PENDING_CHARS = 8 * 1024 * 1024;
/** A descriptor that somebody set to non-blocking says EAGAIN while its pipe is full. */
const FULL_PIPE_PAUSE_MS = 20;
/** How often a file is looked up by name, to follow a rotation. */
const ROTATION_CHECK_MS = 5_000;

export interface LineSinkOptions {
  readonly clock?: Clock | undefined;
  /** Written when lines are accepted again after some were lost; ends with a newline. */
  readonly lossNotice?: ((lines: number) => string) | undefined;
  readonly mostPendingChars?: number | undefined;
}

/**
 * Appends lines to a descriptor or a file in the background. `process.stdout` is not used because writing to a
 * pipe blocks the whole process while its reader is stuck; here one write is under way in the thread pool, the
 * rest waits within a bound, and a full disk or a closed pipe costs lines and nothing else.
 */
export class LineSink {
  readonly #path: string | null;
  readonly #clock: Clock;
  readonly #lossNotice: ((lines: number) => string) | undefined;
  readonly #mostPendingChars: number;
  /** Null: a file that is not open (yet, or after a fault). */
  #fd: number | null;
  #inode = 0;
  #checkedAtMs = 0;
  #pending: string[] = [];
  #pendingChars = 0;
  /** The loop that empties `#pending`, never rejecting; null while there is nothing to do. */
  #draining: Promise<void> | null = null;
  /** True after a write that ended inside a line: the next one begins with a newline. */
  #isMidLine = false;
  /** True: the pipe behind the descriptor is closed for good. */
  #isGone = false;
  #dropped = 0;
  /** Lost since the last notice. */
  #unreported = 0;

  /** `target`: a descriptor that is not ours to close, or the path of a file to append to. */
  constructor(target: number | string, options: LineSinkOptions = {}) {
    this.#path = typeof target === 'string' ? target : null;
    this.#fd = typeof target === 'number' ? target : null;
    this.#clock = options.clock ?? systemClock;
    this.#lossNotice = options.lossNotice;
    this.#mostPendingChars = options.mostPendingChars ?? MOST_PENDING_CHARS;
  }

  /** Lines lost since the start. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /** Takes one or more whole lines, each with its newline. Never throws, never blocks. */
  write(lines: string): void {
    if (this.#isGone || this.#pendingChars + lines.length > this.#mostPendingChars) {
      this.#lose(lines);
      return;
    }
    this.#pending.push(lines);
    this.#pendingChars += lines.length;
    this.#draining ??= this.#drain();
  }

  /** Resolves when everything is written or lost, at the latest after `boundMs`. */
  async flush(boundMs: number): Promise<void> {
    const { promise: expired, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.schedule(resolve, boundMs);
    await Promise.race([this.#settled(), expired]);
    timer.cancel();
  }

  /** Flushes and closes the file; a descriptor stays open. Idempotent. */
  async close(boundMs: number): Promise<void> {
    await this.flush(boundMs);
    if (this.#draining === null) await this.#closeFile();
    this.#isGone = true;
  }

  async #settled(): Promise<void> {
    while (this.#draining !== null) await this.#draining;
  }

  async #drain(): Promise<void> {
    // One turn later: lines that come together are written together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0) {
      const text = this.#pending.length === 1 ? (this.#pending[0] as string) : this.#pending.join('');
      this.#pending = [];
      try {
        await this.#append(text);
      } catch (error) {
        this.#lose(text);
        await this.#recover(error);
      }
      // Counted until now: the text in flight takes memory too.
      this.#pendingChars -= text.length;
    }
    this.#draining = null;
  }

  async #append(text: string): Promise<void> {
    const fd = await this.#descriptor();
    const notice = this.#unreported > 0 ? (this.#lossNotice?.(this.#unreported) ?? '') : '';
    const bytes = Buffer.from((this.#isMidLine ? '\n' : '') + notice + text);
    for (let offset = 0; offset < bytes.length; ) {
      const written = await this.#writeSome(fd, bytes, offset);
      offset += written;
      if (written > 0) this.#isMidLine = bytes[offset - 1] !== NEWLINE;
    }
    this.#unreported = 0;
  }

  /** One write; 0 when the pipe is full just now. */
  async #writeSome(fd: number, bytes: Buffer, offset: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    write(fd, bytes, offset, bytes.length - offset, null, (error, written) => {
      if (error === null) resolve(written);
      else if (error.code === 'EAGAIN') resolve(0);
      else reject(error);
    });
    const written = await promise;
    if (written === 0) await this.#pause();
    return written;
  }

  /** Holds the process, unlike the clock's timers: lines of the last moment should still get out. */
  #pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, FULL_PIPE_PAUSE_MS));
  }

  async #descriptor(): Promise<number> {
    if (this.#path === null) return this.#fd as number;
    await this.#leaveRotatedFile(this.#path);
    if (this.#fd === null) {
      mkdirSync(dirname(this.#path), { recursive: true });
      this.#fd = await openFile(this.#path, 'a', 0o640);
      this.#inode = (await statFile(this.#fd)).ino;
      this.#checkedAtMs = this.#clock.monoMs();
    }
    return this.#fd;
  }

  async #leaveRotatedFile(path: string): Promise<void> {
    const nowMs = this.#clock.monoMs();
    if (this.#fd === null || nowMs - this.#checkedAtMs < ROTATION_CHECK_MS) return;
    this.#checkedAtMs = nowMs;
    const found = await statPath(path).catch(() => null);
    if (found?.ino !== this.#inode) await this.#closeFile();
  }

  async #recover(error: unknown): Promise<void> {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (this.#path === null && (code === 'EPIPE' || code === 'EBADF')) this.#isGone = true;
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const fd = this.#fd;
    if (this.#path === null || fd === null) return;
    this.#fd = null;
    await closeFile(fd).catch(() => {});
  }

  #lose(text: string): void {
    const lines = text.split('\n').length - 1;
    this.#dropped += lines;
    this.#unreported += lines;
  }
}

const NEWLINE = 0x0a;
