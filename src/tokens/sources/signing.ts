import { createPrivateKey, type KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';
import type { Secret } from '../../secret.ts';
import { pem } from '../issuer-tls.ts';

/** A key to sign with: PEM text or the path of a PEM file; for HS algorithms the shared secret itself. */
export interface SigningKey {
  readonly alg: string;
  readonly key: Secret;
  readonly passphrase?: Secret | undefined;
  /** What a relative path is relative to. */
  readonly baseDir?: string | undefined;
}

/**
 * The key in the form that jose signs with. HS keys are taken as they are, however short: the issuer chose them.
 * Throws what the file system or OpenSSL says; those texts hold no key.
 */
export function readSigningKey(settings: SigningKey): KeyObject | Uint8Array {
  const material = settings.key.reveal();
  if (settings.alg.startsWith('HS')) return Buffer.from(material);
  const passphrase = settings.passphrase?.reveal();
  // Keys in environment variables often carry their line ends as two characters.
  const isText = material.includes('-----BEGIN');
  const text = pem(isText ? material.replaceAll('\\n', '\n') : material, settings.baseDir);
  return createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
}

/** Why a key cannot be read, as a code: messages of OpenSSL are for specialists. */
export function keyTrouble(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'no PEM';
}

/** A compact JWS over claims that jose does not look at: `exp` in milliseconds is what Zhipu wants. */
export async function signClaims(
  header: Readonly<Record<string, unknown>> & { readonly alg: string },
  claims: Readonly<Record<string, unknown>>,
  key: KeyObject | Uint8Array,
): Promise<string> {
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  return new CompactSign(payload).setProtectedHeader(header).sign(key);
}
