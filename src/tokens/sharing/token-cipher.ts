import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../../lib/secret.ts';

const KEY_BYTES = 32;
/** NIST SP 800-38D: 96 random bits, safe for 2^32 tokens under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts what is stored where others can read (AES-256-GCM). Two keys are derived from `shared_key`, so that neither
 * use weakens the other: one encrypts, one hides which source a row belongs to, since the plain hash of its settings would
 * let a reader of the table guess short client secrets.
 */
export class TokenCipher {
  readonly #encryptionKey: Buffer;
  readonly #rowKey: Buffer;

  /** `sharedKey`: 32 bytes in base64. Throws otherwise. */
  constructor(sharedKey: Secret) {
    const key = Buffer.from(sharedKey.reveal(), 'base64');
    if (key.length !== KEY_BYTES) throw new Error('shared_key must be 32 bytes in base64');
    const derived = (use: string): Buffer => Buffer.from(hkdfSync('sha256', key, '', use, KEY_BYTES));
    this.#encryptionKey = derived('tokenferry token');
    this.#rowKey = derived('tokenferry row');
  }

  /** The name of a source's row: 64 hex digits that mean nothing without the key. */
  rowOf(key: string): string {
    return createHmac('sha256', this.#rowKey).update(key).digest('hex');
  }

  /** `about` is authenticated: what was encrypted for one row and generation decrypts for no other. */
  encrypt(text: string, about: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#encryptionKey, nonce).setAAD(Buffer.from(about));
    const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), encrypted]);
  }

  /** Null: encrypted with another key, for another row, or changed since. */
  decrypt(encrypted: Buffer, about: string): string | null {
    const nonce = encrypted.subarray(0, NONCE_BYTES);
    const tag = encrypted.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    if (tag.length < TAG_BYTES) return null;
    try {
      const cipher = createDecipheriv('aes-256-gcm', this.#encryptionKey, nonce, {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(Buffer.from(about)).setAuthTag(tag);
      const text = cipher.update(encrypted.subarray(NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([text, cipher.final()]).toString('utf8');
    } catch {
      return null;
    }
  }
}
