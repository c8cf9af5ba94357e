import NodeCache from 'node-cache';
import type { FerryError } from '../../lib/errors/ferry-error.ts';

/** Upstreams get updates, so that what they lacked is tried again. */
const REMEMBERED_SECONDS = 3_600;

/** How an upstream answered a request of an endpoint that it may not have. */
interface EndpointFailure {
  readonly error: FerryError;
  /** The status of its response; null: there was none. */
  readonly status: number | null;
  /** True: the request names something that is stored at the upstream, which a 404 may be about. */
  readonly namesStored?: boolean;
}

/** The endpoints that one upstream has answered as one that does not have them, by their paths; forgotten after an hour. */
export class MissingEndpoints {
  /** False: none is missing, so that nobody has to look. */
  isAny = false;
  readonly #paths = new NodeCache({ stdTTL: REMEMBERED_SECONDS, checkperiod: 0, useClones: false });
  readonly #onMissing: (path: string) => void;

  /** `onMissing` is called whenever a path becomes known as missing. */
  constructor(onMissing: (path: string) => void = () => undefined) {
    this.#onMissing = onMissing;
  }

  /** Only paths of `endpoints.ts` are noted, so that there are few. */
  add(path: string): void {
    const isNew = !this.#paths.has(path);
    this.#paths.set(path, true);
    this.isAny = true;
    if (isNew) this.#onMissing(path);
  }

  has(path: string): boolean {
    return this.isAny && this.#paths.has(path);
  }

  /** For what turned out to be missing as a whole: the base URL is wrong, which says nothing about one endpoint. */
  forget(path: string): void {
    this.#paths.del(path);
  }

  /**
   * Notes `path` as missing if the failure says so: 405 and 501, a 404 that is neither about the model nor about a stored
   * object, and what a vendor sends in place of a 404. Returns whether it does.
   */
  learn(path: string, { error, status, namesStored = false }: EndpointFailure): boolean {
    const isAboutPath =
      status === 405 ||
      status === 501 ||
      error.kind === 'path_not_found' ||
      (status === 404 && error.kind === 'client_fault' && !namesStored);
    if (isAboutPath) this.add(path);
    return isAboutPath;
  }
}
