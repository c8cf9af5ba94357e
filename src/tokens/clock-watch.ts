import type { Moment } from './lifetime.ts';

/** Less is NTP at work, or the time between the two readings. */
const JUMP_MS = 2_000;

/** Notices that the two clocks moved apart between two looks: a step of the wall clock, or a suspend. */
export class ClockWatch {
  #last: Moment;

  constructor(now: Moment) {
    this.#last = now;
  }

  /** How far the wall clock ran ahead (positive) or behind since the last look; 0 for what is no jump. */
  look(now: Moment): number {
    const jumpMs = now.wallMs - this.#last.wallMs - (now.monoMs - this.#last.monoMs);
    this.#last = now;
    return Math.abs(jumpMs) > JUMP_MS ? jumpMs : 0;
  }
}
