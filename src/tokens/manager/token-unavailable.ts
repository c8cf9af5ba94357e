/** Why a request got no token. */
export type UnavailableReason = 'issuer_failing' | 'credentials_refused' | 'too_many_waiters' | 'stopped';

const MESSAGES: Record<UnavailableReason, string> = {
  issuer_failing: 'the issuer gave no token in time',
  credentials_refused: 'the issuer rejects the credentials, or the source is not configured correctly',
  too_many_waiters: 'too many requests wait for a token already',
  stopped: 'its renewal was stopped by a shutdown or a reload',
};

interface TokenUnavailableFacts {
  readonly source: string;
  readonly reason: UnavailableReason;
  readonly retryAfterMs: number;
  readonly detail: string | null;
}

/** No usable token within the wait. The request must not be sent without one. */
export class TokenUnavailable extends Error {
  /** The token source's configured name. */
  readonly source: string;
  readonly reason: UnavailableReason;
  /** When another try may help, in milliseconds; at least 1,000. */
  readonly retryAfterMs: number;
  /** The source's last error, value-free; for logs, as it may name hosts. */
  readonly detail: string | null;

  constructor(facts: TokenUnavailableFacts) {
    const detail =
      facts.reason === 'credentials_refused' && facts.detail !== null ? ` (${facts.detail})` : '';
    super(`no token from "${facts.source}": ${MESSAGES[facts.reason]}${detail}`);
    this.name = 'TokenUnavailable';
    this.source = facts.source;
    this.reason = facts.reason;
    this.retryAfterMs = Math.max(1_000, Math.ceil(facts.retryAfterMs));
    this.detail = facts.detail;
  }
}
