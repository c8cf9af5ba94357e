import { type FSWatcher, type Stats, statSync, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Clock, Timer } from '../../lib/clock.ts';

/** Poll interval for systems without change notifications (network file systems, some containers). */
const POLL_MS = 2_000;
/** Editors and copies write in several steps: how long the files must be unchanged before they are read. */
const QUIET_MS = 250;

/**
 * Reports that one of several files was replaced, removed or created. A `stat` of each decides, because Kubernetes swaps a
 * symlink above mounted files; watching their directories only triggers it earlier.
 */
export class FilesWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #files: readonly string[] = [];
  #watchers: FSWatcher[] = [];
  #identity = '';
  #poll: Timer | null = null;
  /** Set while a change was seen and the files are not quiet yet. */
  #quiet: Timer | null = null;
  #isClosed = false;

  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Watches these files instead, as they are now. Call it in the same turn in which they were read. */
  follow(files: readonly string[]): void {
    this.#files = files;
    this.#identity = identityNow(files);
    this.#closeWatchers();
    const directories = new Set(files.map((file) => dirname(file)));
    this.#watchers = [...directories].flatMap((directory) => this.#watch(directory));
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
      const watcher = watch(directory, { persistent: false }, (_event, name) => {
        if (name === null || this.#concerns(name)) void this.#look();
      });
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      // No such directory, or no more watches to be had: polling finds changes as well.
      return [];
    }
  }

  /** Whether a change in a directory may be one of the files: the database beside them changes all the time. */
  #concerns(name: string): boolean {
    // Kubernetes swaps the link `..data`, through which the files are reached.
    return name.startsWith('..') || this.#files.some((file) => basename(file) === name);
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
    if (this.#isClosed || this.#files !== files) return;
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

/** A text that differs whenever the content of one of the files may differ; links are followed. */
async function identityOf(files: readonly string[]): Promise<string> {
  const identities = await Promise.all(
    files.map(async (file) => {
      try {
        return described(await stat(file));
      } catch {
        return MISSING;
      }
    }),
  );
  return identities.join('\n');
}

/** The same without a turn of the loop in which they could change. */
function identityNow(files: readonly string[]): string {
  const identities = files.map((file) => {
    const found = statSync(file, { throwIfNoEntry: false });
    return found === undefined ? MISSING : described(found);
  });
  return identities.join('\n');
}

const MISSING = 'missing';

function described({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}
