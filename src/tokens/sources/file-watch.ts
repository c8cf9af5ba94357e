import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../../lib/clock.ts';

const POLL_MS = 2_000;

/**
 * Tells when a file became another one. The truth is a `stat` every 2 s: Kubernetes swaps a symlink above the
 * file, and a watch on the file itself goes silent after that (kubernetes#111947). A watch on the directory is
 * only a hint to look at once. A file that cannot be read is no change; its return is.
 */
export class FileWatch {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #identity: string | undefined;
  #isClosed = false;
  /** A look is under way; hints that come meanwhile ask for one more after it. */
  #isLooking = false;
  #isHinted = false;

  constructor(path: string, clock: Clock, onChange: () => void) {
    this.#path = path;
    this.#clock = clock;
    this.#onChange = onChange;
    void this.#look();
    try {
      this.#watcher = watch(dirname(path), { persistent: false }, () => void this.#look());
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // No directory yet, or a file system without notifications: polling finds the file as well.
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#watcher?.close();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) {
      this.#isHinted = true;
      return;
    }
    this.#isLooking = true;
    this.#timer?.cancel();
    do {
      this.#isHinted = false;
      const identity = await identityOf(this.#path);
      if (this.#isClosed) return;
      const isChanged = this.#identity !== undefined && identity !== undefined && identity !== this.#identity;
      this.#identity = identity ?? this.#identity;
      if (isChanged) this.#onChange();
    } while (this.#isHinted);
    this.#isLooking = false;
    this.#timer = this.#clock.schedule(() => void this.#look(), POLL_MS);
  }
}

/** Changes whenever the content may have: `stat` follows symlinks, so a swapped one shows another inode. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
    return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
  } catch {
    return undefined;
  }
}
