/**
 * Whether trying again soon makes sense: `transient` (network, 5xx, nonsense) or `credentials` (the issuer says
 * that what we sent is wrong; only slow probing, or accounts get locked).
 */
export type SourceErrorSeverity = 'transient' | 'credentials';

/** The one error of token sources. Its message is for logs and pages and never holds a secret. */
export class TokenSourceError extends Error {
  readonly severity: SourceErrorSeverity;
  /** The issuer's `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number;

  constructor(
    message: string,
    facts: {
      readonly severity?: SourceErrorSeverity;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'TokenSourceError';
    this.severity = facts.severity ?? 'transient';
    if (facts.retryAfterMs !== undefined) this.retryAfterMs = facts.retryAfterMs;
  }
}
