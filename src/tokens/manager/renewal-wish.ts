import type { Moment } from '../expiry/lifetime.ts';
import type { AcquireReason } from '../sources/token-source.ts';
import { attemptTimeoutMs } from './attempt.ts';
import type { HeldToken } from './held-token.ts';

/** What is wanted from a source. */
export interface Wish {
  readonly reason: AcquireReason;
  readonly force: boolean;
  /** From now; 0 or less: at once. */
  readonly dueInMs: number;
  /** True: an operator or a changed recipe asks, which no pause after failures holds up. */
  readonly isUrgent: boolean;
  readonly previousFingerprint: string | null;
  readonly timeoutMs: number;
}

interface WishFacts {
  readonly now: Moment;
  readonly token: HeldToken | null;
  /** An operator asked for a new token. */
  readonly isManual: boolean;
  /** The source said that it changed. */
  readonly hasNews: boolean;
  /** When the first attempt may be made, on the monotonic clock; minus infinity once a request asked. */
  readonly startMonoMs: number;
  /** When the token that was refused may be renewed, on the monotonic clock. */
  readonly forcedFromMonoMs: number;
  readonly attemptTimeoutMs: number;
  /** How long the issuer needed last. */
  readonly lastDurationMs: number;
}

/** What a manager wants from its source next, and when: there is always something, as every token ends. */
export function wishFor(facts: WishFacts): Wish {
  const { now, token } = facts;
  const isUsable = token?.isUsable(now) ?? false;
  const usableForMs = token !== null && isUsable ? token.remainingMs(now) - token.floorMs : null;
  const wish = {
    force: false,
    dueInMs: 0,
    isUrgent: false,
    previousFingerprint: token?.lease.fingerprint ?? null,
    timeoutMs: attemptTimeoutMs(facts.attemptTimeoutMs, usableForMs, facts.lastDurationMs),
  };
  if (facts.isManual) return { ...wish, reason: 'manual', force: true, isUrgent: true };
  if (facts.hasNews) return { ...wish, reason: 'renewal', isUrgent: true };
  if (token === null) {
    const reason = facts.startMonoMs === Number.NEGATIVE_INFINITY ? 'demand' : 'start';
    return { ...wish, reason, dueInMs: facts.startMonoMs - now.monoMs };
  }
  if (token.isRefused) {
    return { ...wish, reason: 'rejected', force: true, dueInMs: facts.forcedFromMonoMs - now.monoMs };
  }
  if (!isUsable) return { ...wish, reason: 'demand' };
  return { ...wish, reason: 'renewal', dueInMs: token.remainingMs(now) - token.renewBelowMs };
}
