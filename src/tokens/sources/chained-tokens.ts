import type { SourceVoice } from './source-errors.ts';
import type { AcquireContext, SourceDeps } from './token-source.ts';

/**
 * The tokens of other sources that a source is given. After a refusal they are asked for by force once: that the next
 * attempts fail too is no reason to ask their issuers each time, which may be what they lock an account for.
 */
export class ChainedTokens {
  readonly #voice: SourceVoice;
  readonly #tokenOf: SourceDeps['tokenOf'];
  /** By source: the fingerprint of the refused token for which it was asked by force last. */
  readonly #forcedFor = new Map<string, string | undefined>();

  constructor(voice: SourceVoice, deps: SourceDeps) {
    this.#voice = voice;
    this.#tokenOf = deps.tokenOf;
  }

  /** The token of `sourceName`; an error that names `field`, the setting, and the source when it has none. */
  async tokenOf(field: string, sourceName: string, context: AcquireContext): Promise<string> {
    const { signal } = context;
    if (this.#isForced(sourceName, context)) {
      const renewed = await this.#tokenOf(sourceName, { signal, force: true }).catch(() => null);
      if (renewed !== null) return renewed;
      // What it has may serve all the same: the refused token was ours and not this one.
    }
    try {
      return await this.#tokenOf(sourceName, { signal, force: false });
    } catch (cause) {
      throw this.#voice.error(field, `waits for ${sourceName}, which has no token now`, 'transient', cause);
    }
  }

  #isForced(sourceName: string, { force, reason, previousFingerprint }: AcquireContext): boolean {
    if (!force) return false;
    const isAsked =
      this.#forcedFor.has(sourceName) && this.#forcedFor.get(sourceName) === previousFingerprint;
    this.#forcedFor.set(sourceName, previousFingerprint);
    // An operator who asks twice means it.
    return reason === 'manual' || !isAsked;
  }
}
