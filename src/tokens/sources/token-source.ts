import type { Clock } from '../../lib/clock.ts';
import type { SecretRegistry } from '../../lib/secret.ts';

/** Why a token is acquired; a label of the metrics. */
export type AcquireReason = 'start' | 'demand' | 'renewal' | 'rejected' | 'manual';

/** The parameters of one acquisition. */
export interface AcquireContext {
  /** Aborts when the attempt timed out or its result is no longer wanted. */
  readonly signal: AbortSignal;
  readonly reason: AcquireReason;
  /** True: the last token was rejected; a cached one is of no use. */
  readonly force: boolean;
  /** `fingerprintOf` the token held so far, to compare with that of a shared store. */
  readonly previousFingerprint?: string;
  readonly clock: Clock;
}

/**
 * What an issuer sent, with every hint about its life. Hints may disagree: the shortest is used. None at all means that
 * the issuer states no life.
 */
export interface RawToken {
  readonly value: string;
  /** Life in milliseconds, counted from the moment the request was sent. */
  readonly lifetimeMs?: number;
  /** End of life on the issuer's wall clock, milliseconds since 1970. */
  readonly expiresAtWallMs?: number;
  /** The issuer stated no time zone and that of this machine was assumed: the end may be hours too late. */
  readonly isLocalTime?: true;
  /** When the issuer recommends to renew, in milliseconds from now. */
  readonly refreshInMs?: number;
  /** The token is rejected as not yet valid before this moment of the issuer's wall clock. */
  readonly notBeforeWallMs?: number;
  /** The issuer's wall clock when it responded (the `Date` header: whole seconds, cut off). */
  readonly serverDateWallMs?: number;
  /** How long before this acquisition the token was issued; only for tokens out of a shared store. */
  readonly ageMs?: number;
  /** Further values of the response that a placement can name (`{ header, extra }`). */
  readonly extra?: Readonly<Record<string, string>>;
  /** Value-free remarks for the log, such as expiry hints that disagree. */
  readonly notes?: readonly string[];
}

/** One way to obtain tokens. It makes one attempt per call; retries and timing belong to the token manager. */
export interface TokenSource {
  readonly kind: string;
  /** SHA-256 of the settings, secrets included: another secret makes another source. */
  readonly key: string;
  /** Rejects with `TokenSourceError`; anything else that it throws counts as transient. */
  acquire(context: AcquireContext): Promise<RawToken>;
  /** Calls `onChange` when another token may be had at once, as when a file was rewritten. */
  watch?(onChange: () => void): { close(): void };
  close?(): Promise<void>;
}

/** A token of another source as an input of one call. */
export interface ChainedToken {
  /** `token`, and the further values of the source's response by their names. */
  readonly values: Readonly<Record<string, string>>;
  /** The call with it was a success. */
  accept(): void;
  /** The call with it was refused, although it was renewed for it. */
  refuse(): void;
  /**
   * Another one after a refusal; null: a renewal would not help, or is not permitted now. `isDeep`: the tokens that it is
   * obtained with are renewed as well. Never rejects.
   */
  renew(options: { readonly signal: AbortSignal; readonly isDeep: boolean }): Promise<ChainedToken | null>;
}

/** What sources need beside their settings. */
export interface SourceDeps {
  readonly clock: Clock;
  readonly secrets: SecretRegistry;
  /**
   * The present token of another source (`token:`, `subject_token:`, `assertion_token:`), for issuers that give a
   * token for a token. `force`: a fresh one is needed. Rejects when there is none.
   */
  readonly tokenOf: (
    name: string,
    context: { readonly signal: AbortSignal; readonly force: boolean },
  ) => Promise<ChainedToken>;
  /** Another source of its own for a caller that obtains a token for each use, and closes it. */
  readonly sourceOf: (name: string) => TokenSource;
  /** Where `env` looks; the process's own environment by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The keys of the configuration that hold a source's credentials, for messages: `tokens.corp.client_secret (CORP_SECRET in .env)`. */
  readonly credentialKeysOf?: (name: string) => readonly string[];
  /** What relative paths are relative to: the directory of the configuration file. */
  readonly baseDir?: string;
}

/**
 * Whether retrying soon makes sense: `transient` (network, 5xx, unusable content) or `credentials` (the configuration or
 * the credentials are wrong: retried slowly, since issuers lock accounts).
 */
export type SourceErrorSeverity = 'transient' | 'credentials';

/** The one error of token sources. Its message is for logs and pages and never holds a secret. */
export class TokenSourceError extends Error {
  readonly severity: SourceErrorSeverity;
  /** The issuer's `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number;
  /** `host:port` of a server that could not be called: for logs and commands, not for pages that anybody can read. */
  readonly target?: string;

  constructor(
    message: string,
    facts: {
      readonly severity?: SourceErrorSeverity;
      readonly retryAfterMs?: number | undefined;
      readonly target?: string;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'TokenSourceError';
    this.severity = facts.severity ?? 'transient';
    if (facts.retryAfterMs !== undefined) this.retryAfterMs = facts.retryAfterMs;
    if (facts.target !== undefined) this.target = facts.target;
  }
}
