/** What kept a request from getting a token. */
export type UnavailableReason = 'issuer_failing' | 'credentials_refused' | 'too_many_waiters' | 'stopped';

const WORDS: Record<UnavailableReason, string> = {
  issuer_failing: 'the issuer gave no token in time',
  credentials_refused: 'the issuer refuses the credentials, or the source is not set up as it must be',
  too_many_waiters: 'too many requests wait for a token already',
  stopped: 'it was stopped',
};

/** No usable token within the wait. The request must not go out without one. */
export class TokenUnavailable extends Error {
  /** The token source's configured name. */
  readonly source: string;
  readonly reason: UnavailableReason;
  /** When asking again may help, in milliseconds; at least 1,000. */
  readonly retryAfterMs: number;
  /** The source's last error, value-free; for logs, as it may name hosts. */
  readonly detail: string | null;

  constructor(facts: {
    source: string;
    reason: UnavailableReason;
    retryAfterMs: number;
    detail: string | null;
  }) {
    super(`no token from "${facts.source}": ${WORDS[facts.reason]}`);
    this.name = 'TokenUnavailable';
    this.source = facts.source;
    this.reason = facts.reason;
    this.retryAfterMs = Math.max(1_000, Math.ceil(facts.retryAfterMs));
    this.detail = facts.detail;
  }
}
