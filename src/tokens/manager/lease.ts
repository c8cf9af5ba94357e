import type { Clock } from '../../lib/clock.ts';
import type { Secret } from '../../lib/secret.ts';
import type { Lifetime } from '../expiry/lifetime.ts';
import type { OutgoingRequest } from '../placement/placement.ts';

export type { OutgoingRequest } from '../placement/placement.ts';

/** What a lease is made from. */
export interface LeaseFacts {
  readonly source: string;
  readonly generation: number;
  readonly fingerprint: string;
  readonly secret: Secret;
  readonly clock: Clock;
  readonly lifetime: Lifetime;
  readonly apply: (request: OutgoingRequest) => void;
  /** Further values of the issuer's response by name. */
  readonly extra: Readonly<Record<string, string>>;
}

/** The right to use one token for one attempt; `apply` writes it into a request. */
export class Lease {
  /** The name of the token source. */
  readonly source: string;
  /** Counts the different tokens of a source, from 1; the same value returned again keeps its number. */
  readonly generation: number;
  /** Distinguishes tokens in logs of one process. */
  readonly fingerprint: string;
  /** The bare token, for sources that acquire theirs with this one and for `tokenferry token --show`. */
  readonly secret: Secret;
  /**
   * Writes the token into its places of a request; safe to call again on the same request with a renewed lease. Throws
   * `PlacementError` when the request has no place for it. A function, so that no text of a lease shows the token.
   */
  readonly apply: (request: OutgoingRequest) => void;
  readonly #clock: Clock;
  readonly #lifetime: Lifetime;
  readonly #extra: Readonly<Record<string, string>>;

  constructor(facts: LeaseFacts) {
    this.source = facts.source;
    this.generation = facts.generation;
    this.fingerprint = facts.fingerprint;
    this.secret = facts.secret;
    this.#clock = facts.clock;
    this.#lifetime = facts.lifetime;
    this.#extra = facts.extra;
    this.apply = facts.apply;
  }

  /** Further values of the issuer's response by name, for the next source of a chain: secrets like the token. */
  get extra(): Readonly<Record<string, string>> {
    return this.#extra;
  }

  /** Milliseconds until the token expires, negative afterwards. */
  remainingMs(): number {
    return this.#lifetime.remainingMs(this.#clock.monoMs(), this.#clock.wallMs());
  }
}
