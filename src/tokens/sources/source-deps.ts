import type { Clock } from '../../lib/clock.ts';
import type { SecretRegistry } from '../../lib/secret.ts';

/** What sources are handed beside their settings. */
export interface SourceDeps {
  readonly clock: Clock;
  readonly secrets: SecretRegistry;
  /**
   * The present token of another source (`token:`, `subject_token:`, `assertion_token:`), for issuers that give a
   * token for a token. `force`: a fresh one is wanted. Rejects when there is none.
   */
  readonly tokenOf: (
    name: string,
    context: { readonly signal: AbortSignal; readonly force: boolean },
  ) => Promise<string>;
  /** Where `env` looks; the process's own environment by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What relative paths are relative to: the directory of the configuration file. */
  readonly baseDir?: string;
}
