import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../lib/clock.ts';
import { isPointer, resolvePointer } from '../../lib/json/json-pointer.ts';
import { fingerprintOf } from '../../lib/secret.ts';
import { FileWatch } from './file-watch.ts';
import { rawToken } from './raw-token.ts';
import { recipeKey } from './recipe-key.ts';
import { SourceVoice } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** A token that another program keeps fresh in a file: Kubernetes, a Vault agent, a side-car. */
export interface FileSettings {
  readonly type: 'file';
  readonly path: string;
  /** JSON pointer to the token, for a file that holds JSON. */
  readonly tokenAt?: string;
}

/** A file that is just being written is looked at again after these pauses. */
const REREAD_AFTER_MS = [50, 200];
/** Without an expiry inside, the file is read again after this, as client-go does. */
const REREAD_OPAQUE_MS = 60_000;
const LONGEST_FILE = 256 * 1024;

export class FileSource implements TokenSource {
  readonly kind = 'file';
  readonly key: string;
  readonly #voice: SourceVoice;
  readonly #settings: FileSettings;
  readonly #path: string;
  readonly #clock: Clock;

  constructor(name: string, settings: FileSettings, deps: SourceDeps) {
    this.#voice = new SourceVoice(name, deps.secrets);
    this.#settings = settings;
    this.#path = resolve(deps.baseDir ?? '.', settings.path);
    this.#clock = deps.clock;
    this.key = recipeKey({ ...settings, path: this.#path });
    if (settings.tokenAt !== undefined && !isPointer(settings.tokenAt)) {
      throw this.#voice.error('token_at', 'is no JSON pointer: it begins with "/"', 'credentials');
    }
  }

  /**
   * Empty, cut off and missing are what a file looks like while it is being replaced, and so is one that still holds the
   * token that was refused: looked at three times.
   */
  async acquire({ signal, clock, force, previousFingerprint }: AcquireContext): Promise<RawToken> {
    for (const pauseMs of REREAD_AFTER_MS) {
      const token = await this.#read(clock).catch(() => null);
      const isRefused = force && token !== null && fingerprintOf(token.value) === previousFingerprint;
      if (token !== null && !isRefused) return token;
      await sleep(pauseMs, undefined, { signal, ref: false });
    }
    return this.#read(clock);
  }

  watch(onChange: () => void): { close(): void } {
    return new FileWatch(this.#path, this.#clock, onChange);
  }

  async #read(clock: Clock): Promise<RawToken> {
    const text = await this.#text();
    const { field, value } = this.#locate(text);
    const token = rawToken(this.#voice, { field, value, hints: [], nowWallMs: clock.wallMs() });
    return token.expiresAtWallMs === undefined ? { ...token, refreshInMs: REREAD_OPAQUE_MS } : token;
  }

  async #text(): Promise<string> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      throw this.#voice.error('path', `${this.#settings.path} cannot be read (${code})`);
    }
    if (text.length > LONGEST_FILE)
      throw this.#voice.error('path', `${this.#settings.path} is no token: it is too long`);
    if (text.trim() === '') throw this.#voice.error('path', `${this.#settings.path} is empty`);
    return text;
  }

  #locate(text: string): { field: string; value: unknown } {
    const { path, tokenAt } = this.#settings;
    if (tokenAt === undefined) return { field: `path ${path}`, value: text };
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      throw this.#voice.error(
        'path',
        `${path} holds no JSON (${text.length} characters), and token_at is set`,
      );
    }
    return { field: `token_at ${tokenAt}`, value: resolvePointer(json, tokenAt).value };
  }
}
