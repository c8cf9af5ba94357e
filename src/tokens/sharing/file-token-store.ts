import { randomUUID } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { chmod, link, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { makeDirectory } from '../../lib/directory.ts';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import {
  parseStoredToken,
  type RenewalLease,
  type StoredToken,
  type TokenStore,
  TokenStoreError,
} from './token-store.ts';

const OWNER_ONLY = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;
/** Bits that let other users write a token of theirs. */
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Shares tokens between processes of one user on one machine: one file per source in a directory of their own, written
 * aside and renamed, so that a reader sees the old or the new one and never half of it; a lock file, which only one
 * process can create, for the lease. Rejects when other users can write to the directory.
 */
export class FileTokenStore implements TokenStore {
  readonly #directory: string;
  readonly #clock: Clock;
  #isReady = false;

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  async get(key: string): Promise<StoredToken | null> {
    await this.#prepare();
    const text = await readIfThere(this.#tokenFile(key));
    return text === null ? null : parseStoredToken(text);
  }

  async put(key: string, token: StoredToken): Promise<boolean> {
    const before = await this.get(key);
    if (before !== null && before.generation >= token.generation) return false;
    const file = this.#tokenFile(key);
    const aside = `${file}.${randomUUID()}`;
    await writeNew(aside, JSON.stringify(token));
    try {
      await rename(aside, file);
    } catch (error) {
      await unlink(aside).catch(() => {});
      throw error;
    }
    return true;
  }

  async lease(key: string, forMs: number): Promise<RenewalLease | null> {
    await this.#prepare();
    const file = this.#lockFile(key);
    const text = JSON.stringify({ owner: randomUUID(), untilWallMs: this.#clock.wallMs() + forMs });
    if (!(await writeIfAbsent(file, text))) {
      await this.#breakIfStale(file, forMs);
      if (!(await writeIfAbsent(file, text))) return null;
    }
    return {
      release: async () => {
        // Only our own: after a stall it may belong to another process.
        if ((await readIfThere(file).catch(() => null)) === text) await unlink(file).catch(() => {});
      },
    };
  }

  watch(key: string, onHint: () => void): { close(): void } {
    const name = tokenName(key);
    let watcher: FSWatcher | null = null;
    let isClosed = false;
    // The directory and not the file: a watch on a file ends with the first rename over it.
    this.#prepare()
      .then(() => {
        if (isClosed) return;
        watcher = watch(this.#directory, { persistent: false }, (_, changed) => {
          if (changed === name) onHint();
        });
        watcher.on('error', () => watcher?.close());
      })
      .catch(() => {
        // Without hints the next renewal reads the store.
      });
    return {
      close: () => {
        isClosed = true;
        watcher?.close();
      },
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #tokenFile(key: string): string {
    return join(this.#directory, tokenName(key));
  }

  #lockFile(key: string): string {
    return `${this.#tokenFile(key)}.lock`;
  }

  async #prepare(): Promise<void> {
    if (this.#isReady) return;
    await makeDirectory(this.#directory, OWNER_ONLY_DIRECTORY);
    const { uid, mode } = await stat(this.#directory);
    const isOurs = process.getuid === undefined || uid === process.getuid();
    if (!isOurs || (mode & WRITABLE_BY_OTHERS) !== 0) {
      throw new TokenStoreError(
        'the directory of shared tokens must belong to this user and be writable by no other user',
      );
    }
    this.#isReady = true;
  }

  /**
   * Removes the lock of a process that died with it. Moved first and checked then: of two processes that find it stale
   * only one moves it, and one that moved a lock that was renewed in between puts it back.
   */
  async #breakIfStale(file: string, forMs: number): Promise<void> {
    const text = await readIfThere(file);
    if (text === null || !this.#isStale(text, forMs)) return;
    const aside = `${file}.${randomUUID()}`;
    try {
      await rename(file, aside);
    } catch {
      return;
    }
    const moved = await readIfThere(aside);
    if (moved !== null && !this.#isStale(moved, forMs)) await link(aside, file).catch(() => {});
    await unlink(aside).catch(() => {});
  }

  /** Expired, or further ahead than a lock can be: a clock was set back since it was made. */
  #isStale(text: string, forMs: number): boolean {
    const leftMs = numberAt(text, 'untilWallMs') - this.#clock.wallMs();
    return !(leftMs > 0 && leftMs <= 10 * forMs);
  }
}

function tokenName(key: string): string {
  return `${key.replaceAll(/[^0-9A-Za-z]/g, '').slice(0, 64)}.json`;
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * False: the file is there already. Written aside and linked, as a lock without its text yet would look stale.
 */
async function writeIfAbsent(file: string, text: string): Promise<boolean> {
  const aside = `${file}.${randomUUID()}`;
  await writeNew(aside, text);
  try {
    await link(aside, file);
    return true;
  } catch (error) {
    if (errorCodeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(aside).catch(() => {});
  }
}

/** Creates a file that must not exist, with mode 0600 regardless of the umask. */
async function writeNew(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', OWNER_ONLY);
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
  await chmod(file, OWNER_ONLY);
}

function numberAt(text: string, name: string): number {
  try {
    const value: unknown = JSON.parse(text)?.[name];
    return typeof value === 'number' ? value : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
