/** One decision of the token manager, disabled: `from` occurs once in `file` below src/tokens/manager and becomes `to`. */
export interface Mutant {
  /** Where the decision belongs: `get`, `flight`, `response` (what an acquisition brought) or `renewAfter`. */
  readonly part: 'get' | 'flight' | 'response' | 'renewAfter';
  /** What the manager does no more. */
  readonly what: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const MANAGER = 'token-manager.ts';
const STATE = 'token-state.ts';
const TRANSITION = 'transition.ts';
const WAITERS = 'waiters.ts';
const TIMING = 'renewal-timing.ts';
const REJECTIONS = 'rejections.ts';

type Row = readonly [what: string, file: string, from: string, to: string];

/** A request needs a lease: `get`, `peek` and the wait behind them. */
const GET: readonly Row[] = [
  [
    'look at an aborted signal first',
    MANAGER,
    'async get(options: WaitOptions = {}): Promise<Lease> {\n    options.signal?.throwIfAborted();',
    'async get(options: WaitOptions = {}): Promise<Lease> {',
  ],
  [
    'take the fast path',
    MANAGER,
    "return this.peek() ?? (await this.#request('get', options));",
    "return this.#request('get', options);",
  ],
  [
    'acquire a token when there is none',
    STATE,
    '  return !isPausing || wasIdle;\n',
    '  return token !== null && (!isPausing || wasIdle);\n',
  ],
  [
    'renew when the renewal point has passed',
    STATE,
    'token.lifetime.remainingMs(monoMs, wallMs) <= token.renewBelowMs',
    'false',
  ],
  ['wake from dormancy', STATE, 'token === null || state.isDormant ||', 'token === null ||'],
  [
    'note that a request came',
    STATE,
    '  if (!isWanted) {\n    state.lastRequestMonoMs = monoMs;\n',
    '  if (!isWanted) {\n',
  ],
  [
    'refuse a token below its cutoff',
    STATE,
    'token.lifetime.remainingMs(monoMs, wallMs) > token.cutoffMs ? token : null',
    'token.cutoffMs > 0 ? token : null',
  ],
  [
    'end the jitter of the start for a request',
    STATE,
    '  state.isDormant = false;\n  state.startMonoMs = Number.NEGATIVE_INFINITY;',
    '  state.isDormant = false;',
  ],
  [
    'leave a pause after failures alone',
    STATE,
    'const isPausing = state.failures.failures > 0 && monoMs < state.nextAttemptMonoMs;',
    'const isPausing = true;',
  ],
  ['end the long pause of an idle source', STATE, 'return !isPausing || wasIdle;', 'return !isPausing;'],
  [
    'bound the wait by the request',
    MANAGER,
    'Math.min(maxWaitMs, this.settings.maxWaitMs)',
    'this.settings.maxWaitMs',
  ],
  ['bound the wait by the setting', MANAGER, 'Math.min(maxWaitMs, this.settings.maxWaitMs)', 'maxWaitMs'],
  [
    'refuse when stopped',
    TRANSITION,
    "  if (state.isStopped) {\n    failWaiter(step, waiter, 'stopped');\n    return;\n  }\n",
    '',
  ],
  [
    'bound the number of waiters',
    TRANSITION,
    "  if (state.waiters.size >= rules.settings.maxWaiters) {\n    failWaiter(step, waiter, 'too_many_waiters');\n    return;\n  }\n",
    '',
  ],
  [
    'plan at once when a request waits',
    TRANSITION,
    '  wake(state, now.monoMs);\n  advance(step);\n',
    '  wake(state, now.monoMs);\n',
  ],
  [
    'fail waits that cannot end well',
    TRANSITION,
    '  advance(step);\n  reportStarving(step);\n  failHopelessWaiters(step);\n}',
    '  advance(step);\n  reportStarving(step);\n}',
  ],
  [
    'keep waiters while a token is on its way',
    TRANSITION,
    '  if (isBusy(state)) return;\n  failWaiters(',
    '  failWaiters(',
  ],
  [
    'fail requests at once while the source is misconfigured',
    TRANSITION,
    '  if (state.failures.isMisconfigured) failWaiters(',
    '  if (false) failWaiters(',
  ],
  [
    'forget what failed before renewal stopped',
    STATE,
    '  if (state.isDormant) state.failures.reset();\n',
    '',
  ],
  [
    'keep waiters whose deadline is later than the next attempt',
    TRANSITION,
    '({ deadlineMonoMs }) => deadlineMonoMs < state.nextAttemptMonoMs',
    '() => true',
  ],
  [
    'say that the credentials are rejected',
    TRANSITION,
    "reason: reason === 'issuer_failing' && failures.isMisconfigured ? 'credentials_refused' : reason,",
    'reason,',
  ],
  [
    'say when another try may help',
    TRANSITION,
    'Number.isFinite(nextAttemptMonoMs) ? nextAttemptMonoMs - now.monoMs : 0,',
    '0,',
  ],
  [
    'end a wait after its time',
    WAITERS,
    'const expire = (): void => this.#ends.expired(waiter);',
    'const expire = (): void => {};',
  ],
  ['let a waiter leave', WAITERS, "      signal?.addEventListener('abort', onAbort, { once: true });\n", ''],
  ['clear the timer of a waiter', WAITERS, '    pending.timer?.cancel();\n', ''],
  [
    'clear the listener of a waiter',
    WAITERS,
    "    pending.signal?.removeEventListener('abort', pending.onAbort);\n",
    '',
  ],
  [
    'make no timer for a waiter that is settled at once',
    WAITERS,
    '      if (!this.#pending.has(waiter)) return;\n',
    '',
  ],
  [
    'forget a waiter that left',
    TRANSITION,
    '  if (!state.waiters.delete(waiter)) return;\n',
    '  if (!state.waiters.has(waiter)) return;\n',
  ],
  ['forget a manual waiter', TRANSITION, "  if (waiter.kind === 'manual') state.manualWaiters -= 1;\n", ''],
];

/** Acquisitions: when, one at a time, how they end. */
const FLIGHT: readonly Row[] = [
  [
    'make one acquisition at a time',
    TRANSITION,
    'if (state.isStopped || state.acquisition !== null) return;',
    'if (state.isStopped) return;',
  ],
  [
    'rest when stopped',
    TRANSITION,
    'if (state.isStopped || state.acquisition !== null) return;',
    'if (state.acquisition !== null) return;',
  ],
  ['notice that a clock jumped', TRANSITION, '  detectClockJump(step);\n', ''],
  ['align the lifetime after a clock jump', TRANSITION, '  state.token?.lifetime.align(now);\n', ''],
  [
    'wait for a young token that was acquired already',
    TRANSITION,
    '    useWhenOldEnough(step, state.heldBack);\n    return;\n',
    '    useWhenOldEnough(step, state.heldBack);\n',
  ],
  [
    'stop when nothing is wanted',
    TRANSITION,
    '  if (!isManual && !state.hasSourceChanged && isDormantNow(step)) return null;\n',
    '  isDormantNow(step);\n',
  ],
  [
    'let an operator pass the pause',
    TRANSITION,
    'const pauseEndMonoMs = plan.isUrgent\n    ? Number.NEGATIVE_INFINITY\n    : state',
    'const pauseEndMonoMs = state',
  ],
  [
    'pause after failures',
    TRANSITION,
    'const dueMonoMs = Math.max(now.monoMs + plan.dueInMs, pauseEndMonoMs);',
    'const dueMonoMs = now.monoMs + plan.dueInMs;',
  ],
  [
    'wait until a renewal is due',
    TRANSITION,
    'const dueMonoMs = Math.max(now.monoMs + plan.dueInMs, pauseEndMonoMs);',
    'const dueMonoMs = Math.max(now.monoMs, pauseEndMonoMs);',
  ],
  ['reset the failures when the source changed', TRANSITION, '      state.failures.reset();\n', ''],
  ['remember that the source changed', TRANSITION, '      state.hasSourceChanged = true;\n', ''],
  ['forget that the source changed when it is asked', TRANSITION, '  state.hasSourceChanged = false;\n', ''],
  [
    'give up an acquisition with another recipe',
    TRANSITION,
    '      if (input.isOutdated) abandonAcquisition(step);\n',
    '',
  ],
  [
    'abort the acquisition when stopped',
    TRANSITION,
    '  state.isStopped = true;\n  abandonAcquisition(step);\n',
    '  state.isStopped = true;\n',
  ],
  ['abort what it abandons', MANAGER, '        this.#running?.abandon();\n', ''],
  [
    'cancel the timer when stopped',
    TRANSITION,
    "  setTimer(step, Number.POSITIVE_INFINITY);\n  step.effects.push({ type: 'startCompleted' });\n",
    "  step.effects.push({ type: 'startCompleted' });\n",
  ],
  [
    'complete the start when stopped',
    TRANSITION,
    "  setTimer(step, Number.POSITIVE_INFINITY);\n  step.effects.push({ type: 'startCompleted' });\n",
    '  setTimer(step, Number.POSITIVE_INFINITY);\n',
  ],
  [
    'ignore the result of an abandoned acquisition',
    TRANSITION,
    '  if (state.acquisition !== acquisition) return;\n',
    '',
  ],
  [
    'throw away the response to an older recipe',
    TRANSITION,
    'if (result.isOutdated) advance(step);\n  else if',
    'if',
  ],
  [
    'hold a young token back',
    TRANSITION,
    'if (usableFromMonoMs - now.monoMs > DUE_MS) {',
    'if (usableFromMonoMs === Number.POSITIVE_INFINITY) {',
  ],
  [
    'count an unusable response as a failure',
    TRANSITION,
    '  if (failure !== null) {\n    recordFailure(step, failure, acquisition);\n    return;\n  }\n',
    '',
  ],
  [
    'survive a response that cannot be parsed',
    TRANSITION,
    '    return failureOf(error);\n',
    '    throw error;\n',
  ],
  ['end the streak of failures with a token', TRANSITION, '  state.failures.end();\n', ''],
  [
    'plan again after a token',
    TRANSITION,
    "  state.failures.end();\n  step.effects.push({ type: 'startCompleted' });\n  advance(step);\n",
    "  state.failures.end();\n  step.effects.push({ type: 'startCompleted' });\n",
  ],
  ['redact the text of a failure', TRANSITION, 'message: rules.redact(raw.message)', 'message: raw.message'],
  ['count a failure', TRANSITION, '  state.failures.add(failure, now, rules.random());\n', ''],
  [
    'plan again after a failure',
    TRANSITION,
    "  failWaiters(step, ({ kind }) => kind === 'manual');\n  advance(step);\n",
    "  failWaiters(step, ({ kind }) => kind === 'manual');\n",
  ],
  [
    'keep timers short',
    MANAGER,
    'Math.min(MAX_TIMER_MS, dueMonoMs - this.#clock.monoMs())',
    'dueMonoMs - this.#clock.monoMs()',
  ],
  [
    'replace the timer',
    MANAGER,
    '    this.#timer?.cancel();\n    this.#timer = null;\n',
    '    this.#timer = null;\n',
  ],
  [
    'plan again when the timer fires',
    MANAGER,
    "this.#clock.schedule(() => this.#dispatch({ type: 'renewalDue' }), delayMs)",
    'this.#clock.schedule(() => {}, delayMs)',
  ],
  [
    'ask by force for an operator',
    TRANSITION,
    "reason: 'manual', isForced: true, isUrgent: true }",
    "reason: 'manual', isUrgent: true }",
  ],
  [
    'ask at once when the source changed',
    TRANSITION,
    "  if (state.hasSourceChanged) return { ...plan, reason: 'renewal', isUrgent: true };\n",
    '',
  ],
  ['spread the start', TRANSITION, 'dueInMs: state.startMonoMs - now.monoMs };', 'dueInMs: 0 };'],
  [
    'ask by force for a rejected token',
    TRANSITION,
    "reason: 'rejected', isForced: true, dueInMs",
    "reason: 'rejected', dueInMs",
  ],
  [
    'keep forced renewals apart',
    TRANSITION,
    'dueInMs: state.forcedFromMonoMs - now.monoMs };',
    'dueInMs: 0 };',
  ],
  [
    'ask at once when the token has expired',
    TRANSITION,
    "  if (!isUsable) return { ...plan, reason: 'demand' };\n",
    '',
  ],
  [
    'shorten an acquisition that a short token cannot wait for',
    TRANSITION,
    'acquisitionTimeoutMs(rules.settings.attemptTimeoutMs, usableForMs, state.lastDurationMs)',
    'rules.settings.attemptTimeoutMs',
  ],
  [
    'remember how long the issuer took',
    TRANSITION,
    '  state.lastDurationMs = response.received.monoMs - response.sent.monoMs;\n',
    '',
  ],
  [
    'stop renewing without requests',
    TRANSITION,
    'if (!state.isDormant && idleMs >= rules.settings.idleStopMs) {',
    'if (!state.isDormant && idleMs === Number.POSITIVE_INFINITY) {',
  ],
  ['renew for those who wait', TRANSITION, '  if (state.waiters.size > 0) return false;\n', ''],
  [
    'probe slowly when the credentials are rejected',
    TIMING,
    'return this.#credentialRejections >= (this.#hasEverSucceeded ? CREDENTIALS_REJECTED_LIMIT : 1);',
    'return false;',
  ],
  [
    'doubt a rejection of credentials that worked',
    TIMING,
    'this.#hasEverSucceeded ? CREDENTIALS_REJECTED_LIMIT : 1',
    '1',
  ],
];

/** What an acquisition brought: put to use, kept, thrown away; and what a failure means for the token in use. */
const RESPONSE: readonly Row[] = [
  [
    'learn a shorter lifetime',
    TRANSITION,
    'readIssued(response, { defaultMs: defaultTtlMs, learnedMs })',
    'readIssued(response, { defaultMs: defaultTtlMs, learnedMs: Number.POSITIVE_INFINITY })',
  ],
  [
    'tell the same token from another one',
    TRANSITION,
    'const isSame = token?.lease.fingerprint === parsed.fingerprint;',
    "const isSame = token !== null && parsed.fingerprint === '';",
  ],
  [
    'give in to an issuer that insists at once',
    TRANSITION,
    '(acquisition.isForced && isSame) || state.failures.failures >= REJECTED_TOKEN_LIMIT',
    'state.failures.failures >= REJECTED_TOKEN_LIMIT',
  ],
  [
    'give in to an issuer that insists in the end',
    TRANSITION,
    '(acquisition.isForced && isSame) || state.failures.failures >= REJECTED_TOKEN_LIMIT',
    'acquisition.isForced && isSame',
  ],
  [
    'refuse a token that was rejected before',
    TRANSITION,
    'if (state.rejectedTokens.has(issued.fingerprint, now.monoMs) && !isInsisted) {',
    "if (issued.fingerprint === '' && !isInsisted) {",
  ],
  [
    'count an older rejected token as a failure',
    TRANSITION,
    'if (token?.isRejected !== true || acquisition.isForced) return REJECTED_BEFORE;',
    'if (token?.isRejected !== true) return REJECTED_BEFORE;',
  ],
  [
    'throw away what has expired',
    TRANSITION,
    '  if (issued.lifetime.remainingMs(now.monoMs, now.wallMs) <= leewayMs / 2) return EXPIRED;\n',
    '',
  ],
  [
    'give back a forced renewal that another replica made',
    TRANSITION,
    '  if (acquisition.isForced && response.raw.ageMs !== undefined) state.forcedRenewals.refund();\n',
    '',
  ],
  [
    'keep the number of the same token',
    TRANSITION,
    '  if (isSame) keepSameToken(step, issued, token);\n  else installToken',
    '  installToken',
  ],
  ['number the tokens', TRANSITION, '  state.generation += 1;\n', ''],
  [
    'know the value as a secret',
    TRANSITION,
    "  step.effects.push({ type: 'retainSecrets', secrets: secretsOf(issued) });\n",
    '',
  ],
  [
    'retire the value of the old token',
    TRANSITION,
    "  if (before !== null) step.effects.push({ type: 'retireSecrets', secrets: before.secrets });\n",
    '',
  ],
  [
    'use a token that came below its leeway',
    TRANSITION,
    '  if (!token.isUsable(now)) token.useUntilFloor();\n',
    '',
  ],
  ['remember that the same token worked', TRANSITION, '  token.isProven = before.isProven;\n', ''],
  ['count the same token once', TRANSITION, '  token.isCounted = before.isCounted;\n', ''],
  [
    'serve the same token to its end',
    TRANSITION,
    '  token.isCounted = before.isCounted;\n  token.useUntilFloor();\n',
    '  token.isCounted = before.isCounted;\n',
  ],
  [
    'report a remark once',
    TRANSITION,
    '    if (reportedNotes.has(note) || reportedNotes.size >= MAX_NOTES) continue;\n',
    '',
  ],
  [
    'let the old token serve until the new one is old enough',
    TRANSITION,
    'token?.isUsable(now) === true ? token.remainingMs(now) - token.cutoffMs : 0;',
    '0;',
  ],
  [
    'use a young token after 3 s when there is no other',
    TRANSITION,
    'Math.min(oldEnoughMonoMs(response), latestMonoMs)',
    'oldEnoughMonoMs(response)',
  ],
  [
    'hold back what upstreams do not know yet',
    TRANSITION,
    '  if (lagMs === 0) return validFromMonoMs;\n',
    '  if (lagMs >= 0) return validFromMonoMs;\n',
  ],
  ['serve those who wait', TRANSITION, '  }\n  serveWaiters(step);\n}', '  }\n}'],
  [
    'serve the operator with the new token only',
    TRANSITION,
    "    if (waiter.kind === 'manual') continue;\n",
    '',
  ],
  [
    'serve the operator',
    TRANSITION,
    "if (waiter.kind === 'manual') resolveWaiter(step, waiter, token.lease);\n    else if",
    'if',
  ],
  [
    'deny a replay when the rejected token came again',
    TRANSITION,
    "    else if (waiter.kind === 'replay' && isReinstated) resolveWaiter(step, waiter, null);\n",
    '',
  ],
  [
    'ask once more for a token that is none',
    TRANSITION,
    '  if (startMonoMs !== null) {\n    state.forcedFromMonoMs = startMonoMs;\n    return;\n  }\n',
    '',
  ],
  [
    'report that the issuer is back',
    TRANSITION,
    "    emit(step, 'recovered', { failures, failedForMs, wasStarving: state.isStarving });\n",
    '',
  ],
  [
    'serve the old token below its leeway while the issuer fails',
    TRANSITION,
    '  state.token?.useUntilFloor();\n',
    '',
  ],
  ['serve those who wait with it', TRANSITION, '  serveWaiters(step);\n  failWaiters', '  failWaiters'],
  ['tell the operator that it failed', TRANSITION, "({ kind }) => kind === 'manual'", '() => false'],
  ['report once that requests starve', TRANSITION, '  state.isStarving = true;\n', ''],
  ['report the next time without a token', TRANSITION, '  state.isStarving = false;\n', ''],
  ['drop the token when stopped', TRANSITION, '  state.token = null;\n', ''],
  [
    'fail those who wait when stopped',
    TRANSITION,
    "  for (const waiter of state.waiters) failWaiter(step, waiter, 'stopped');\n",
    '',
  ],
  ['stop watching the source', MANAGER, '    this.#watch?.close();\n', ''],
];

/** An upstream rejected a token. */
const RENEW_AFTER: readonly Row[] = [
  [
    'look at an aborted signal first',
    MANAGER,
    '  ): Promise<Lease | null> {\n    options.signal?.throwIfAborted();',
    '  ): Promise<Lease | null> {',
  ],
  ['deny', TRANSITION, "if (outcome === 'denied') {", "if (outcome === 'superseded') {"],
  [
    'fall back to the token that worked before',
    TRANSITION,
    'resolveWaiter(step, waiter, state.newTokenLag.fallback(now));',
    'resolveWaiter(step, waiter, null);',
  ],
  [
    'replay with the newer token that is there',
    TRANSITION,
    "const current = outcome === 'superseded' ? takeLease(step) : null;",
    'const current: Lease | null = null;',
  ],
  [
    'never replay with the rejected one',
    TRANSITION,
    "const current = outcome === 'superseded' ? takeLease(step) : null;",
    'const current: Lease | null = lease;',
  ],
  [
    'wait for the renewal',
    TRANSITION,
    'if (current === null) beginWait(step, waiter);\n  else resolveWaiter',
    'resolveWaiter',
  ],
  [
    'compare by value before anything is renewed',
    TRANSITION,
    'if (token === null || token.lease.fingerprint !== lease.fingerprint) {',
    'if (token === null) {',
  ],
  [
    'remember the late rejection of an old token',
    TRANSITION,
    '    state.rejectedTokens.add(lease.fingerprint, now.monoMs);\n    emit(',
    '    emit(',
  ],
  [
    'join the renewal of the same rejection',
    TRANSITION,
    'if (token.isRejected) {\n    emit(',
    'if (token.cutoffMs < 0) {\n    emit(',
  ],
  [
    'join a renewal that is under way',
    TRANSITION,
    "const outcome = isRenewing ? 'joined' : permitRenewal",
    'const outcome = permitRenewal',
  ],
  [
    'count no rejection during a renewal',
    TRANSITION,
    'const isEarly = !isRenewing && isEarlyRejection',
    'const isEarly = isEarlyRejection',
  ],
  ['keep the token in use when renewal is denied', TRANSITION, "  if (outcome !== 'denied') {\n", '  {\n'],
  [
    'remember the rejected token',
    TRANSITION,
    '    state.rejectedTokens.add(lease.fingerprint, now.monoMs);\n    token.reject();',
    '    token.reject();',
  ],
  [
    'take the rejected token out of use',
    TRANSITION,
    '    state.rejectedTokens.add(lease.fingerprint, now.monoMs);\n    token.reject();',
    '    state.rejectedTokens.add(lease.fingerprint, now.monoMs);',
  ],
  ['report a denial once', TRANSITION, "  token.isDenialReported = outcome === 'denied';\n", ''],
  ['learn from an early rejection', TRANSITION, '  if (isEarly) learnFromEarlyRejection(step, token);\n', ''],
  [
    'count a token that no upstream accepts',
    TRANSITION,
    '  countUnproven(step, token);\n  const startMonoMs',
    '  const startMonoMs',
  ],
  [
    'count a rejected replay',
    TRANSITION,
    'if (state.token?.lease.generation === input.lease.generation) countUnproven',
    'if (state.token === null) countUnproven',
  ],
  [
    'count one token once',
    TRANSITION,
    'if (token.isProven || token.isCounted) return;',
    'if (token.isProven) return;',
  ],
  [
    'hold nothing against a token that worked',
    TRANSITION,
    'if (token.isProven || token.isCounted) return;',
    'if (token.isCounted) return;',
  ],
  [
    'prove the token in use only',
    TRANSITION,
    'if (token === null || token.isProven || token.lease.generation !== lease.generation) return;',
    'if (token === null || token.isProven) return;',
  ],
  ['close the breaker with a success', TRANSITION, '  state.forcedRenewals.noteProven();\n', ''],
  [
    'say when a forced renewal may start',
    TRANSITION,
    "  if (startMonoMs === null) return 'denied';\n  state.forcedFromMonoMs = startMonoMs;\n",
    "  if (startMonoMs === null) return 'denied';\n",
  ],
  [
    'give up when no other token may be had',
    TRANSITION,
    '  token.reinstate();\n  serveNewToken(step, token, true);\n',
    '',
  ],
  ['put the only token back to use', TRANSITION, '  token.reinstate();\n  serveNewToken', '  serveNewToken'],
  [
    'hold the only token no longer against the issuer',
    TRANSITION,
    '  state.rejectedTokens.delete(token.lease.fingerprint);\n',
    '',
  ],
  [
    'call a rejection early for tokens that worked only',
    TRANSITION,
    'return token.isProven && token.remainingMs(now) > earlyMs;',
    'return token.remainingMs(now) > earlyMs;',
  ],
  [
    'call a rejection near the expiry due',
    TRANSITION,
    'return token.isProven && token.remainingMs(now) > earlyMs;',
    'return token.isProven;',
  ],
  [
    'learn the lifetime of tokens that do not state it',
    TRANSITION,
    '    state.earlyRejections.noteAge(token.ageMs(now), now.monoMs);\n',
    '',
  ],
  ['keep the breaker open', REJECTIONS, '    if (this.isBreakerOpen(monoMs)) return null;\n', ''],
  [
    'allow five forced renewals a minute',
    REJECTIONS,
    '    if (this.#permitted.length >= FORCED_LIMIT) return null;\n',
    '',
  ],
  [
    'forget forced renewals after a minute',
    REJECTIONS,
    '    this.#permitted = this.#permitted.filter((at) => monoMs - at < FORCED_WINDOW_MS);\n',
    '',
  ],
  [
    'keep forced renewals a second apart',
    REJECTIONS,
    '(this.#permitted.at(-1) ?? Number.NEGATIVE_INFINITY) + APART_MS',
    'Number.NEGATIVE_INFINITY',
  ],
  [
    'deny what the request cannot wait for',
    REJECTIONS,
    '    if (startMonoMs > latestMonoMs) return null;\n',
    '',
  ],
  [
    'forget an unproven token after ten minutes',
    REJECTIONS,
    '    this.#unproven = this.#unproven.filter((at) => monoMs - at < UNPROVEN_WINDOW_MS);\n',
    '',
  ],
  ['forget unproven tokens when one is accepted', REJECTIONS, '    this.#unproven = [];\n', ''],
  [
    'forget a learned lifetime after a day',
    REJECTIONS,
    '    this.#ages = this.#ages.filter(({ atMonoMs }) => monoMs - atMonoMs < LEARNED_FOR_MS);\n',
    '',
  ],
  ['open the breaker', REJECTIONS, '    this.#openUntilMonoMs = monoMs + BREAKER_PAUSE_MS;\n', ''],
  [
    'open the breaker at the second token only',
    REJECTIONS,
    'if (this.#unproven.length < UNPROVEN_LIMIT || this.isBreakerOpen(monoMs)) return false;',
    'if (this.isBreakerOpen(monoMs)) return false;',
  ],
];

const part = (name: Mutant['part'], rows: readonly Row[]): Mutant[] =>
  rows.map(([what, file, from, to]) => ({ part: name, what, file, from, to }));

/** Every decision, one at a time. */
export const TOKEN_MANAGER_MUTANTS: readonly Mutant[] = [
  ...part('get', GET),
  ...part('flight', FLIGHT),
  ...part('response', RESPONSE),
  ...part('renewAfter', RENEW_AFTER),
];

/** The mutated text of a file; throws when the decision does not occur there exactly once. */
export function mutated(text: string, mutant: Mutant): string {
  const parts = text.split(mutant.from);
  if (parts.length !== 2)
    throw new Error(`${mutant.file}: stands ${parts.length - 1} times and not once: ${mutant.from}`);
  return parts.join(mutant.to);
}
