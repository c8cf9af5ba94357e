import NodeCache from 'node-cache';

/** Upstreams get updates, so that what they lacked is tried again. */
const REMEMBERED_SECONDS = 3_600;

/** The endpoints that one upstream has answered with 404 or 405, by their paths; forgotten after an hour. */
export class MissingEndpoints {
  readonly #paths = new NodeCache({ stdTTL: REMEMBERED_SECONDS, checkperiod: 0, useClones: false });

  /** Only paths of `endpoints.ts` are noted, so that there are few. */
  add(path: string): void {
    this.#paths.set(path, true);
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }
}
