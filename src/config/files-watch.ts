import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../clock.ts';

/** How often files are looked at where the system does not tell of changes (network file systems, some containers). */
const POLL_MS = 2_000;
/** Editors and copies write in several steps: after the first sign of a change so much quiet is waited for. */
const QUIET_MS = 250;

/**
 * Tells when one of several files became another one, was removed or came back. The truth is a `stat` of each, since
 * Kubernetes swaps a symlink above mounted files; a watch on their directories only says to look at once.
 */
export class FilesWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #files: readonly string[] = [];
  #watchers: FSWatcher[] = [];
  #identity: string | null = null;
  #poll: Timer | null = null;
  /** Set while a change was seen and the files are not quiet yet. */
  #quiet: Timer | null = null;
  #isClosed = false;

  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Watches these files instead, as they are now: what changed before is no change. */
  async follow(files: readonly string[]): Promise<void> {
    this.#files = files;
    this.#closeWatchers();
    const directories = new Set(files.map((file) => dirname(file)));
    this.#watchers = [...directories].flatMap((directory) => this.#watch(directory));
    const identity = await identityOf(files);
    if (this.#files !== files || this.#isClosed) return;
    this.#identity = identity;
    this.#pollLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#poll?.cancel();
    this.#quiet?.cancel();
    this.#closeWatchers();
  }

  #watch(directory: string): FSWatcher[] {
    try {
      const watcher = watch(directory, { persistent: false }, () => void this.#look());
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      // No such directory, or no more watches to be had: polling finds changes as well.
      return [];
    }
  }

  #closeWatchers(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  #pollLater(): void {
    this.#poll?.cancel();
    this.#poll = this.#clock.schedule(() => void this.#look(), POLL_MS);
  }

  async #look(): Promise<void> {
    const files = this.#files;
    const identity = await identityOf(files);
    if (this.#isClosed || this.#files !== files || this.#identity === null) return;
    this.#pollLater();
    if (identity === this.#identity) return;
    this.#identity = identity;
    this.#quiet?.cancel();
    this.#quiet = this.#clock.schedule(() => {
      this.#quiet = null;
      this.#onChange();
    }, QUIET_MS);
  }
}

/** Another text whenever the content of one of the files may be another; links are followed. */
async function identityOf(files: readonly string[]): Promise<string> {
  const identities = await Promise.all(
    files.map(async (file) => {
      try {
        const { dev, ino, size, mtimeMs, ctimeMs } = await stat(file);
        return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
      } catch {
        return 'missing';
      }
    }),
  );
  return identities.join('\n');
}
