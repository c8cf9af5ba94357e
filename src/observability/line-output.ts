import { close, fstat, fstatSync, mkdir, open, stat, write } from 'node:fs';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import type { Clock } from '../lib/clock.ts';

const makeDirectory = promisify(mkdir);
const openFile = promisify(open);
const closeFile = promisify(close);
const statPath = promisify(stat);
const statFile = promisify(fstat);

/** A descriptor that somebody set to non-blocking says EAGAIN while its reader is slow. */
const FULL_PAUSE_MS = 20;
/** How often a file is looked up by name, to follow a rotation. */
const ROTATION_CHECK_MS = 5_000;

/** Where lines end up. One `append` at a time. */
export interface LineOutput {
  /** Rejects when not all of `text` is written; how much was, `isMidLine` tells. */
  append(text: string): Promise<void>;
  /** True after a write that ended inside a line. */
  readonly isMidLine: boolean;
  /** True: nothing will ever be written again. */
  readonly isGone: boolean;
  close(): Promise<void>;
}

/**
 * The output for a descriptor of the process. Pipes and sockets go through the stream of Node, which leaves the
 * waiting to the event loop: a write in the thread pool would stall the end of the process while the reader is
 * stuck. Regular files and terminals go through the thread pool, where Node's streams would block the event loop.
 */
export function outputOf(descriptor: number): LineOutput {
  if (descriptor === 1 && isPipe(descriptor)) return new StreamOutput(process.stdout);
  if (descriptor === 2 && isPipe(descriptor)) return new StreamOutput(process.stderr);
  return new DescriptorOutput(descriptor);
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
class StreamOutput implements LineOutput {
  readonly #stream: Writable;
  readonly isMidLine = false;
  #isGone = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    // The reader went away; without a listener that ends the process.
    stream.on('error', () => {
      this.#isGone = true;
    });
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  append(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(text, (error) => {
        if (error === null || error === undefined) return resolve();
        this.#isGone = true;
        reject(error);
      });
    });
  }

  async close(): Promise<void> {}
}

/** A descriptor that others opened and will close. */
class DescriptorOutput implements LineOutput {
  readonly #writer: DescriptorWriter;
  #isGone = false;

  constructor(descriptor: number) {
    this.#writer = new DescriptorWriter(descriptor);
  }

  get isMidLine(): boolean {
    return this.#writer.isMidLine;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  async append(text: string): Promise<void> {
    try {
      await this.#writer.write(text);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EPIPE' || code === 'EBADF') this.#isGone = true;
      throw error;
    }
  }

  async close(): Promise<void> {}
}

/** A file that is appended to; opened anew after a fault and when it was rotated away. */
export class FileOutput implements LineOutput {
  readonly #path: string;
  readonly #clock: Clock;
  readonly isGone = false;
  #writer: DescriptorWriter | null = null;
  #inode = 0;
  #checkedAtMs = 0;
  #wasMidLine = false;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  get isMidLine(): boolean {
    return this.#writer?.isMidLine ?? this.#wasMidLine;
  }

  async append(text: string): Promise<void> {
    await this.#leaveRotatedFile();
    this.#writer ??= await this.#open();
    try {
      await this.#writer.write(text);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const writer = this.#writer;
    if (writer === null) return;
    this.#writer = null;
    this.#wasMidLine = writer.isMidLine;
    await closeFile(writer.descriptor).catch(() => {});
  }

  async #open(): Promise<DescriptorWriter> {
    await makeDirectory(dirname(this.#path), { recursive: true });
    const descriptor = await openFile(this.#path, 'a', 0o640);
    this.#inode = (await statFile(descriptor)).ino;
    this.#checkedAtMs = this.#clock.monoMs();
    const writer = new DescriptorWriter(descriptor);
    writer.isMidLine = this.#wasMidLine;
    return writer;
  }

  async #leaveRotatedFile(): Promise<void> {
    const nowMs = this.#clock.monoMs();
    if (this.#writer === null || nowMs - this.#checkedAtMs < ROTATION_CHECK_MS) return;
    this.#checkedAtMs = nowMs;
    const found = await statPath(this.#path).catch(() => null);
    if (found?.ino === this.#inode) return;
    await this.close();
    this.#wasMidLine = false;
  }
}

/** Writes all of a text, however many writes that takes. */
class DescriptorWriter {
  readonly descriptor: number;
  /** Whether the last byte that was written here belongs to an unfinished line. */
  isMidLine = false;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  async write(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    for (let offset = 0; offset < bytes.length; ) {
      const written = await this.#writeSome(bytes, offset);
      offset += written;
      if (written > 0) this.isMidLine = bytes[offset - 1] !== NEWLINE;
      else await new Promise((resolve) => setTimeout(resolve, FULL_PAUSE_MS));
    }
  }

  /** One write; 0 when the descriptor takes nothing just now. */
  #writeSome(bytes: Buffer, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.descriptor, bytes, offset, bytes.length - offset, null, (error, written) => {
        if (error === null) resolve(written);
        else if (error.code === 'EAGAIN') resolve(0);
        else reject(error);
      });
    });
  }
}

const NEWLINE = 0x0a;
