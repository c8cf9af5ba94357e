import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../../lib/secret.ts';

const KEY_BYTES = 32;
/** NIST SP 800-38D: 96 random bits, safe for 2^32 tokens under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Seals what is stored where others can look (AES-256-GCM). Two keys are derived from `shared_key`, so that neither
 * use weakens the other: one encrypts, one hides which recipe a row belongs to, since a recipe's plain hash would
 * let a reader of the table guess short client secrets.
 */
export class TokenCipher {
  readonly #sealing: Buffer;
  readonly #naming: Buffer;

  /** `sharedKey`: 32 bytes in base64. Throws when it is something else. */
  constructor(sharedKey: Secret) {
    const key = Buffer.from(sharedKey.reveal(), 'base64');
    if (key.length !== KEY_BYTES) throw new Error('shared_key must be 32 bytes in base64');
    const derived = (use: string): Buffer => Buffer.from(hkdfSync('sha256', key, '', use, KEY_BYTES));
    this.#sealing = derived('tokenferry token');
    this.#naming = derived('tokenferry row');
  }

  /** The name of a recipe's row: 64 hex digits that tell nothing without the key. */
  rowOf(key: string): string {
    return createHmac('sha256', this.#naming).update(key).digest('hex');
  }

  /** `about` is bound to the text: what was sealed for one row and generation opens for no other. */
  seal(text: string, about: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#sealing, nonce).setAAD(Buffer.from(about));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** Null: sealed with another key, for another row, or touched since. */
  open(sealed: Buffer, about: string): string | null {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const tag = sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    if (tag.length < TAG_BYTES) return null;
    try {
      const cipher = createDecipheriv('aes-256-gcm', this.#sealing, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(about)).setAuthTag(tag);
      const text = cipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([text, cipher.final()]).toString('utf8');
    } catch {
      return null;
    }
  }
}
