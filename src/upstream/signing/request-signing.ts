import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { Lease } from '../../tokens/manager/lease.ts';
import type { UpstreamResponse } from '../response.ts';
import { type RequestSigner, type SignableRequest, SigningError } from './request-signer.ts';

/** Smaller differences are network and rounding of the `Date` header; the strictest known schemes accept 60 s. */
const MIN_SKEW_MS = 10_000;
/** Words of refusals that are about the time of a signature, in texts and codes. */
const ABOUT_TIME =
  /skew|expired?\b|SignatureExpire|RequestTimeTooSkewed|RequestExpired|not yet current|time ?stamp|clock|\bdate\b|too (?:old|early|far)/i;

/**
 * Signs each attempt of one upstream anew, as the last step before it is sent, with the time of the upstream: its clock
 * is learned from the `Date` of a refusal.
 */
export class RequestSigning {
  readonly signer: RequestSigner;
  readonly #upstream: string;
  /** How far the clock of the upstream is ahead of ours. */
  #offsetMs = 0;
  /** By the response to a second signature: the offset before it was learned. */
  readonly #secondTries = new WeakMap<UpstreamResponse, number>();

  constructor(upstream: string, signer: RequestSigner) {
    this.#upstream = upstream;
    this.signer = signer;
  }

  async sign(request: SignableRequest, lease: Lease | null): Promise<void> {
    const values = lease === null ? {} : { ...lease.extra, token: lease.secret.reveal() };
    try {
      await this.signer.sign(request, { nowWallMs: Date.now() + this.#offsetMs, values });
    } catch (error) {
      if (!(error instanceof SigningError)) throw error;
      throw new FerryError('upstream_misconfigured', {
        message: `The request for upstream "${this.#upstream}" cannot be signed: ${error.message}`,
        cause: error,
      });
    }
  }

  /** Throws for a body that cannot be read before it is sent. */
  checkStreamed(): void {
    if (!this.signer.coversBody) return;
    throw new FerryError('body_too_large', {
      message: `The request body is too large to be signed for upstream "${this.#upstream}": it is streamed above limits.replay. Raise the limit.`,
    });
  }

  /**
   * Learns the clock of the upstream when it differs from the one that a refused request was signed with, so that a second
   * signature is worth a try; returns the offset before, null when it does not differ.
   * `text` is the error: what is about the time by its words counts with any status; null: found in the body of a 200.
   */
  learnClock({ status, headers }: UpstreamResponse, text: string | null): number | null {
    const serverMs = Date.parse(headers.get('date') ?? '');
    const isRefused = text === null || status === 401 || status === 403 || ABOUT_TIME.test(text);
    if (Number.isNaN(serverMs) || !isRefused) return null;
    // Whole seconds, cut off.
    const offsetMs = serverMs + 500 - Date.now();
    const before = this.#offsetMs;
    if (Math.abs(offsetMs - before) < MIN_SKEW_MS) return null;
    this.#offsetMs = offsetMs;
    return before;
  }

  /** `response` is that to a second signature; `offsetBefore` as `learnClock` returned it. */
  triedAgain(response: UpstreamResponse, offsetBefore: number): void {
    this.#secondTries.set(response, offsetBefore);
  }

  /** `response` refuses the request. When it is that to a second signature, the `Date` was that of a proxy or a cache. */
  refused(response: UpstreamResponse): void {
    this.#offsetMs = this.#secondTries.get(response) ?? this.#offsetMs;
  }

  /** Whether the upstream's error says that the credentials of the signature are no longer valid. */
  rejectsCredentials({ headers }: UpstreamResponse, text: string): boolean {
    const { rejectsCredentials } = this.signer;
    if (rejectsCredentials === null) return false;
    return rejectsCredentials.test(headers.get('x-amzn-errortype') ?? '') || rejectsCredentials.test(text);
  }

  /** Whether a 2xx has to be looked at: Tencent Cloud sends its errors with 200. */
  get readsBodies(): boolean {
    return this.signer.kind === 'tc3';
  }

  /** Whether the body of a 2xx says that the signature or its credentials are not accepted. */
  isRefusedIn(text: string): boolean {
    return this.readsBodies && /"Code"\s*:\s*"AuthFailure\./.test(text.slice(0, MAX_ERROR_LENGTH));
  }
}

const MAX_ERROR_LENGTH = 4_096;
