import type { Secret } from '../../lib/secret.ts';
import {
  handedOutAgain,
  type IssuedToken,
  oldEnoughMonoMs,
  readIssued,
  secretsOf,
} from '../expiry/issued-token.ts';
import type { Moment } from '../expiry/lifetime.ts';
import { preparePlacements } from '../placement/placement.ts';
import { type Acquisition, failureOf, type SourceResponse } from './acquisition.ts';
import { CurrentToken, cutoffsOf } from './current-token.ts';
import type { Lease, LeaseFacts } from './lease.ts';
import { BREAKER_PAUSE_MS, earlyShareOf } from './rejections.ts';
import {
  type AcquisitionFailure,
  acquisitionTimeoutMs,
  type PauseContext,
  renewalAgeMs,
  sameTokenPollMs,
} from './renewal-timing.ts';
import type {
  RejectionOutcome,
  TokenEvent,
  TokenEventFacts,
  TokenEventKind,
  WaitOutcome,
} from './token-event.ts';
import { isShared, type TokenManagerSettings } from './token-manager-settings.ts';
import {
  countServed,
  isBusy,
  isIdle,
  noteRequest,
  type TokenState,
  usableToken,
  wake,
} from './token-state.ts';
import { TokenUnavailable, type UnavailableReason } from './token-unavailable.ts';
import type { Waiter } from './waiters.ts';

/** What happened to a token. */
export type TokenInput =
  /** Tokens are needed from now on. */
  | { readonly type: 'started' }
  /** The timer fired, or `noteRequest()` found that something may be due. */
  | { readonly type: 'renewalDue' }
  /** A request waits for a token. */
  | { readonly type: 'tokenRequested'; readonly waiter: Waiter }
  | { readonly type: 'waitExpired'; readonly waiter: Waiter }
  | { readonly type: 'waitAborted'; readonly waiter: Waiter; readonly reason: unknown }
  /** An upstream rejected the token of `lease`; `waiter` waits for another one. */
  | {
      readonly type: 'rejectionReported';
      readonly lease: Lease;
      readonly status: number | null;
      readonly waiter: Waiter;
    }
  /** An upstream rejected the token of a replay. */
  | { readonly type: 'replayRejected'; readonly lease: Lease }
  /** An upstream accepted the token of `lease`. */
  | { readonly type: 'acceptanceReported'; readonly lease: Lease }
  /** The source responded. `isOutdated`: it was called with another recipe than it has now. */
  | {
      readonly type: 'acquired';
      readonly acquisition: Acquisition;
      readonly response: SourceResponse;
      readonly isOutdated: boolean;
    }
  | {
      readonly type: 'acquisitionFailed';
      readonly acquisition: Acquisition;
      readonly failure: AcquisitionFailure;
      readonly isOutdated: boolean;
    }
  /** The source has something new. `isOutdated`: the acquisition in flight was made with another recipe. */
  | { readonly type: 'sourceChanged'; readonly isOutdated: boolean }
  | { readonly type: 'stopped' };

/** What is to be done about it, in this order. */
export type TokenEffect =
  | { readonly type: 'acquire'; readonly acquisition: Acquisition }
  | { readonly type: 'abandonAcquisition' }
  /** Replaces the timer; infinite: none. */
  | { readonly type: 'setTimer'; readonly dueMonoMs: number }
  /** Null: do not replay. */
  | { readonly type: 'resolveWaiter'; readonly waiter: Waiter; readonly lease: Lease | null }
  | { readonly type: 'rejectWaiter'; readonly waiter: Waiter; readonly error: unknown }
  | { readonly type: 'retainSecrets'; readonly secrets: readonly Secret[] }
  | { readonly type: 'retireSecrets'; readonly secrets: readonly Secret[] }
  /** The first acquisition, or the last one there will be, is over. */
  | { readonly type: 'startCompleted' }
  | { readonly type: 'emit'; readonly event: TokenEvent };

/** What the transitions of one source depend on beside its state; never changes. */
export interface TokenRules {
  /** The name of the source. */
  readonly name: string;
  readonly settings: TokenManagerSettings;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Removes secrets from a text of the source. */
  readonly redact: (text: string) => string;
  readonly createLease: (facts: Omit<LeaseFacts, 'clock'>) => Lease;
}

/** One transition while it is computed. */
interface Step {
  readonly state: TokenState;
  readonly rules: TokenRules;
  readonly now: Moment;
  readonly effects: TokenEffect[];
}

/**
 * The state machine of one source's token: changes `state` and returns what is to be done. It has no clock, no timers
 * and no I/O, so that every sequence of inputs can be tested. Its invariants: a lease is given only while its token is
 * usable on both clocks · one acquisition at a time · a rejection of another token than the current one renews
 * nothing · the old token serves until it expires while renewal is retried · every waiter is settled.
 */
export function transition(
  state: TokenState,
  input: TokenInput,
  now: Moment,
  rules: TokenRules,
): TokenEffect[] {
  const step: Step = { state, rules, now, effects: [] };
  switch (input.type) {
    case 'started':
      state.lastRequestMonoMs = now.monoMs;
      state.startMonoMs = now.monoMs + rules.settings.startJitterMs * rules.random();
      advance(step);
      break;
    case 'renewalDue':
      advance(step);
      break;
    case 'tokenRequested':
      beginWait(step, input.waiter);
      break;
    case 'waitExpired':
      failWaiter(step, input.waiter, 'issuer_failing');
      break;
    case 'waitAborted':
      endWait(step, input.waiter, 'left');
      step.effects.push({ type: 'rejectWaiter', waiter: input.waiter, error: input.reason });
      break;
    case 'rejectionReported':
      reportRejection(step, input.lease, input.status, input.waiter);
      break;
    case 'replayRejected':
      state.counters.rejected += 1;
      state.newTokenLag.rejected(input.lease);
      // Counts against the breaker, but renews nothing: a request is replayed once.
      if (state.token?.lease.generation === input.lease.generation) countUnproven(step, state.token);
      break;
    case 'acceptanceReported':
      proveToken(step, input.lease);
      break;
    case 'acquired':
    case 'acquisitionFailed':
      endAcquisition(step, input);
      break;
    case 'sourceChanged':
      state.hasSourceChanged = true;
      state.failures.reset();
      if (input.isOutdated) abandonAcquisition(step);
      advance(step);
      break;
    case 'stopped':
      stop(step);
      break;
  }
  return step.effects;
}

function emit<Kind extends TokenEventKind>(step: Step, kind: Kind, facts: TokenEventFacts[Kind]): void {
  step.effects.push({ type: 'emit', event: { kind, source: step.rules.name, ...facts } as TokenEvent });
}

function stop(step: Step): void {
  const { state } = step;
  state.isStopped = true;
  abandonAcquisition(step);
  state.heldBack = null;
  state.token = null;
  setTimer(step, Number.POSITIVE_INFINITY);
  step.effects.push({ type: 'startCompleted' });
  for (const waiter of state.waiters) failWaiter(step, waiter, 'stopped');
}

// When the source is called.

/** What is wanted from the source, and when. */
interface RenewalPlan extends Omit<Acquisition, 'sent'> {
  /** From now; 0 or less: at once. */
  readonly dueInMs: number;
  /** True: an operator or a changed source asks, which no pause after failures delays. */
  readonly isUrgent: boolean;
}

/** Timers may fire a fraction early; what is so close is due. */
const DUE_MS = 0.5;

/** Decides what is to be done next, now or at a later time. Must follow every change of state; cheap while busy. */
function advance(step: Step): void {
  const { state, now } = step;
  if (state.isStopped || state.acquisition !== null) return;
  detectClockJump(step);
  if (state.heldBack !== null) {
    useWhenOldEnough(step, state.heldBack);
    return;
  }
  const plan = planRenewal(step);
  if (plan === null) {
    setTimer(step, Number.POSITIVE_INFINITY);
    return;
  }
  const pauseEndMonoMs = plan.isUrgent
    ? Number.NEGATIVE_INFINITY
    : state.failures.nextAttemptMonoMs(now.monoMs, pauseContext(step));
  const dueMonoMs = Math.max(now.monoMs + plan.dueInMs, pauseEndMonoMs);
  if (dueMonoMs - now.monoMs <= DUE_MS) beginAcquisition(step, plan);
  else setTimer(step, dueMonoMs);
}

/** Null: nothing until the next request. Else there is always something to plan, as every token expires. */
function planRenewal(step: Step): RenewalPlan | null {
  const { state, now, rules } = step;
  const { token } = state;
  const isManual = state.manualWaiters > 0;
  if (!isManual && !state.hasSourceChanged && isDormantNow(step)) return null;
  const isUsable = token?.isUsable(now) ?? false;
  const usableForMs = token !== null && isUsable ? token.remainingMs(now) - token.floorMs : null;
  const plan = {
    isForced: false,
    isUrgent: false,
    dueInMs: 0,
    previousFingerprint: token?.lease.fingerprint ?? null,
    timeoutMs: acquisitionTimeoutMs(rules.settings.attemptTimeoutMs, usableForMs, state.lastDurationMs),
  };
  if (isManual) return { ...plan, reason: 'manual', isForced: true, isUrgent: true };
  if (state.hasSourceChanged) return { ...plan, reason: 'renewal', isUrgent: true };
  if (token === null) {
    const reason = state.startMonoMs === Number.NEGATIVE_INFINITY ? 'demand' : 'start';
    return { ...plan, reason, dueInMs: state.startMonoMs - now.monoMs };
  }
  if (token.isRejected)
    return { ...plan, reason: 'rejected', isForced: true, dueInMs: state.forcedFromMonoMs - now.monoMs };
  if (!isUsable) return { ...plan, reason: 'demand' };
  return { ...plan, reason: 'renewal', dueInMs: token.remainingMs(now) - token.renewBelowMs };
}

/** Renewal stops a while after the last request, unless one waits. */
function isDormantNow(step: Step): boolean {
  const { state, now, rules } = step;
  if (state.waiters.size > 0) return false;
  const idleMs = now.monoMs - state.lastRequestMonoMs;
  if (!state.isDormant && idleMs >= rules.settings.idleStopMs) {
    state.isDormant = true;
    emit(step, 'dormant', { idleMs });
  }
  return state.isDormant;
}

function pauseContext({ state, now }: Step): PauseContext {
  const { token } = state;
  return {
    hasWaiters: state.waiters.size > 0,
    isIdle: isIdle(state, now.monoMs),
    remainingMs: token === null || token.isRejected ? null : token.remainingMs(now),
    lifeMs: token?.lifetime.lifeMs ?? null,
  };
}

function setTimer(step: Step, dueMonoMs: number): void {
  step.state.nextAttemptMonoMs = dueMonoMs;
  step.effects.push({ type: 'setTimer', dueMonoMs });
}

/** Less is the time between the two readings. */
const JUMP_MS = 2_000;
/** NTP slews a clock by 0.05 % at most, which adds up over hours without a reading. */
const SLEW = 0.001;

/** Two clocks that moved apart since they were last seen: a step of the wall clock, or a suspend. */
function detectClockJump(step: Step): void {
  const { state, now } = step;
  const passedMs = now.monoMs - state.lastSeen.monoMs;
  const jumpMs = now.wallMs - state.lastSeen.wallMs - passedMs;
  state.lastSeen = now;
  if (Math.abs(jumpMs) <= JUMP_MS + SLEW * passedMs) return;
  state.token?.lifetime.align(now);
  state.counters.clockJumps += 1;
  emit(step, 'clock_jump', { jumpMs });
}

// One acquisition, and how it ends.

function beginAcquisition(step: Step, plan: RenewalPlan): void {
  const { state, now } = step;
  const { reason, isForced, previousFingerprint, timeoutMs } = plan;
  state.hasSourceChanged = false;
  setTimer(step, Number.POSITIVE_INFINITY);
  state.acquisition = { reason, isForced, previousFingerprint, timeoutMs, sent: now };
  step.effects.push({ type: 'acquire', acquisition: state.acquisition });
}

function abandonAcquisition(step: Step): void {
  step.state.acquisition = null;
  step.effects.push({ type: 'abandonAcquisition' });
}

function endAcquisition(
  step: Step,
  result: Extract<TokenInput, { type: 'acquired' | 'acquisitionFailed' }>,
): void {
  const { state } = step;
  const { acquisition } = result;
  // Abandoned in the meantime: stopped, or the recipe changed.
  if (state.acquisition !== acquisition) return;
  state.acquisition = null;
  if (result.isOutdated) advance(step);
  else if (result.type === 'acquisitionFailed') recordFailure(step, result.failure, acquisition);
  else {
    state.heldBack = { response: result.response, acquisition };
    useWhenOldEnough(step, state.heldBack);
  }
}

function useWhenOldEnough(step: Step, { response, acquisition }: NonNullable<TokenState['heldBack']>): void {
  const { state, now } = step;
  const usableFromMonoMs = responseUsableFromMonoMs(step, response);
  if (usableFromMonoMs - now.monoMs > DUE_MS) {
    setTimer(step, usableFromMonoMs);
    return;
  }
  state.heldBack = null;
  const failure = useResponse(step, response, acquisition);
  if (failure !== null) {
    recordFailure(step, failure, acquisition);
    return;
  }
  state.lastDurationMs = response.received.monoMs - response.sent.monoMs;
  state.failures.end();
  step.effects.push({ type: 'startCompleted' });
  advance(step);
}

/** How long a token that is not valid yet is held back when there is no other. */
const MAX_HELD_BACK_MS = 3_000;

/** A token that upstreams do not accept yet is held back while the old one serves, without an old one for 3 s at most. */
function responseUsableFromMonoMs({ state, now }: Step, response: SourceResponse): number {
  const { token } = state;
  const { lagMs } = state.newTokenLag;
  const receivedMonoMs = response.received.monoMs;
  const oldServesForMs = token?.isUsable(now) === true ? token.remainingMs(now) - token.cutoffMs : 0;
  const oldEndsMonoMs = now.monoMs + oldServesForMs;
  const latestMonoMs = Math.max(receivedMonoMs + MAX_HELD_BACK_MS, oldEndsMonoMs);
  const validFromMonoMs = Math.min(oldEnoughMonoMs(response), latestMonoMs);
  if (lagMs === 0) return validFromMonoMs;
  return Math.max(
    validFromMonoMs,
    Math.min(receivedMonoMs + lagMs - (response.raw?.ageMs ?? 0), oldEndsMonoMs),
  );
}

function recordFailure(step: Step, raw: AcquisitionFailure, { reason, sent }: Acquisition): void {
  const { state, rules, now } = step;
  const failure = { ...raw, message: rules.redact(raw.message) };
  state.failures.add(failure, now, rules.random());
  state.counters.failed += 1;
  state.token?.useUntilFloor();
  serveWaiters(step);
  failWaiters(step, ({ kind }) => kind === 'manual');
  advance(step);
  const nextInMs = state.nextAttemptMonoMs - now.monoMs;
  emit(step, 'renewal_failed', {
    reason,
    durationMs: now.monoMs - sent.monoMs,
    severity: failure.severity,
    message: state.failures.detail ?? failure.message,
    failures: state.failures.failures,
    remainingMs: state.token?.remainingMs(now) ?? null,
    nextAttemptInMs: Number.isFinite(nextInMs) ? Math.max(0, nextInMs) : null,
  });
  reportStarving(step);
  failHopelessWaiters(step);
  step.effects.push({ type: 'startCompleted' });
}

// What the source returned.

/** An issuer that returns a rejected token after so many failures in a row has no other. */
const REJECTED_TOKEN_LIMIT = 3;

/** The issuer may have another token than the rejected one that it returned. */
const REJECTED_BEFORE: AcquisitionFailure = {
  severity: 'transient',
  message: 'the issuer returned a token that an upstream has rejected',
  retryAfterMs: null,
};

const EXPIRED: AcquisitionFailure = {
  severity: 'transient',
  message: 'the issuer returned a token that has expired or is about to',
  retryAfterMs: null,
};

/** Puts a response to use; returns why it cannot be used, or null. */
function useResponse(
  step: Step,
  response: SourceResponse,
  acquisition: Acquisition,
): AcquisitionFailure | null {
  try {
    return judgeResponse(step, response, acquisition);
  } catch (error) {
    // A response that is no token is a failure of the source, never of the process.
    return failureOf(error);
  }
}

function judgeResponse(
  step: Step,
  response: SourceResponse,
  acquisition: Acquisition,
): AcquisitionFailure | null {
  const { state, rules, now } = step;
  const { token } = state;
  const { defaultTtlMs } = rules.settings;
  const learnedMs = state.earlyRejections.learnedLifeMs(Number.POSITIVE_INFINITY, now.monoMs);
  const parsed = readIssued(response, { defaultMs: defaultTtlMs, learnedMs });
  reportNotes(step, parsed.notes);
  const isSame = token?.lease.fingerprint === parsed.fingerprint;
  const issued = isSame ? handedOutAgain(parsed, token) : parsed;
  const isInsisted = (acquisition.isForced && isSame) || state.failures.failures >= REJECTED_TOKEN_LIMIT;
  if (state.rejectedTokens.has(issued.fingerprint, now.monoMs) && !isInsisted) {
    if (token?.isRejected !== true || acquisition.isForced) return REJECTED_BEFORE;
    askAgainOrReinstate(step, token);
    return null;
  }
  const { leewayMs } = cutoffsOf(issued.lifetime.lifeMs, rules.settings);
  if (issued.lifetime.remainingMs(now.monoMs, now.wallMs) <= leewayMs / 2) return EXPIRED;
  reportAcquired(step, issued, isSame, response, acquisition);
  // Another replica renewed it: with short tokens that happens more often than forced renewals are allowed.
  if (acquisition.isForced && response.raw.ageMs !== undefined) state.forcedRenewals.refund();
  if (isSame) keepSameToken(step, issued, token);
  else installToken(step, issued);
  return null;
}

/** An acquisition that was in flight when the token was rejected brought only rejected ones. */
function askAgainOrReinstate(step: Step, token: CurrentToken): void {
  const { state, now } = step;
  const startMonoMs = state.forcedRenewals.permit(now.monoMs, Number.POSITIVE_INFINITY);
  if (startMonoMs !== null) {
    state.forcedFromMonoMs = startMonoMs;
    return;
  }
  state.rejectedTokens.delete(token.lease.fingerprint);
  token.reinstate();
  serveNewToken(step, token, true);
}

function installToken(step: Step, issued: IssuedToken): void {
  const { state, rules, now } = step;
  const { settings, random } = rules;
  const { lifeMs } = issued.lifetime;
  const before = state.token;
  state.generation += 1;
  step.effects.push({ type: 'retainSecrets', secrets: secretsOf(issued) });
  if (before !== null) step.effects.push({ type: 'retireSecrets', secrets: before.secrets });
  state.rejectedTokens.delete(issued.fingerprint);
  const token = createToken(
    step,
    issued,
    lifeMs - renewalAgeMs(lifeMs, settings, issued.refreshInMs, random),
  );
  if (!token.isUsable(now)) token.useUntilFloor();
  if (settings.rotation !== 'exclusive') state.newTokenLag.replaced(before);
  state.token = token;
  serveNewToken(step, token, false);
}

/**
 * The issuer returned the token in use. Its statement on the lifetime is the newest; it has no better token, so this
 * one serves to its end.
 */
function keepSameToken(step: Step, issued: IssuedToken, before: CurrentToken): void {
  const { state, now } = step;
  const remainingMs = issued.lifetime.remainingMs(now.monoMs, now.wallMs);
  const wasRejected = before.isRejected;
  const token = createToken(step, issued, remainingMs - sameTokenPollMs(issued.lifetime.lifeMs, remainingMs));
  token.isProven = before.isProven;
  token.isDenialReported = before.isDenialReported;
  token.isCounted = before.isCounted;
  token.useUntilFloor();
  state.token = token;
  state.rejectedTokens.delete(issued.fingerprint);
  state.counters.sameToken += 1;
  emit(step, 'same_token', { remainingMs, wasRejected });
  serveNewToken(step, token, wasRejected);
}

function createToken({ state, rules }: Step, issued: IssuedToken, renewBelowMs: number): CurrentToken {
  const { name, settings, createLease } = rules;
  const { lifetime, fingerprint, secret, isExpiryKnown } = issued;
  const { extra } = issued;
  const apply = preparePlacements(settings.placements, secret.reveal(), extra);
  const { generation } = state;
  return new CurrentToken({
    lease: createLease({ source: name, generation, fingerprint, secret, lifetime, apply, extra }),
    lifetime,
    isExpiryKnown,
    renewBelowMs,
    secrets: secretsOf(issued),
    ...cutoffsOf(lifetime.lifeMs, settings),
  });
}

/** `isReinstated`: it is the rejected token, as there is no other. */
function serveNewToken(step: Step, token: CurrentToken, isReinstated: boolean): void {
  const { state, now } = step;
  const { failures } = state.failures;
  if (failures > 0) {
    const failedForMs = state.failures.failingForMs(now.monoMs);
    emit(step, 'recovered', { failures, failedForMs, wasStarving: state.isStarving });
  }
  state.isStarving = false;
  for (const waiter of state.waiters) {
    if (waiter.kind === 'manual') resolveWaiter(step, waiter, token.lease);
    else if (waiter.kind === 'replay' && isReinstated) resolveWaiter(step, waiter, null);
  }
  serveWaiters(step);
}

function reportAcquired(
  step: Step,
  issued: IssuedToken,
  isSame: boolean,
  { sent, received }: SourceResponse,
  { reason }: Acquisition,
): void {
  step.state.counters.acquired += 1;
  emit(step, 'acquired', {
    reason,
    durationMs: received.monoMs - sent.monoMs,
    lifeMs: issued.lifetime.lifeMs,
    isExpiryKnown: issued.isExpiryKnown,
    isSame,
    issuerSkewMs: issued.issuerSkewMs,
  });
}

const MAX_NOTES = 20;

function reportNotes(step: Step, notes: readonly string[]): void {
  const { reportedNotes } = step.state;
  for (const note of notes) {
    if (reportedNotes.has(note) || reportedNotes.size >= MAX_NOTES) continue;
    reportedNotes.add(note);
    emit(step, 'note', { note: step.rules.redact(note) });
  }
}

// Requests that wait.

function beginWait(step: Step, waiter: Waiter): void {
  const { state, now, rules } = step;
  if (state.isStopped) {
    failWaiter(step, waiter, 'stopped');
    return;
  }
  if (state.waiters.size >= rules.settings.maxWaiters) {
    failWaiter(step, waiter, 'too_many_waiters');
    return;
  }
  state.waiters.add(waiter);
  if (waiter.kind === 'manual') state.manualWaiters += 1;
  wake(state, now.monoMs);
  advance(step);
  reportStarving(step);
  failHopelessWaiters(step);
}

/** Takes a waiter out of the state; one that never was in it was settled without a wait. */
function endWait(step: Step, waiter: Waiter, outcome: WaitOutcome): void {
  const { state, now } = step;
  if (!state.waiters.delete(waiter)) return;
  if (waiter.kind === 'manual') state.manualWaiters -= 1;
  emit(step, 'waited', { waitMs: now.monoMs - waiter.sinceMonoMs, outcome });
}

function resolveWaiter(step: Step, waiter: Waiter, lease: Lease | null): void {
  endWait(step, waiter, 'served');
  step.effects.push({ type: 'resolveWaiter', waiter, lease });
}

function failWaiter(step: Step, waiter: Waiter, reason: UnavailableReason): void {
  endWait(step, waiter, 'unavailable');
  step.effects.push({ type: 'rejectWaiter', waiter, error: unavailable(step, reason) });
}

function failWaiters(step: Step, isMeant: (waiter: Waiter) => boolean): void {
  for (const waiter of step.state.waiters) {
    if (isMeant(waiter)) failWaiter(step, waiter, 'issuer_failing');
  }
}

/**
 * A waiter that would only reach its deadline fails at once, as no attempt will be made before it. Wrong credentials and
 * a wrong configuration do not mend within a wait: then all fail, while the source is retried in the background.
 */
function failHopelessWaiters(step: Step): void {
  const { state } = step;
  if (state.failures.isMisconfigured) failWaiters(step, ({ kind }) => kind !== 'manual');
  if (isBusy(state)) return;
  failWaiters(step, ({ deadlineMonoMs }) => deadlineMonoMs < state.nextAttemptMonoMs);
}

/** A manual waiter needs the result of an acquisition, all others any usable token. */
function serveWaiters(step: Step): void {
  const { state, now } = step;
  const token = usableToken(state, now.monoMs, now.wallMs);
  if (token === null) return;
  for (const waiter of state.waiters) {
    if (waiter.kind === 'manual') continue;
    countServed(state);
    resolveWaiter(step, waiter, token.lease);
  }
}

/** Reports once that requests have to wait because the issuer fails. */
function reportStarving(step: Step): void {
  const { state, now } = step;
  const { failures, detail, isMisconfigured } = state.failures;
  if (state.isStarving || failures === 0 || state.token?.isUsable(now) === true) return;
  state.isStarving = true;
  emit(step, 'starving', {
    failures,
    message: detail ?? '',
    ...(isMisconfigured ? { isFailingAtOnce: true as const } : {}),
  });
}

function unavailable({ state, now, rules }: Step, reason: UnavailableReason): TokenUnavailable {
  const { failures, nextAttemptMonoMs } = state;
  return new TokenUnavailable({
    source: rules.name,
    reason: reason === 'issuer_failing' && failures.isMisconfigured ? 'credentials_refused' : reason,
    retryAfterMs: Number.isFinite(nextAttemptMonoMs) ? nextAttemptMonoMs - now.monoMs : 0,
    detail: failures.detail,
  });
}

// What upstreams do with the token.

/** Gives the waiter another lease than the rejected one at once, lets it wait for one, or denies the replay. */
function reportRejection(step: Step, lease: Lease, status: number | null, waiter: Waiter): void {
  const { state, now } = step;
  state.counters.rejected += 1;
  const outcome = judgeRejection(step, lease, status, waiter.deadlineMonoMs);
  if (outcome === 'denied') {
    resolveWaiter(step, waiter, state.newTokenLag.fallback(now));
    return;
  }
  const current = outcome === 'superseded' ? takeLease(step) : null;
  if (current === null) beginWait(step, waiter);
  else resolveWaiter(step, waiter, current);
}

/** A usable lease as for any request. */
function takeLease(step: Step): Lease | null {
  const { state, now } = step;
  if (noteRequest(state, now.monoMs, now.wallMs)) advance(step);
  const token = usableToken(state, now.monoMs, now.wallMs);
  if (token === null) return null;
  countServed(state);
  return token.lease;
}

/** Decides by value whether a rejection is news, and whether the token may be renewed by `latestMonoMs`. */
function judgeRejection(
  step: Step,
  lease: Lease,
  status: number | null,
  latestMonoMs: number,
): RejectionOutcome {
  const { state, now } = step;
  const { token } = state;
  const remainingMs = token?.remainingMs(now) ?? null;
  const repeated = { status, isEarly: false, isRepeated: false, remainingMs };
  if (token === null || token.lease.fingerprint !== lease.fingerprint) {
    state.newTokenLag.rejected(lease);
    state.rejectedTokens.add(lease.fingerprint, now.monoMs);
    emit(step, 'rejected', { ...repeated, outcome: 'superseded' });
    return 'superseded';
  }
  if (token.isRejected) {
    emit(step, 'rejected', { ...repeated, outcome: 'joined' });
    return 'joined';
  }
  const isRenewing = isBusy(state);
  const outcome = isRenewing ? 'joined' : permitRenewal(step, token, latestMonoMs);
  // A renewal in flight may be what revoked it (exclusive issuers): that is no evidence against anything.
  const isEarly = !isRenewing && isEarlyRejection(step, token);
  if (outcome !== 'denied') {
    state.rejectedTokens.add(lease.fingerprint, now.monoMs);
    token.reject();
  }
  emit(step, 'rejected', { status, outcome, isEarly, isRepeated: token.isDenialReported, remainingMs });
  token.isDenialReported = outcome === 'denied';
  if (isEarly) learnFromEarlyRejection(step, token);
  return outcome;
}

function permitRenewal(step: Step, token: CurrentToken, latestMonoMs: number): 'renewing' | 'denied' {
  const { state, now } = step;
  countUnproven(step, token);
  const startMonoMs = state.forcedRenewals.permit(now.monoMs, latestMonoMs);
  if (startMonoMs === null) return 'denied';
  state.forcedFromMonoMs = startMonoMs;
  return 'renewing';
}

/** A token that no upstream ever accepted counts once against the breaker, however many requests report it. */
function countUnproven(step: Step, token: CurrentToken): void {
  if (token.isProven || token.isCounted) return;
  token.isCounted = true;
  token.wasRejectedUnproven = true;
  if (step.state.forcedRenewals.noteUnproven(step.now.monoMs))
    emit(step, 'breaker_open', { pauseMs: BREAKER_PAUSE_MS });
}

/** Only a token that worked once can be rejected early: others are rejected for reasons that are not its age. */
function isEarlyRejection({ rules, now }: Step, token: CurrentToken): boolean {
  const earlyMs = earlyShareOf(rules.settings) * token.lifetime.lifeMs;
  return token.isProven && token.remainingMs(now) > earlyMs;
}

function learnFromEarlyRejection(step: Step, token: CurrentToken): void {
  const { state, now, rules } = step;
  if (!token.isExpiryKnown) {
    state.earlyRejections.noteAge(token.ageMs(now), now.monoMs);
    return;
  }
  const earlyRejections = state.earlyRejections.note(now.monoMs);
  if (earlyRejections === null) return;
  emit(step, 'shared_credential_suspected', { earlyRejections, isShared: isShared(rules.settings) });
}

/** An older token that was accepted proves nothing about the current one. */
function proveToken({ state, now }: Step, lease: Lease): void {
  const { token } = state;
  if (token === null || token.isProven || token.lease.generation !== lease.generation) return;
  token.isProven = true;
  state.newTokenLag.accepted(token, now);
  state.forcedRenewals.noteProven();
}
