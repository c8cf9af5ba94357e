import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, Timer } from '../../lib/clock.ts';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { isPointer, resolvePointer } from '../../lib/json/json-pointer.ts';
import { fingerprintOf } from '../../lib/secret.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { decodeText } from '../../lib/text/decode-text.ts';
import { pointedValues, rawToken } from './raw-token.ts';
import { SourceErrors } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** A token that another program keeps fresh in a file: Kubernetes, a Vault agent, a side-car. */
export interface FileSettings {
  readonly type: 'file';
  readonly path: string;
  /** JSON pointer to the token, for a file that holds JSON. */
  readonly tokenAt?: string;
  /** Further values of that JSON: name to JSON pointer. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** A file that is just being written is read again after these pauses. */
const REREAD_AFTER_MS = [50, 200];
/** Without an expiry inside, the file is read again after this, as client-go does. */
const REREAD_OPAQUE_MS = 60_000;
const MAX_FILE = 256 * 1024;

/** A token in a file, read again whenever the file changes. */
export class FileSource implements TokenSource {
  readonly kind = 'file';
  readonly key: string;
  readonly #errors: SourceErrors;
  readonly #settings: FileSettings;
  readonly #path: string;
  readonly #clock: Clock;

  constructor(name: string, settings: FileSettings, deps: SourceDeps) {
    this.#errors = new SourceErrors(name, deps.secrets);
    this.#settings = settings;
    this.#path = resolve(deps.baseDir ?? '.', settings.path);
    this.#clock = deps.clock;
    this.key = settingsKey({ ...settings, path: this.#path });
    if (settings.tokenAt !== undefined && !isPointer(settings.tokenAt)) {
      throw this.#errors.misconfigured('token_at', 'must be a JSON pointer, which begins with "/"');
    }
  }

  /**
   * While a file is being replaced it is empty, cut off, missing, or still holds the token that was rejected: it is read
   * up to three times.
   */
  async acquire({ signal, clock, force, previousFingerprint }: AcquireContext): Promise<RawToken> {
    for (const pauseMs of REREAD_AFTER_MS) {
      const token = await this.#read(clock).catch(() => null);
      const isRejected = force && token !== null && fingerprintOf(token.value) === previousFingerprint;
      if (token !== null && !isRejected) return token;
      await sleep(pauseMs, undefined, { signal, ref: false });
    }
    return this.#read(clock);
  }

  watch(onChange: () => void): { close(): void } {
    return new FileWatch(this.#path, this.#clock, onChange);
  }

  async #read(clock: Clock): Promise<RawToken> {
    const text = await this.#text();
    const { field, value, json } = this.#locate(text);
    const token = rawToken(this.#errors, {
      field,
      value,
      hints: [],
      nowWallMs: clock.wallMs(),
      ...pointedValues(this.#errors, json, this.#settings.extra),
    });
    return token.expiresAtWallMs === undefined ? { ...token, refreshInMs: REREAD_OPAQUE_MS } : token;
  }

  async #text(): Promise<string> {
    const { path } = this.#settings;
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#path);
    } catch (error) {
      const code = errorCodeOf(error) ?? 'unknown error';
      if (code === 'EISDIR') throw this.#errors.misconfigured('path', `${path} is a directory`);
      // Its writer may begin later: the watch sees the file when it is there, so that requests need not wait for it.
      throw this.#errors.misconfigured('path', `cannot read ${path} (${code})`);
    }
    if (bytes.length > MAX_FILE) throw this.#errors.misconfigured('path', `${path} is too large for a token`);
    // PowerShell's redirection and older Windows programs write UTF-16.
    const text = decodeText(bytes);
    if (text.trim() === '') throw this.#errors.misconfigured('path', `${path} is empty`);
    return text;
  }

  #locate(text: string): { field: string; value: unknown; json?: unknown } {
    const { path, tokenAt } = this.#settings;
    if (tokenAt === undefined) return { field: `path ${path}`, value: text };
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      throw this.#errors.misconfigured(
        'path',
        `${path} is not JSON (${text.length} characters). Remove token_at?`,
      );
    }
    return { field: `token_at ${tokenAt}`, value: resolvePointer(json, tokenAt).value, json };
  }
}

const POLL_MS = 2_000;

/**
 * Reports that a file was replaced or rewritten. A `stat` every 2 s decides: Kubernetes swaps a symlink above the file,
 * and a watch on the file itself gets nothing after that (kubernetes#111947). A watch on the directory is only a hint to
 * look at once. A file that becomes unreadable is no change; its return is.
 */
class FileWatch {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  /** Null: it was not looked for yet; empty: it was never there. */
  #identity: string | null = null;
  #isClosed = false;
  /** A look is under way; hints that come meanwhile cause one more after it. */
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
      const isChanged = this.#identity !== null && identity !== undefined && identity !== this.#identity;
      this.#identity = identity ?? this.#identity ?? '';
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
