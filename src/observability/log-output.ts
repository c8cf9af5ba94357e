import { close, fstat, fstatSync, open, stat, write } from 'node:fs';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { type Clock, systemClock } from '../lib/clock.ts';
import { makeDirectory } from '../lib/directory.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const statPath = promisify(stat);
const statFile = promisify(fstat);

/** Buffered text; a reader that is stuck for longer costs lines, not memory. */
const MAX_PENDING_CHARS = 8 * 1024 * 1024;
/** Minimum time between two writes: one use of the thread pool costs as much as a hundred lines. */
const WRITE_EVERY_MS = 200;
/** More buffered text than this is written at once. */
const MAX_PACED_CHARS = 256 * 1024;
/** Pause after EAGAIN: a non-blocking descriptor whose reader is slow. */
const EAGAIN_PAUSE_MS = 20;
/** How often the path of a log file is checked for a rotation. */
const ROTATION_CHECK_MS = 5_000;
const NEWLINE = 0x0a;

interface LogOutputOptions {
  readonly clock?: Clock | undefined;
  /** The line that reports lost lines once writing works again; ends with a newline. */
  readonly lossNotice?: ((lines: number) => string) | undefined;
  readonly maxPendingChars?: number | undefined;
}

/**
 * Appends lines in the background: one write at a time, the rest in a bounded buffer. A full disk, a stuck reader or a
 * closed pipe costs lines, which are counted, and nothing else.
 */
export class LogOutput {
  readonly #destination: LogDestination;
  readonly #clock: Clock;
  readonly #lossNotice: ((lines: number) => string) | undefined;
  readonly #maxPendingChars: number;
  #pending: string[] = [];
  /** Characters in `#pending` and in the write in progress. */
  #pendingChars = 0;
  /** The loop that empties `#pending`, never rejecting; null while there is nothing to write. */
  #draining: Promise<void> | null = null;
  /** Ends the pause between two writes; null while there is none. */
  #endPause: (() => void) | null = null;
  /** Flushes in progress: writes then follow each other without a pause. */
  #flushes = 0;
  #isClosed = false;
  #dropped = 0;
  /** Lost since the last notice. */
  #unreported = 0;

  /** `target`: a descriptor, which stays open, or the path of a file to append to. */
  constructor(target: number | string, options: LogOutputOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#destination = destinationOf(target, this.#clock);
    this.#lossNotice = options.lossNotice;
    this.#maxPendingChars = options.maxPendingChars ?? MAX_PENDING_CHARS;
  }

  /** Lines lost since the start. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /** Takes one or more whole lines, each with its newline. Never throws, never blocks. */
  write(lines: string): void {
    const isFull = this.#pendingChars + lines.length > this.#maxPendingChars;
    if (isFull || this.#isClosed || this.#destination.isGone) {
      this.#drop(lines);
      return;
    }
    this.#pending.push(lines);
    this.#pendingChars += lines.length;
    if (this.#pendingChars > MAX_PACED_CHARS) this.#endPause?.();
    this.#draining ??= this.#drain();
  }

  /** Flushes for at most `maxMs` and closes a file; a descriptor stays open. Idempotent. */
  async close(maxMs: number): Promise<void> {
    await this.flush(maxMs);
    this.#isClosed = true;
    if (this.#draining === null) await this.#destination.close();
  }

  /** Resolves when everything is written or lost, or after `maxMs`. */
  async flush(maxMs: number): Promise<void> {
    const { promise: expired, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.schedule(resolve, maxMs);
    this.#flushes += 1;
    this.#endPause?.();
    await Promise.race([this.#drained(), expired]);
    this.#flushes -= 1;
    timer.cancel();
  }

  async #drained(): Promise<void> {
    while (this.#draining !== null) await this.#draining;
  }

  async #drain(): Promise<void> {
    // One event loop turn later, so that lines of the same turn are written together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0) {
      const text = this.#pending.join('');
      this.#pending = [];
      try {
        await this.#append(text);
      } catch {
        this.#drop(text);
      }
      this.#pendingChars -= text.length;
      await this.#pause();
    }
    this.#draining = null;
  }

  /** The pause after a write. Its timer keeps the process alive, so that lines of the meantime are still written. */
  async #pause(): Promise<void> {
    if (this.#flushes > 0 || this.#pendingChars > MAX_PACED_CHARS) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, WRITE_EVERY_MS);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = null;
  }

  async #append(text: string): Promise<void> {
    const reported = this.#unreported;
    const notice = reported > 0 ? (this.#lossNotice?.(reported) ?? '') : '';
    await this.#destination.append((this.#destination.isMidLine ? '\n' : '') + notice + text);
    this.#unreported -= reported;
  }

  #drop(text: string): void {
    const lines = text.split('\n').length - 1;
    this.#dropped += lines;
    this.#unreported += lines;
  }
}

/** Where lines are written. One `append` at a time. */
interface LogDestination {
  /** Rejects when `text` was not written completely. */
  append(text: string): Promise<void>;
  /** True after a write that stopped within a line. */
  readonly isMidLine: boolean;
  /** True: no later write can succeed. */
  readonly isGone: boolean;
  close(): Promise<void>;
}

/**
 * Pipes and sockets are written through Node's stream, which waits in the event loop: a write in the thread pool would
 * block the exit of the process while the reader is stuck. Files and terminals are written in the thread pool, because
 * Node's streams would block the event loop there.
 */
function destinationOf(target: number | string, clock: Clock): LogDestination {
  if (typeof target === 'string') return new FileDestination(target, clock);
  if (target === 1 && isPipe(target)) return new StreamDestination(process.stdout);
  if (target === 2 && isPipe(target)) return new StreamDestination(process.stderr);
  return new DescriptorDestination(target);
}

function isPipe(descriptor: number): boolean {
  try {
    const found = fstatSync(descriptor);
    return found.isFIFO() || found.isSocket();
  } catch {
    return false;
  }
}

/** Standard output or error as a pipe. */
class StreamDestination implements LogDestination {
  readonly #stream: Writable;
  readonly isMidLine = false;
  isGone = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    // The reader closed the pipe; without a listener the error would end the process.
    stream.on('error', () => {
      this.isGone = true;
    });
  }

  append(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(text, (error) => {
        if (error === null || error === undefined) return resolve();
        this.isGone = true;
        reject(error);
      });
    });
  }

  async close(): Promise<void> {}
}

/** An open descriptor; writes the whole text, in as many writes as that takes. */
class DescriptorDestination implements LogDestination {
  readonly descriptor: number;
  isMidLine: boolean;
  isGone = false;

  constructor(descriptor: number, isMidLine = false) {
    this.descriptor = descriptor;
    this.isMidLine = isMidLine;
  }

  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    for (let offset = 0; offset < bytes.length; ) {
      const written = await this.#write(bytes, offset);
      offset += written;
      if (written > 0) this.isMidLine = bytes[offset - 1] !== NEWLINE;
      else await new Promise((resolve) => setTimeout(resolve, EAGAIN_PAUSE_MS));
    }
  }

  async close(): Promise<void> {}

  /** One write: how many bytes it took, 0 on EAGAIN. */
  #write(bytes: Buffer, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.descriptor, bytes, offset, bytes.length - offset, null, (error, written) => {
        if (error === null) return resolve(written);
        if (error.code === 'EAGAIN') return resolve(0);
        this.isGone = error.code === 'EPIPE' || error.code === 'EBADF';
        reject(error);
      });
    });
  }
}

/** A file that is appended to; opened again after a failed write and after a rotation. */
class FileDestination implements LogDestination {
  readonly #path: string;
  readonly #clock: Clock;
  readonly isGone = false;
  #file: DescriptorDestination | null = null;
  #inode = 0;
  #checkedAtMs = 0;
  #wasMidLine = false;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  get isMidLine(): boolean {
    return this.#file?.isMidLine ?? this.#wasMidLine;
  }

  async append(text: string): Promise<void> {
    await this.#closeRotatedFile();
    this.#file ??= await this.#open();
    try {
      await this.#file.append(text);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    this.#wasMidLine = file.isMidLine;
    await closeFile(file.descriptor).catch(() => {});
  }

  async #open(): Promise<DescriptorDestination> {
    await makeDirectory(dirname(this.#path));
    const descriptor = await openFile(this.#path, 'a', 0o640);
    this.#inode = (await statFile(descriptor)).ino;
    this.#checkedAtMs = this.#clock.monoMs();
    return new DescriptorDestination(descriptor, this.#wasMidLine);
  }

  async #closeRotatedFile(): Promise<void> {
    const nowMs = this.#clock.monoMs();
    if (this.#file === null || nowMs - this.#checkedAtMs < ROTATION_CHECK_MS) return;
    this.#checkedAtMs = nowMs;
    const found = await statPath(this.#path).catch(() => null);
    if (found?.ino === this.#inode) return;
    await this.close();
    this.#wasMidLine = false;
  }
}
