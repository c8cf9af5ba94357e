import type { SourceErrors } from './source-errors.ts';
import type { AcquireContext, SourceDeps } from './token-source.ts';

/**
 * The tokens of other sources that a source uses. After a rejection they are renewed once: that the next attempts fail
 * too is no reason to ask their issuers each time, which may lock an account for it.
 */
export class ChainedTokens {
  readonly #errors: SourceErrors;
  readonly #tokenOf: SourceDeps['tokenOf'];
  /** By source: the fingerprint of the rejected token for which it was renewed last. */
  readonly #renewedFor = new Map<string, string | undefined>();

  constructor(errors: SourceErrors, deps: SourceDeps) {
    this.#errors = errors;
    this.#tokenOf = deps.tokenOf;
  }

  /** The token of `source`; an error that names `field`, the setting, when it has none. */
  async tokenOf(field: string, source: string, context: AcquireContext): Promise<string> {
    const { signal } = context;
    if (this.#isRenewalDue(source, context)) {
      const renewed = await this.#tokenOf(source, { signal, force: true }).catch(() => null);
      if (renewed !== null) return renewed;
      // Its current token may still be valid: the rejected token was ours and not this one.
    }
    try {
      return await this.#tokenOf(source, { signal, force: false });
    } catch (cause) {
      throw this.#errors.transient(field, `source ${source} has no token. See its own error.`, cause);
    }
  }

  #isRenewalDue(source: string, { force, reason, previousFingerprint }: AcquireContext): boolean {
    if (!force) return false;
    const isDone = this.#renewedFor.has(source) && this.#renewedFor.get(source) === previousFingerprint;
    this.#renewedFor.set(source, previousFingerprint);
    // An operator's refresh is always passed on.
    return reason === 'manual' || !isDone;
  }
}
