import type { ScriptedAnswer, ScriptedIssuer } from '../test/helpers/scripted-issuer.ts';

/** A span of the monotonic clock in milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What an issuer can do wrong, each for a while. */
const FAULTS: readonly { readonly name: string; readonly answer: ScriptedAnswer }[] = [
  { name: 'killed', answer: { reset: 'before' } },
  { name: 'hangs', answer: { hang: true } },
  { name: '500', answer: { status: 500 } },
  { name: '429', answer: { status: 429, headers: { 'retry-after': '1' } } },
  { name: 'HTML', answer: { body: '<html><body>maintenance</body></html>' } },
  { name: 'empty', answer: { body: '' } },
  { name: 'clock 1 h ahead', answer: { clockOffsetMs: 3_600_000 } },
  { name: 'revokes early', answer: {} },
];

/** Makes the issuer misbehave at random times from a seed, and notes when no valid token could exist. */
export class IssuerFaults {
  readonly #issuer: ScriptedIssuer;
  readonly #lifeMs: number;
  readonly #random: () => number;
  #timer: NodeJS.Timeout | null = null;
  /** Spans in which a request may fail: no token was alive, or it had been revoked a moment before. */
  readonly starvedMs: Span[] = [];

  constructor(issuer: ScriptedIssuer, settings: { readonly seed: number; readonly tokenLifeMs: number }) {
    this.#issuer = issuer;
    this.#lifeMs = settings.tokenLifeMs;
    this.#random = seeded(settings.seed);
  }

  start(): void {
    this.#next(this.#lifeMs);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#issuer.defaults({});
  }

  #next(delayMs: number): void {
    this.#timer = setTimeout(() => this.#misbehave(), delayMs);
  }

  #misbehave(): void {
    const fault = FAULTS[Math.floor(this.#random() * FAULTS.length)] ?? FAULTS[0];
    if (fault === undefined) return;
    // Up to one and a half lifetimes: some outages are survived on the old token, some are not.
    const durationMs = this.#random() * 1.5 * this.#lifeMs;
    const fromMs = performance.now();
    console.log(`  ${fault.name} for ${(durationMs / 1000).toFixed(1)} s`);
    if (fault.name === 'revokes early') this.#issuer.revokeAll();
    this.#issuer.defaults(fault.answer);
    this.#watchStarving(fromMs, fromMs + durationMs);
    this.#timer = setTimeout(() => {
      this.#issuer.defaults({});
      this.#next(this.#lifeMs * (0.5 + this.#random()));
    }, durationMs);
  }

  /** Looks every 50 ms until some time after the fault whether a valid token exists; without one requests may fail. */
  #watchStarving(fromMs: number, faultEndMs: number): void {
    let sinceMs: number | null = null;
    const look = setInterval(() => {
      const nowMs = performance.now();
      const isStarved = this.#issuer.liveTokens.length === 0;
      if (isStarved) sinceMs ??= nowMs;
      const isOver = nowMs > faultEndMs + MAX_RECOVERY_MS;
      if (sinceMs !== null && (!isStarved || isOver)) {
        this.starvedMs.push({ fromMs: Math.max(fromMs, sinceMs - 100), toMs: nowMs });
        sinceMs = null;
      }
      if (isOver) clearInterval(look);
    }, 50);
    look.unref();
  }
}

/** The longest pause of a renewal that failed (5 s while requests wait), and its attempt. */
const MAX_RECOVERY_MS = 16_000;

/** Numerical Recipes' LCG: a seed is a run. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
