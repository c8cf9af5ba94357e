import type { Failure } from './failure-streak.ts';

/** The token was refused before, and the issuer may have another one. */
export function refusedBefore(): Failure {
  return {
    severity: 'transient',
    message: 'the issuer returned a token that an upstream has refused',
    retryAfterMs: null,
  };
}

/** The token is no good for a request any more. */
export function alreadyOver(): Failure {
  return {
    severity: 'transient',
    message: 'the issuer returned a token that has ended or is about to',
    retryAfterMs: null,
  };
}
