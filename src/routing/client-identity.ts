import type { Matcher } from './glob.ts';

/** Who is calling, as client auth found out. */
export interface ClientIdentity {
  /** The configured name, or `key-N`; null for a client without a key. */
  readonly name: string | null;
  /** SHA-256 of its key in hex; null for a client without a key. */
  readonly keyDigest: string | null;
  /** True: the key is in the global `authorization` list or belongs to a named client, or no key is needed at all. */
  readonly isGlobal: boolean;
  readonly mayUseModel: Matcher;
  readonly mayUsePath: Matcher;
}
