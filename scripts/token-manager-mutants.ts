/** One decision of the token manager, disabled: `from` stands once in `file` below src/tokens/manager and becomes `to`. */
export interface Mutant {
  /** Where the decision belongs: `get`, `flight`, `answer` (what a flight brought) or `renewAfter`. */
  readonly part: 'get' | 'flight' | 'answer' | 'renewAfter';
  /** What the manager does no more. */
  readonly what: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const MANAGER = 'token-manager.ts';
const DESK = 'lease-desk.ts';
const ATTENTION = 'attention.ts';
const LOOP = 'renewal-loop.ts';
const CUSTODY = 'token-custody.ts';
const WISH = 'renewal-wish.ts';
const FORCED = 'forced-renewals.ts';
const STREAK = 'failure-streak.ts';
const WAITING = 'waiting-room.ts';

type Row = readonly [what: string, file: string, from: string, to: string];

/** A request asks for a lease: `get`, `peek` and the wait behind them. */
const GET: readonly Row[] = [
  [
    'look at an aborted signal first',
    DESK,
    'async get(options: WaitOptions = {}): Promise<Lease> {\n    options.signal?.throwIfAborted();',
    'async get(options: WaitOptions = {}): Promise<Lease> {',
  ],
  [
    'take the fast path',
    DESK,
    "return this.peek() ?? (await this.wait('get', options))",
    "return (await this.wait('get', options))",
  ],
  [
    'ask for a token when there is none',
    DESK,
    '    if (token === null) {\n      this.#noteDemand(monoMs);',
    '    if (token === null) {',
  ],
  [
    'renew when the renewal point has passed',
    DESK,
    'if (remainingMs <= token.renewBelowMs || this.#attention.isDormant) this',
    'if (this.#attention.isDormant) this',
  ],
  [
    'wake from dormancy',
    DESK,
    'if (remainingMs <= token.renewBelowMs || this.#attention.isDormant) this',
    'if (remainingMs <= token.renewBelowMs) this',
  ],
  [
    'note that a request came',
    DESK,
    '    this.#attention.note(monoMs);\n    return remainingMs',
    '    return remainingMs',
  ],
  [
    'refuse a token below its cutoff',
    DESK,
    'return remainingMs > token.cutoffMs ? token : null;',
    'return token;',
  ],
  [
    'end the jitter of the start for a request',
    ATTENTION,
    '    this.#isDormant = false;\n    this.#startMonoMs = Number.NEGATIVE_INFINITY;',
    '    this.#isDormant = false;',
  ],
  [
    'leave a pause after failures alone',
    DESK,
    'const isPausing = this.#loop.streak.failures > 0 && monoMs < this.#loop.nextAttemptMonoMs;',
    'const isPausing = true;',
  ],
  [
    'end the long pause of an idle manager',
    DESK,
    'if (!isPausing || wasIdle) this.#loop.look();',
    'if (!isPausing) this.#loop.look();',
  ],
  [
    'bound the wait by the request',
    DESK,
    'return Math.min(options.maxWaitMs ?? Number.POSITIVE_INFINITY, this.#settings.maxWaitMs);',
    'return this.#settings.maxWaitMs;',
  ],
  [
    'bound the wait by the setting',
    DESK,
    'return Math.min(options.maxWaitMs ?? Number.POSITIVE_INFINITY, this.#settings.maxWaitMs);',
    'return options.maxWaitMs ?? Number.POSITIVE_INFINITY;',
  ],
  ['refuse when stopped', DESK, "    if (this.#isStopped) return this.#fail('stopped');\n", ''],
  [
    'bound the number of waiters',
    DESK,
    "    if (this.#waiters.size >= this.#settings.maxWaiters) return this.#fail('too_many_waiters');\n",
    '',
  ],
  [
    'look at once when somebody waits',
    DESK,
    '    this.#noteDemand(monoMs);\n    this.#loop.look();',
    '    this.#noteDemand(monoMs);',
  ],
  [
    'refuse waits that cannot end well',
    DESK,
    '    this.#noteStarving(momentOf(this.#clock));\n    this.#refuseHopeless();\n    return lease;',
    '    this.#noteStarving(momentOf(this.#clock));\n    return lease;',
  ],
  [
    'keep waiters while a token is on its way',
    DESK,
    '  #refuseHopeless(): void {\n    if (this.#loop.isBusy) return;',
    '  #refuseHopeless(): void {',
  ],
  [
    'keep waiters whose deadline is later than the next attempt',
    DESK,
    '(waiter) => waiter.deadlineMonoMs < nextAttemptMonoMs,',
    '() => true,',
  ],
  [
    'say that the credentials are refused',
    DESK,
    "reason: reason === 'issuer_failing' && streak.isMisconfigured ? 'credentials_refused' : reason,",
    'reason,',
  ],
  [
    'say when it is worth asking again',
    DESK,
    'retryAfterMs: Number.isFinite(nextAttemptMonoMs) ? nextAttemptMonoMs - this.#clock.monoMs() : 0,',
    'retryAfterMs: 0,',
  ],
  [
    'end a wait after its time',
    WAITING,
    'const timer = this.#clock.schedule(() => waiter.refuse(settings.timeoutError()), maxWaitMs);',
    'const timer = this.#clock.schedule(() => {}, maxWaitMs);',
  ],
  ['let a waiter leave', WAITING, "      signal?.addEventListener('abort', onAbort, { once: true });\n", ''],
  ['clear the timer of a waiter', WAITING, '        timer.cancel();\n', ''],
  ['clear the listener of a waiter', WAITING, "        signal?.removeEventListener('abort', onAbort);\n", ''],
  ['forget a manual waiter', WAITING, "        if (kind === 'manual') this.#manual -= 1;\n", ''],
];

/** Attempts at the source: when, one at a time, how they end. */
const FLIGHT: readonly Row[] = [
  [
    'make one attempt at a time',
    LOOP,
    'if (this.#isStopped || this.#attempt !== null) return;',
    'if (this.#isStopped) return;',
  ],
  [
    'rest when stopped',
    LOOP,
    'if (this.#isStopped || this.#attempt !== null) return;',
    'if (this.#attempt !== null) return;',
  ],
  ['notice that a clock jumped', LOOP, 'if (jumpMs !== 0) this.#host.onClockJump(jumpMs, now);', ''],
  [
    'wait for a young token that was obtained already',
    LOOP,
    '      this.#lookAtSettling(this.#settling, now);\n      return;\n    }\n    const wish',
    '      this.#lookAtSettling(this.#settling, now);\n    }\n    const wish',
  ],
  [
    'stop when nothing is wanted',
    LOOP,
    '    if (wish === null) {\n      this.#plan(now, Number.POSITIVE_INFINITY);\n      return;\n    }',
    '',
  ],
  [
    'let an operator pass the pause',
    LOOP,
    'const pauseEndMonoMs = wish.isUrgent\n      ? Number.NEGATIVE_INFINITY\n      : this',
    'const pauseEndMonoMs = this',
  ],
  [
    'pause after failures',
    LOOP,
    'const dueMonoMs = Math.max(now.monoMs + wish.dueInMs, pauseEndMonoMs);',
    'const dueMonoMs = now.monoMs + wish.dueInMs;',
  ],
  [
    'wait until a renewal is due',
    LOOP,
    'const dueMonoMs = Math.max(now.monoMs + wish.dueInMs, pauseEndMonoMs);',
    'const dueMonoMs = Math.max(now.monoMs, pauseEndMonoMs);',
  ],
  [
    'forgive failures when the source changed',
    LOOP,
    '    this.#hasNews = true;\n    this.streak.forgive();',
    '    this.#hasNews = true;',
  ],
  ['remember that the source changed', LOOP, '    this.#hasNews = true;\n    this.streak', '    this.streak'],
  [
    'give up an attempt with another recipe',
    LOOP,
    '      this.#attempt.abandon();\n      this.#attempt = null;\n    }\n    this.look();',
    '    }\n    this.look();',
  ],
  [
    'abort the attempt when stopped',
    LOOP,
    '    this.#isStopped = true;\n    this.#attempt?.abandon();',
    '    this.#isStopped = true;',
  ],
  [
    'cancel the timer when stopped',
    LOOP,
    '    this.#settling = null;\n    this.#timer?.cancel();',
    '    this.#settling = null;',
  ],
  [
    'settle the start when stopped',
    LOOP,
    '    this.#nextAttemptMonoMs = Number.POSITIVE_INFINITY;\n    this.#host.onSettled();',
    '    this.#nextAttemptMonoMs = Number.POSITIVE_INFINITY;',
  ],
  ['ignore the result of an abandoned attempt', LOOP, '      if (this.#attempt !== attempt) return;\n', ''],
  [
    'throw away the answer to an older recipe',
    LOOP,
    'if (attempt.recipe !== this.#source.key) this.look();\n      else if',
    'if',
  ],
  [
    'hold a young token back',
    LOOP,
    'if (usableFromMonoMs - now.monoMs > DUE_MS) {',
    'if (usableFromMonoMs === Number.POSITIVE_INFINITY) {',
  ],
  [
    'count an unusable answer as a failure',
    LOOP,
    '    if (failure !== null) {\n      this.#fail(failure, attempt);\n      return;\n    }\n',
    '',
  ],
  [
    'survive an answer that cannot be read',
    LOOP,
    '    } catch (error) {\n      return failureOf(error);\n    }\n  }\n\n  #fail',
    '    } catch (error) {\n      throw error;\n    }\n  }\n\n  #fail',
  ],
  ['end the streak of failures with a token', LOOP, '    this.streak.end();\n', ''],
  [
    'look again after a token',
    LOOP,
    '    this.streak.end();\n    this.#host.onSettled();\n    this.look();',
    '    this.streak.end();\n    this.#host.onSettled();',
  ],
  ['scrub the text of a failure', LOOP, 'message: this.#host.scrub(raw.message)', 'message: raw.message'],
  ['count a failure', LOOP, '    this.streak.add(failure, momentOf(this.#clock), this.#random());\n', ''],
  [
    'look again after a failure',
    LOOP,
    '    this.#host.onFailure();\n    this.look();',
    '    this.#host.onFailure();',
  ],
  [
    'keep timers short',
    LOOP,
    'const delayMs = Math.min(LONGEST_TIMER_MS, dueMonoMs - now.monoMs);',
    'const delayMs = dueMonoMs - now.monoMs;',
  ],
  [
    'replace the timer',
    LOOP,
    '  #plan(now: Moment, dueMonoMs: number): void {\n    this.#timer?.cancel();',
    '  #plan(now: Moment, dueMonoMs: number): void {',
  ],
  [
    'ask by force for an operator',
    WISH,
    "return { ...wish, reason: 'manual', force: true, isUrgent: true };",
    "return { ...wish, reason: 'manual', isUrgent: true };",
  ],
  [
    'ask at once for news',
    WISH,
    "  if (facts.hasNews) return { ...wish, reason: 'renewal', isUrgent: true };\n",
    '',
  ],
  ['spread the start', WISH, 'dueInMs: facts.startMonoMs - now.monoMs };', 'dueInMs: 0 };'],
  [
    'ask by force for a refused token',
    WISH,
    "return { ...wish, reason: 'rejected', force: true, dueInMs",
    "return { ...wish, reason: 'rejected', dueInMs",
  ],
  ['keep forced renewals apart', WISH, 'dueInMs: facts.forcedFromMonoMs - now.monoMs };', 'dueInMs: 0 };'],
  [
    'ask at once when the token has ended',
    WISH,
    "  if (!isUsable) return { ...wish, reason: 'demand' };\n",
    '',
  ],
  [
    'shorten an attempt that a short token cannot wait for',
    WISH,
    'attemptTimeoutMs(facts.attemptTimeoutMs, usableForMs, facts.lastDurationMs)',
    'facts.attemptTimeoutMs',
  ],
  [
    'stop renewing without requests',
    MANAGER,
    'if (!isManual && !hasNews && this.#fallsDormant(now)) return null;',
    '',
  ],
  ['renew for those who wait', MANAGER, '    if (this.#desk.waiters > 0) return false;\n', ''],
  [
    'probe slowly when the credentials are refused',
    STREAK,
    'return this.#refusals >= (this.#hasEverSucceeded ? DOUBTED_REFUSALS : 1);',
    'return false;',
  ],
  [
    'doubt a refusal of credentials that worked',
    STREAK,
    'this.#hasEverSucceeded ? DOUBTED_REFUSALS : 1',
    '1',
  ],
];

/** What a flight brought: put to use, prolonged, thrown away; and what a failure means for the token in use. */
const ANSWER: readonly Row[] = [
  [
    'learn a shorter life',
    CUSTODY,
    'this.#earlyRejections.learnedLifeMs(this.#options.settings.defaultTtlMs)',
    'this.#options.settings.defaultTtlMs',
  ],
  [
    'tell the same token from another one',
    CUSTODY,
    'const isSame = token?.lease.fingerprint === read.fingerprint;',
    'const isSame = false;',
  ],
  [
    'give in to an issuer that insists at once',
    CUSTODY,
    'const isInsisted = (attempt.isForced && isSame) || failures >= INSISTENCE;',
    'const isInsisted = failures >= INSISTENCE;',
  ],
  [
    'give in to an issuer that insists in the end',
    CUSTODY,
    'const isInsisted = (attempt.isForced && isSame) || failures >= INSISTENCE;',
    'const isInsisted = attempt.isForced && isSame;',
  ],
  [
    'refuse a token that was refused before',
    CUSTODY,
    'if (this.#tombstones.has(issued.fingerprint, now.monoMs) && !isInsisted) {',
    'if (issued.fingerprint === null && !isInsisted) {',
  ],
  [
    'count an older refused token as a failure',
    CUSTODY,
    'if (token?.isRefused !== true || attempt.isForced) return refusedBefore();',
    'if (token?.isRefused !== true) return refusedBefore();',
  ],
  [
    'throw away what has ended',
    CUSTODY,
    'if (issued.lifetime.remainingMs(now.monoMs, now.wallMs) <= leewayMs / 2) return alreadyOver();',
    '',
  ],
  [
    'give back a forced renewal that another replica made',
    CUSTODY,
    '    if (attempt.isForced && answer.raw.ageMs !== undefined) this.#forcedRenewals.refund();\n',
    '',
  ],
  [
    'keep the number of the same token',
    CUSTODY,
    'return isSame ? this.#prolong(issued, now) : this.#install(issued, now);',
    'return this.#install(issued, now);',
  ],
  ['number the tokens', CUSTODY, '    this.#generation += 1;\n', ''],
  [
    'know the value as a secret',
    CUSTODY,
    '    for (const value of secretsOf(issued)) this.#liveValues.add(value.reveal());\n',
    '',
  ],
  [
    'retire the value of the old token',
    CUSTODY,
    '    for (const value of this.#token?.secrets ?? []) this.#liveValues.retire(value.reveal(), now.monoMs);\n',
    '',
  ],
  [
    'use a token that came below its leeway',
    CUSTODY,
    '    if (!token.isUsable(now)) token.serveToTheEnd();\n',
    '',
  ],
  ['remember that the same token worked', CUSTODY, '    token.isProven = before?.isProven ?? false;\n', ''],
  ['count the same token once', CUSTODY, '    token.isCounted = before?.isCounted ?? false;\n', ''],
  [
    'serve the same token to its end',
    CUSTODY,
    '    token.isCounted = before?.isCounted ?? false;\n    token.serveToTheEnd();',
    '    token.isCounted = before?.isCounted ?? false;',
  ],
  [
    'say a remark once',
    CUSTODY,
    'if (this.#saidNotes.has(note) || this.#saidNotes.size >= 20) continue;',
    '',
  ],
  [
    'let the old token serve until the new one is old enough',
    MANAGER,
    'const oldServesForMs = token?.isUsable(now) === true ? token.remainingMs(now) - token.cutoffMs : 0;',
    'const oldServesForMs = 0;',
  ],
  [
    'use a young token after 3 s when there is no other',
    MANAGER,
    'return Math.max(Math.min(oldEnoughMonoMs(answer), latest), known);',
    'return Math.max(oldEnoughMonoMs(answer), known);',
  ],
  [
    'hold back what upstreams do not know yet',
    MANAGER,
    'return Math.max(Math.min(oldEnoughMonoMs(answer), latest), known);',
    'return Math.min(oldEnoughMonoMs(answer), latest);',
  ],
  ['serve those who wait', DESK, '    }\n    this.#serveWaiters(now);', '    }'],
  ['serve the operator with the new token only', DESK, "      if (waiter.kind === 'manual') continue;\n", ''],
  [
    'serve the operator',
    DESK,
    "if (waiter.kind === 'manual' && lease !== null) waiter.serve(lease);\n      else if",
    'if',
  ],
  [
    'refuse a replay when the refused token came again',
    DESK,
    "      else if (waiter.kind === 'replay' && intake === 'reinstated') waiter.serve(null);\n",
    '',
  ],
  ['ask once more for a token that is none', MANAGER, "    if (intake === 'ask_again') return null;\n", ''],
  [
    'say that the issuer is back',
    MANAGER,
    "      this.#emit('recovered', {\n        failures: streak.failures,\n        failedForMs,\n        wasStarving: this.#desk.isStarving,\n      });\n",
    '',
  ],
  [
    'serve the old token below its leeway while the issuer fails',
    MANAGER,
    '    this.#custody.token?.serveToTheEnd();\n',
    '',
  ],
  ['serve those who wait with it', DESK, '    this.#serveWaiters(momentOf(this.#clock));\n', ''],
  [
    'tell the operator that it failed',
    DESK,
    "      (waiter) => waiter.kind === 'manual',\n",
    '      () => false,\n',
  ],
  ['say once that requests starve', DESK, '    this.#isStarving = true;\n', ''],
  ['drop the token when stopped', MANAGER, '    this.#custody.drop();\n', ''],
  ['refuse those who wait when stopped', MANAGER, '    this.#desk.close();\n', ''],
  ['stop watching the source', MANAGER, '    this.#watch?.close();\n', ''],
];

/** An upstream refused a token. */
const RENEW_AFTER: readonly Row[] = [
  [
    'look at an aborted signal first',
    MANAGER,
    '  ): Promise<Lease | null> {\n    options.signal?.throwIfAborted();',
    '  ): Promise<Lease | null> {',
  ],
  [
    'deny',
    MANAGER,
    "    if (outcome === 'denied') return this.#custody.newTokenLag.standIn(momentOf(this.#clock));\n",
    '',
  ],
  [
    'let the token that worked before stand in',
    MANAGER,
    'return this.#custody.newTokenLag.standIn(momentOf(this.#clock));',
    'return null;',
  ],
  [
    'replay with the newer token that is there',
    MANAGER,
    "const current = outcome === 'superseded' ? this.peek() : null;",
    'const current = null;',
  ],
  [
    'never replay with the refused one',
    MANAGER,
    "const current = outcome === 'superseded' ? this.peek() : null;",
    'const current = rejected;',
  ],
  [
    'wait for the renewal',
    MANAGER,
    "return current ?? this.#desk.wait('replay', options);",
    'return current;',
  ],
  [
    'compare by value before anything is renewed',
    CUSTODY,
    'if (token === null || token.lease.fingerprint !== lease.fingerprint) {',
    'if (token === null) {',
  ],
  [
    'remember the late refusal of an old token',
    CUSTODY,
    "      this.#tombstones.add(lease.fingerprint, now.monoMs);\n      return this.#reportRefusal('superseded'",
    "      return this.#reportRefusal('superseded'",
  ],
  [
    'join the renewal of the same refusal',
    CUSTODY,
    "    if (token.isRefused) return this.#reportRefusal('joined', { ...facts, remainingMs });\n",
    '',
  ],
  [
    'join a renewal that is under way',
    CUSTODY,
    "const outcome = facts.isBusy ? 'joined' : this.#permit(token, now, facts.maxWaitMs);",
    'const outcome = this.#permit(token, now, facts.maxWaitMs);',
  ],
  [
    'blame nobody for a refusal during a renewal',
    CUSTODY,
    'const isEarly = !facts.isBusy && this.#isEarly(token, now);',
    'const isEarly = this.#isEarly(token, now);',
  ],
  ['keep the token in use when renewal is denied', CUSTODY, "    if (outcome !== 'denied') {\n", '    {\n'],
  [
    'remember the refused token',
    CUSTODY,
    '      this.#tombstones.add(lease.fingerprint, now.monoMs);\n      token.refuse();',
    '      token.refuse();',
  ],
  [
    'take the refused token out of use',
    CUSTODY,
    '      this.#tombstones.add(lease.fingerprint, now.monoMs);\n      token.refuse();',
    '      this.#tombstones.add(lease.fingerprint, now.monoMs);',
  ],
  ['learn from an early refusal', CUSTODY, '    if (isEarly) this.#learnFromEarly(token, now);\n', ''],
  [
    'count a token that nobody accepts',
    CUSTODY,
    '    this.#countUnproven(token, now.monoMs);\n    const startMonoMs',
    '    const startMonoMs',
  ],
  [
    'count a refused replay',
    CUSTODY,
    '      this.#countUnproven(token, this.#options.clock.monoMs());\n',
    '',
  ],
  [
    'count one token once',
    CUSTODY,
    'if (token.isProven || token.isCounted) return;',
    'if (token.isProven) return;',
  ],
  [
    'hold nothing against a token that worked',
    CUSTODY,
    'if (token.isProven || token.isCounted) return;',
    'if (token.isCounted) return;',
  ],
  [
    'prove the token in use only',
    CUSTODY,
    'if (token === null || token.isProven || token.lease.generation !== lease.generation) return;',
    'if (token === null || token.isProven) return;',
  ],
  ['close the breaker with a success', CUSTODY, '    this.#forcedRenewals.noteProven();\n', ''],
  [
    'say when a forced renewal may start',
    CUSTODY,
    "    if (startMonoMs === null) return 'denied';\n    this.#forcedFromMonoMs = startMonoMs;",
    "    if (startMonoMs === null) return 'denied';",
  ],
  [
    'give up when no other token may be had',
    CUSTODY,
    "    if (startMonoMs === null) {\n      this.#reinstate(token);\n      return 'reinstated';\n    }\n",
    '',
  ],
  [
    'put the only token back to use',
    CUSTODY,
    "      this.#reinstate(token);\n      return 'reinstated';",
    "      return 'reinstated';",
  ],
  [
    'call a refusal early for tokens that worked only',
    CUSTODY,
    'return token.isProven && token.remainingMs(now) > earlyShare * token.lifetime.lifeMs;',
    'return token.remainingMs(now) > earlyShare * token.lifetime.lifeMs;',
  ],
  [
    'call a refusal near the end due',
    CUSTODY,
    'return token.isProven && token.remainingMs(now) > earlyShare * token.lifetime.lifeMs;',
    'return token.isProven;',
  ],
  [
    'learn the life of tokens that do not state it',
    CUSTODY,
    '      this.#earlyRejections.noteAge(token.lifetime.lifeMs - token.remainingMs(now));\n',
    '',
  ],
  ['keep the breaker open', FORCED, '    if (this.isBreakerOpen(monoMs)) return null;\n', ''],
  [
    'allow five forced renewals a minute',
    FORCED,
    '    if (this.#permitted.length >= MOST_IN_WINDOW) return null;\n',
    '',
  ],
  [
    'forget forced renewals after a minute',
    FORCED,
    'this.#permitted = this.#permitted.filter((at) => monoMs - at < WINDOW_MS);',
    '',
  ],
  [
    'keep forced renewals a second apart',
    FORCED,
    '(this.#permitted.at(-1) ?? Number.NEGATIVE_INFINITY) + APART_MS',
    'Number.NEGATIVE_INFINITY',
  ],
  [
    'deny what the request cannot wait for',
    FORCED,
    '    if (startMonoMs - monoMs > maxWaitMs) return null;\n',
    '',
  ],
  ['open the breaker', FORCED, '    this.#openUntilMonoMs = monoMs + BREAKER_PAUSE_MS;\n', ''],
  [
    'open the breaker at the second token only',
    FORCED,
    'if (this.#unproven < UNPROVEN_BEFORE_OPEN || this.isBreakerOpen(monoMs)) return false;',
    'if (this.isBreakerOpen(monoMs)) return false;',
  ],
];

const part = (name: Mutant['part'], rows: readonly Row[]): Mutant[] =>
  rows.map(([what, file, from, to]) => ({ part: name, what, file, from, to }));

/** Every decision of get, flight and renewAfter, one at a time. */
export const TOKEN_MANAGER_MUTANTS: readonly Mutant[] = [
  ...part('get', GET),
  ...part('flight', FLIGHT),
  ...part('answer', ANSWER),
  ...part('renewAfter', RENEW_AFTER),
];

/** The mutated text of a file; throws when the decision does not stand there exactly once. */
export function mutated(text: string, mutant: Mutant): string {
  const parts = text.split(mutant.from);
  if (parts.length !== 2)
    throw new Error(`${mutant.file}: stands ${parts.length - 1} times and not once: ${mutant.from}`);
  return parts.join(mutant.to);
}
