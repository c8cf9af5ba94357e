import type { Clock } from '../../lib/clock.ts';
import type { SecretRegistry } from '../../lib/secret.ts';
import { handedOutAgain, type IssuedToken, readIssued, secretsOf } from '../expiry/issued-token.ts';
import { type Moment, momentOf } from '../expiry/lifetime.ts';
import { preparePlacements } from '../placement/placement.ts';
import type { Answer, Attempt } from './attempt.ts';
import { EarlyRejections, earlyShareOf } from './early-rejections.ts';
import type { Failure } from './failure-streak.ts';
import { BREAKER_PAUSE_MS, ForcedRenewals } from './forced-renewals.ts';
import { cutoffsOf, HeldToken } from './held-token.ts';
import { Lease } from './lease.ts';
import { LiveValues } from './live-values.ts';
import { NewTokenLag } from './new-token-lag.ts';
import { renewalAgeMs, sameTokenPollMs } from './renewal-age.ts';
import { type EmitTokenEvent, type RenewalOutcome, unnamed } from './token-event.ts';
import { isShared, type TokenManagerSettings } from './token-manager-settings.ts';
import { Tombstones } from './tombstones.ts';
import { alreadyOver, refusedBefore } from './unusable-answer.ts';

/** An issuer that returns a refused token after so many failures in a row has no other. */
const INSISTENCE = 3;

/**
 * What became of an answer: `installed` as the token in use · `reinstated`: it is the refused token, which stays in
 * use as there is no other · `ask_again`: it is refused already, a forced attempt may bring another · or a failure.
 */
type Intake = 'installed' | 'reinstated' | 'ask_again' | Failure;

interface CustodyOptions {
  readonly name: string;
  readonly settings: TokenManagerSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly secrets: SecretRegistry;
  readonly emit: EmitTokenEvent;
}

/** The token in use, the memory of refused ones, and the decisions about both. Asks nobody and has no timers. */
export class TokenCustody {
  readonly #options: CustodyOptions;
  readonly #liveValues: LiveValues;
  readonly #tombstones = new Tombstones();
  readonly #forcedRenewals = new ForcedRenewals();
  readonly #earlyRejections = new EarlyRejections();
  readonly #newTokenLag = new NewTokenLag();
  /** Remarks about answers that were reported already: the same one comes with every renewal. */
  readonly #saidNotes = new Set<string>();
  #token: HeldToken | null = null;
  #generation = 0;
  #forcedFromMonoMs = Number.NEGATIVE_INFINITY;
  #sameTokens = 0;

  constructor(options: CustodyOptions) {
    this.#options = options;
    this.#liveValues = new LiveValues(options.secrets);
  }

  /** The newest token, usable or not; null before the first. */
  get token(): HeldToken | null {
    return this.#token;
  }

  get generation(): number {
    return this.#generation;
  }

  /** When the permitted forced renewal may start, on the monotonic clock. */
  get forcedFromMonoMs(): number {
    return this.#forcedFromMonoMs;
  }

  /** How often the issuer returned the token that was in use already. */
  get sameTokens(): number {
    return this.#sameTokens;
  }

  /** How many working tokens were refused early, when that is suspicious now; else 0. */
  suspiciousRejections(monoMs: number): number {
    return this.#earlyRejections.suspicious(monoMs);
  }

  get newTokenLag(): NewTokenLag {
    return this.#newTokenLag;
  }

  isBreakerOpen(monoMs: number): boolean {
    return this.#forcedRenewals.isBreakerOpen(monoMs);
  }

  /**
   * Judges an answer and puts it to use; `failures` is how many attempts failed before it. Throws `TokenSourceError`
   * for what can be no token.
   */
  take(answer: Answer, attempt: Attempt, failures: number): Intake {
    const now = momentOf(this.#options.clock);
    const read = readIssued(answer, this.#earlyRejections.learnedLifeMs(this.#options.settings.defaultTtlMs));
    this.#sayNotes(read.notes);
    const token = this.#token;
    const isSame = token?.lease.fingerprint === read.fingerprint;
    const issued = isSame ? handedOutAgain(read, token) : read;
    const isInsisted = (attempt.isForced && isSame) || failures >= INSISTENCE;
    if (this.#tombstones.has(issued.fingerprint, now.monoMs) && !isInsisted) {
      if (token?.isRefused !== true || attempt.isForced) return refusedBefore();
      return this.#askAgainOrReinstate(token, now);
    }
    const { leewayMs } = cutoffsOf(issued.lifetime.lifeMs, this.#options.settings);
    if (issued.lifetime.remainingMs(now.monoMs, now.wallMs) <= leewayMs / 2) return alreadyOver();
    this.#reportAcquired(issued, isSame, answer, attempt);
    // Another replica renewed it: with short tokens that happens more often than the issuer may be asked by force.
    if (attempt.isForced && answer.raw.ageMs !== undefined) this.#forcedRenewals.refund();
    return isSame ? this.#prolong(issued, now) : this.#install(issued, now);
  }

  /**
   * An upstream refused the token of `lease`: decides by value whether that is news, and whether it may be renewed.
   * `isBusy`: a renewal is in flight, which will bring another one.
   */
  refuse(lease: Lease, facts: { status: number | null; maxWaitMs: number; isBusy: boolean }): RenewalOutcome {
    const now = momentOf(this.#options.clock);
    const token = this.#token;
    const remainingMs = token?.remainingMs(now) ?? null;
    if (token === null || token.lease.fingerprint !== lease.fingerprint) {
      this.#newTokenLag.refused(lease);
      this.#tombstones.add(lease.fingerprint, now.monoMs);
      return this.#reportRefusal('superseded', { ...facts, remainingMs });
    }
    if (token.isRefused) return this.#reportRefusal('joined', { ...facts, remainingMs });
    const outcome = facts.isBusy ? 'joined' : this.#permit(token, now, facts.maxWaitMs);
    // A renewal in flight may be what killed it (exclusive issuers): that speaks against nothing.
    const isEarly = !facts.isBusy && this.#isEarly(token, now);
    if (outcome !== 'denied') {
      this.#tombstones.add(lease.fingerprint, now.monoMs);
      token.refuse();
    }
    this.#reportRefusal(outcome, { ...facts, remainingMs, isEarly, isRepeated: token.isDenialTold });
    token.isDenialTold = outcome === 'denied';
    if (isEarly) this.#learnFromEarly(token, now);
    return outcome;
  }

  /** A replay was refused too: the token counts against the breaker, nothing is renewed. */
  refuseReplay(lease: Lease): void {
    const token = this.#token;
    this.#newTokenLag.refused(lease);
    if (token?.lease.generation === lease.generation) {
      this.#countUnproven(token, this.#options.clock.monoMs());
    }
  }

  /** An upstream accepted the token of `lease`. */
  prove(lease: Lease): void {
    const token = this.#token;
    if (token === null || token.isProven || token.lease.generation !== lease.generation) return;
    token.isProven = true;
    this.#newTokenLag.accepted(token, token.ageMs(momentOf(this.#options.clock)));
    this.#forcedRenewals.noteProven();
  }

  /** Forgets the token in use. */
  drop(): void {
    this.#token = null;
  }

  #permit(token: HeldToken, now: Moment, maxWaitMs: number): 'renewing' | 'denied' {
    this.#countUnproven(token, now.monoMs);
    const startMonoMs = this.#forcedRenewals.permit(now.monoMs, maxWaitMs);
    if (startMonoMs === null) return 'denied';
    this.#forcedFromMonoMs = startMonoMs;
    return 'renewing';
  }

  #countUnproven(token: HeldToken, monoMs: number): void {
    if (token.isProven || token.isCounted) return;
    token.isCounted = true;
    token.wasRefusedNew = true;
    if (this.#forcedRenewals.noteUnproven(monoMs)) {
      this.#options.emit('breaker_open', { pauseMs: BREAKER_PAUSE_MS });
    }
  }

  /** An attempt that was on its way when the token was refused brought only refused ones. */
  #askAgainOrReinstate(token: HeldToken, now: Moment): Intake {
    const startMonoMs = this.#forcedRenewals.permit(now.monoMs, Number.POSITIVE_INFINITY);
    if (startMonoMs === null) {
      this.#reinstate(token);
      return 'reinstated';
    }
    this.#forcedFromMonoMs = startMonoMs;
    return 'ask_again';
  }

  #reinstate(token: HeldToken): void {
    this.#tombstones.delete(token.lease.fingerprint);
    token.reinstate();
  }

  #install(issued: IssuedToken, now: Moment): Intake {
    const { settings, random } = this.#options;
    const { lifeMs } = issued.lifetime;
    this.#generation += 1;
    for (const value of secretsOf(issued)) this.#liveValues.add(value.reveal());
    for (const value of this.#token?.secrets ?? []) this.#liveValues.retire(value.reveal(), now.monoMs);
    this.#tombstones.delete(issued.fingerprint);
    const token = this.#hold(issued, lifeMs - renewalAgeMs(lifeMs, settings, issued.refreshInMs, random));
    if (!token.isUsable(now)) token.serveToTheEnd();
    if (settings.rotation !== 'exclusive') this.#newTokenLag.replaced(this.#token);
    this.#token = token;
    return 'installed';
  }

  /**
   * The issuer returned the token in use. Its word on the life is the newest; it has no better one, so this one
   * serves to its end.
   */
  #prolong(issued: IssuedToken, now: Moment): Intake {
    const remainingMs = issued.lifetime.remainingMs(now.monoMs, now.wallMs);
    const before = this.#token;
    const wasRefused = before?.isRefused ?? false;
    const token = this.#hold(issued, remainingMs - sameTokenPollMs(issued.lifetime.lifeMs, remainingMs));
    token.isProven = before?.isProven ?? false;
    token.isDenialTold = before?.isDenialTold ?? false;
    token.isCounted = before?.isCounted ?? false;
    token.serveToTheEnd();
    this.#token = token;
    this.#tombstones.delete(issued.fingerprint);
    this.#sameTokens += 1;
    this.#options.emit('same_token', { remainingMs, wasRejected: wasRefused });
    return wasRefused ? 'reinstated' : 'installed';
  }

  #hold(issued: IssuedToken, renewBelowMs: number): HeldToken {
    const { name, clock, settings } = this.#options;
    const { lifetime, fingerprint, secret, isExpiryKnown } = issued;
    const placements = preparePlacements(settings.placements, secret.reveal(), issued.extra);
    const lease = new Lease({
      source: name,
      generation: this.#generation,
      fingerprint,
      secret,
      clock,
      lifetime,
      placements,
    });
    return new HeldToken({
      lease,
      lifetime,
      isExpiryKnown,
      renewBelowMs,
      secrets: secretsOf(issued),
      ...cutoffsOf(lifetime.lifeMs, settings),
    });
  }

  /** Only a token that worked once can be refused early: others are refused for reasons that are not its age. */
  #isEarly(token: HeldToken, now: Moment): boolean {
    const earlyShare = earlyShareOf(this.#options.settings);
    return token.isProven && token.remainingMs(now) > earlyShare * token.lifetime.lifeMs;
  }

  #learnFromEarly(token: HeldToken, now: Moment): void {
    if (!token.isExpiryKnown) {
      this.#earlyRejections.noteAge(token.lifetime.lifeMs - token.remainingMs(now));
      return;
    }
    const earlyRejections = this.#earlyRejections.note(now.monoMs);
    if (earlyRejections === null) return;
    const { settings, emit } = this.#options;
    emit('shared_credential_suspected', { earlyRejections, isShared: isShared(settings) });
  }

  #reportRefusal(
    outcome: RenewalOutcome,
    facts: { status: number | null; remainingMs: number | null; isEarly?: boolean; isRepeated?: boolean },
  ): RenewalOutcome {
    const { status, remainingMs, isEarly = false, isRepeated = false } = facts;
    this.#options.emit('rejected', { status, outcome, isEarly, isRepeated, remainingMs });
    return outcome;
  }

  #reportAcquired(issued: IssuedToken, isSame: boolean, { sent, received }: Answer, attempt: Attempt): void {
    this.#options.emit('acquired', {
      reason: attempt.reason,
      durationMs: received.monoMs - sent.monoMs,
      lifeMs: issued.lifetime.lifeMs,
      isExpiryKnown: issued.isExpiryKnown,
      isSame,
      issuerSkewMs: issued.issuerSkewMs,
    });
  }

  #sayNotes(notes: readonly string[]): void {
    for (const note of notes) {
      if (this.#saidNotes.has(note) || this.#saidNotes.size >= 20) continue;
      this.#saidNotes.add(note);
      const { name, secrets, emit } = this.#options;
      emit('note', { note: unnamed(name, secrets.scrub(note)) });
    }
  }
}
