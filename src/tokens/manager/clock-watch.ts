import type { Moment } from '../expiry/lifetime.ts';

/** Less is the time between the two readings. */
const JUMP_MS = 2_000;
/** NTP slews a clock by 0.05 % at most, which adds up over hours without a look. */
const SLEW = 0.001;

/** Notices that the two clocks moved apart between two looks: a step of the wall clock, or a suspend. */
export class ClockWatch {
  #last: Moment;

  constructor(now: Moment) {
    this.#last = now;
  }

  /** How far the wall clock ran ahead (positive) or behind since the last look; 0 for what is no jump. */
  look(now: Moment): number {
    const passedMs = now.monoMs - this.#last.monoMs;
    const jumpMs = now.wallMs - this.#last.wallMs - passedMs;
    this.#last = now;
    return Math.abs(jumpMs) > JUMP_MS + SLEW * passedMs ? jumpMs : 0;
  }
}
