import type { Clock } from '../../lib/clock.ts';
import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { MAX_HISTORY } from './learned-rate.ts';
import { Pacer } from './pacer.ts';

/** `pace` of one upstream. */
export interface PaceSettings {
  /** Calls and tokens a minute, for each model; 0: learned from refusals. */
  readonly rpm: number;
  readonly tpm: number;
  /** The longest wait of one request for its turns. */
  readonly maxWaitMs: number;
}

/** Of one response what the pacers read. */
interface PacedResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
}

/** So that a client that invents model names cannot fill memory. */
const MAX_PACERS = 200;
const MAX_SHOWN = 20;
/** What was learned is forgotten when nothing was sent for so long. */
const FORGET_MS = 5 * 60_000;
const SEEDED_MS = 60_000;

/** The pacers of one upstream: one for each model that it has refused for its rate, or for each when a rate is configured. */
export class Pacers {
  readonly #settings: PaceSettings;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #byModel = new Map<string, Pacer>();
  readonly #isConfigured: boolean;
  /** False: nothing was refused and no rate is configured, so that there is nothing to find. Written here only. */
  isActive: boolean;
  /**
   * When the last calls left, in a ring: from them the first refusal learns what was accepted before it. Attempts write
   * them without a call, since most requests never meet a limit.
   */
  readonly startsMonoMs = new Float64Array(MAX_HISTORY);
  starts = 0;
  /** Calls for any model that have no response yet. Attempts count them. */
  inFlight = 0;

  constructor(settings: PaceSettings, clock: Clock, random: () => number) {
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.#isConfigured = settings.rpm > 0 || settings.tpm > 0;
    this.isActive = this.#isConfigured;
  }

  get maxWaitMs(): number {
    return this.#settings.maxWaitMs;
  }

  get waiting(): number {
    let waiting = 0;
    for (const pacer of this.#byModel.values()) waiting += pacer.waiting;
    return waiting;
  }

  /** The limited rates, by the upstream's own names of models; at most so many that they can be labels of metrics. */
  rates(): { readonly model: string; readonly perSecond: number }[] {
    const rates: { readonly model: string; readonly perSecond: number }[] = [];
    for (const [model, { perSecond }] of this.#byModel) {
      if (perSecond !== null && rates.length < MAX_SHOWN) rates.push({ model, perSecond });
    }
    return rates;
  }

  /** Null: calls for this model are not limited. */
  find(model: string): Pacer | null {
    if (!this.isActive) return null;
    const pacer = this.#byModel.get(model);
    if (pacer === undefined) return this.#isConfigured ? this.#add(model) : null;
    if (this.#isConfigured || this.#clock.monoMs() - pacer.usedMonoMs < FORGET_MS) return pacer;
    this.#byModel.delete(model);
    this.isActive = this.#byModel.size > 0;
    return null;
  }

  /** A call for any model leaves. */
  sent(nowMonoMs: number): void {
    this.startsMonoMs[this.starts++ % MAX_HISTORY] = nowMonoMs;
  }

  /** The upstream refused a call for its rate. False: its model cannot be paced. */
  refused(model: string, sentMonoMs: number, error: FerryError): boolean {
    let pacer = this.find(model);
    if (pacer === null) {
      pacer = this.#add(model);
      pacer?.seed(this.#lastStarts(), sentMonoMs);
    }
    pacer?.refused(sentMonoMs, error, Math.max(0, this.inFlight - 1));
    return pacer !== null;
  }

  /** The headers of a response are here. */
  responded(model: string, sentMonoMs: number, { status }: PacedResponse): void {
    const pacer = this.find(model);
    if (pacer === null) return;
    if (status !== 429) pacer.accepted(sentMonoMs);
  }

  /** A call for any model has its response, and is not counted any more. */
  ended(): void {
    for (const pacer of this.#byModel.values()) if (pacer.concurrency !== null) pacer.ended();
  }

  #add(model: string): Pacer | null {
    if (this.#byModel.size >= MAX_PACERS) this.#dropUnused();
    if (this.#byModel.size >= MAX_PACERS) return null;
    const pacer = new Pacer({ ...this.#settings, clock: this.#clock, random: this.#random, calls: this });
    this.#byModel.set(model, pacer);
    this.isActive = true;
    return pacer;
  }

  #dropUnused(): void {
    const now = this.#clock.monoMs();
    for (const [model, pacer] of this.#byModel)
      if (now - pacer.usedMonoMs >= FORGET_MS) this.#byModel.delete(model);
  }

  /** The times of the last calls, oldest first. */
  #lastStarts(): number[] {
    const earliestMonoMs = this.#clock.monoMs() - SEEDED_MS;
    const known = this.startsMonoMs.subarray(0, Math.min(this.starts, MAX_HISTORY));
    return [...known]
      .filter((startMonoMs) => startMonoMs > earliestMonoMs)
      .sort((left, right) => left - right);
  }
}
