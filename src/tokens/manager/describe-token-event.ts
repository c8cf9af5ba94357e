import { counted, times } from '../../lib/text/format.ts';
import type { TokenEvent } from './token-event.ts';

/** One line for people: what happened, how bad it is, what comes next. Without secrets. */
export function describeTokenEvent(event: TokenEvent): string {
  return `${event.source}: ${words(event)}`;
}

function words(event: TokenEvent): string {
  switch (event.kind) {
    case 'acquired':
      return `${event.isSame ? 'the same token again' : 'new token'} (${event.reason}) in ${Math.round(event.durationMs)} ms, ${lifeWords(event.lifeMs, event.isExpiryKnown)}${skewWords(event.issuerSkewMs)}`;
    case 'renewal_failed':
      return `issuer has failed ${times(event.failures)} (${event.message}), ${leftWords(event.remainingMs)}, ${nextWords(event.nextAttemptInMs)}`;
    case 'rejected':
      return `an upstream refused the token${event.status === null ? '' : ` with ${event.status}`}${event.isEarly ? ' long before its end' : ''}; ${REPLAY_WORDS[event.outcome]}`;
    case 'starving':
      return `no usable token, requests wait: issuer has failed ${times(event.failures)} (${event.message})`;
    case 'recovered':
      return `issuer is back, after ${counted(event.failures, 'failure')} in ${span(event.failedForMs)}${event.wasStarving ? ', requests had to wait' : ''}`;
    case 'clock_jump':
      return `the wall clock jumped ${span(Math.abs(event.jumpMs))} ${event.jumpMs > 0 ? 'ahead' : 'back'} (or the machine slept); the token's life is checked on both clocks`;
    case 'same_token':
      return event.wasRejected
        ? 'the issuer returned the refused token again; it stays in use as there is no other'
        : `the issuer returned the same token, good for ${span(event.remainingMs)}`;
    case 'note':
      return event.note;
    case 'shared_credential_suspected':
      return sharingWords(event.earlyRejections, event.isShared);
    case 'breaker_open':
      return `upstreams refuse new tokens too: no replay for ${span(event.pauseMs)}. ${REFUSED_QUESTIONS}`;
    case 'waited':
      return `a request waited ${Math.round(event.waitMs)} ms for a token: ${event.outcome}`;
    case 'dormant':
      return `no request for ${span(event.idleMs)}: renewal stops until the next one`;
  }
}

/** What to look at when upstreams refuse tokens that are new. */
export const REFUSED_QUESTIONS =
  'Do scope and audience fit, may the credentials do this, does another client use the same credentials?';

/** What to look at when working tokens are refused long before their end. `isShared`: replicas share them already. */
export function sharingWords(refusals: number, isShared: boolean): string {
  const who = isShared
    ? 'beside these replicas'
    : '(a second replica? then set "rotation: exclusive" and "share")';
  return `${refusals} working tokens were refused long before their end: does another client use the same credentials ${who}, or does the issuer end them sooner than it says?`;
}

const REPLAY_WORDS = {
  superseded: 'a newer one is in use already',
  joined: 'its renewal is on its way',
  renewing: 'it is renewed now',
  denied: 'not renewed again so soon',
} as const;

function lifeWords(lifeMs: number, isExpiryKnown: boolean): string {
  return isExpiryKnown ? `good for ${span(lifeMs)}` : `the issuer states no life, ${span(lifeMs)} assumed`;
}

/** A few seconds are normal and nobody's problem. */
function skewWords(skewMs: number | null): string {
  if (skewMs === null || Math.abs(skewMs) < 5_000) return '';
  return `; the issuer's clock is ${span(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} ours`;
}

function leftWords(remainingMs: number | null): string {
  if (remainingMs === null) return 'there is no token yet';
  return remainingMs > 0 ? `token still good for ${span(remainingMs)}` : 'the token has ended';
}

function nextWords(nextAttemptInMs: number | null): string {
  return nextAttemptInMs === null
    ? 'the next request asks again'
    : `next attempt in ${span(nextAttemptInMs)}`;
}

/** `140 s`, `2.5 s`, `20 min`, `3 h`: as precise as a person needs it. */
function span(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 600) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  return minutes < 120 ? `${Math.round(minutes)} min` : `${Math.round(minutes / 60)} h`;
}
