import { open, readFile, rename, unlink } from 'node:fs/promises';

/**
 * The refresh token that is good now. With a file it outlives the process: a rotated token is written, synced and
 * renamed into place before anything is done with it, since the one before is worthless from then on.
 */
export class RefreshTokenStore {
  readonly #path: string | undefined;
  /** Which issuer, client and first token the file belongs to: a stored secret is sent nowhere else. */
  readonly #pin: string;
  readonly #first: string | undefined;
  #current: string | undefined;
  #isLoaded = false;

  constructor(options: { path: string | undefined; pin: string; first: string | undefined }) {
    this.#path = options.path;
    this.#pin = options.pin;
    this.#first = options.first;
    this.#current = options.first;
  }

  /** The token to use; undefined when a new login is what is left. */
  async current(): Promise<string | undefined> {
    if (!this.#isLoaded && this.#path !== undefined) this.#current = (await this.#load()) ?? this.#current;
    this.#isLoaded = true;
    return this.#current;
  }

  /** Keeps a rotated token. Rejects when it cannot be written; it is in use anyway. */
  async rotate(token: string): Promise<void> {
    if (token === this.#current) return;
    this.#current = token;
    if (this.#path === undefined) return;
    const partial = `${this.#path}.${process.pid}.tmp`;
    try {
      const file = await open(partial, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify({ pin: this.#pin, refresh_token: token }));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(partial, this.#path);
    } catch (error) {
      await unlink(partial).catch(() => {});
      throw error;
    }
  }

  /**
   * What to try when the server rejected `token`: the configured one, if it is another; else nothing. The rejected
   * one is not forgotten: servers also send invalid_grant while their own store is starting.
   */
  instead(token: string): string | undefined {
    return token === this.#first ? undefined : this.#first;
  }

  /** A new login succeeded without a refresh token: the old one has no use any more. */
  forget(): void {
    this.#current = undefined;
  }

  async #load(): Promise<string | undefined> {
    try {
      const stored: unknown = JSON.parse(await readFile(this.#path ?? '', 'utf8'));
      const { pin, refresh_token: token } = stored as Record<string, unknown>;
      return pin === this.#pin && typeof token === 'string' ? token : undefined;
    } catch {
      // None yet, or unreadable: the configured one is the beginning.
      return undefined;
    }
  }
}
