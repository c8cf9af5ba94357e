import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { isSameDigest, type Secret, sha256Hex } from '../../lib/secret.ts';

/** A session without use ends after this. */
const IDLE_MS = 30 * 60_000;
/** No session lives longer, however much it is used. */
const MAX_MS = 12 * 3_600_000;
/** An older cookie is replaced by a new one. */
const ROTATE_MS = 5 * 60_000;
/** Revoked ones, until they would have ended; beyond it the oldest are forgotten. */
const MAX_REVOKED = 10_000;

/** A valid session. */
export interface OpenSession {
  readonly id: string;
  readonly beganAtMs: number;
  readonly expiresAtMs: number;
  /** Another value for the cookie; null: the present one stays. */
  readonly renewed: string | null;
}

/**
 * Sessions of administrators: signed values, so that every process and replica with the same admin key accepts them and
 * nothing is stored. The signing key comes from the admin key, or is random without one. No value of a cookie that was set
 * before a login survives it, because a login always makes a new one.
 */
export class AdminSessions {
  readonly #clock: Clock;
  readonly #signingKey: Buffer;
  /** Ids of sessions that were ended, with their ends. */
  readonly #revoked = new Map<string, number>();

  constructor(key: Secret | null, clock: Clock) {
    this.#clock = clock;
    const material = key === null ? randomBytes(32) : Buffer.from(key.reveal());
    this.#signingKey = Buffer.from(hkdfSync('sha256', material, '', 'tokenferry admin session', 32));
  }

  /** The value of the cookie of a new session. */
  open(): { readonly value: string; readonly session: OpenSession } {
    const nowMs = this.#clock.wallMs();
    const id = randomBytes(18).toString('base64url');
    const value = this.#sign(id, nowMs, nowMs);
    return { value, session: { id, beganAtMs: nowMs, expiresAtMs: nowMs + IDLE_MS, renewed: null } };
  }

  /** The session of a cookie's value; null: it is forged, over, or was ended. */
  find(value: string): OpenSession | null {
    const [id = '', began = '', issued = '', signature = '', ...rest] = value.split('.');
    if (rest.length > 0 || !isSameDigest(this.#signature(`${id}.${began}.${issued}`), signature)) return null;
    const nowMs = this.#clock.wallMs();
    const [beganAtMs, issuedAtMs] = [Number.parseInt(began, 36), Number.parseInt(issued, 36)];
    const expiresAtMs = Math.min(issuedAtMs + IDLE_MS, beganAtMs + MAX_MS);
    if (!(nowMs < expiresAtMs) || this.#revoked.has(id)) return null;
    const isOld = nowMs - issuedAtMs >= ROTATE_MS;
    const renewedUntilMs = Math.min(nowMs + IDLE_MS, beganAtMs + MAX_MS);
    return {
      id,
      beganAtMs,
      expiresAtMs: isOld ? renewedUntilMs : expiresAtMs,
      renewed: isOld ? this.#sign(id, beganAtMs, nowMs) : null,
    };
  }

  end({ id, beganAtMs }: OpenSession): void {
    const nowMs = this.#clock.wallMs();
    for (const [other, endsAtMs] of this.#revoked) if (endsAtMs <= nowMs) this.#revoked.delete(other);
    if (this.#revoked.size >= MAX_REVOKED) {
      const [oldest = ''] = this.#revoked.keys();
      this.#revoked.delete(oldest);
    }
    this.#revoked.set(id, beganAtMs + MAX_MS);
  }

  /** What a request that changes something must send beside the cookie. */
  csrfToken({ id }: OpenSession): string {
    return this.#signature(`csrf.${id}`);
  }

  isCsrfToken(session: OpenSession, sent: string): boolean {
    return isSameDigest(sha256Hex(this.csrfToken(session)), sha256Hex(sent));
  }

  #sign(id: string, beganAtMs: number, issuedAtMs: number): string {
    const text = `${id}.${beganAtMs.toString(36)}.${issuedAtMs.toString(36)}`;
    return `${text}.${this.#signature(text)}`;
  }

  #signature(text: string): string {
    return createHmac('sha256', this.#signingKey).update(text).digest('hex');
  }
}
