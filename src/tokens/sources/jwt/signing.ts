import { createPrivateKey, type KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';
import type { Secret } from '../../../lib/secret.ts';
import { pem } from '../../issuer/issuer-tls.ts';

/** A key to sign with: PEM text or the path of a PEM file; for HS algorithms the shared secret itself. */
interface SigningKey {
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
  if (isShared(settings)) return Buffer.from(settings.key.reveal());
  const passphrase = settings.passphrase?.reveal();
  return createPrivateKey({
    key: pemText(settings),
    ...(passphrase === undefined ? {} : { passphrase }),
  });
}

/** The key's own text, for the recipe: a file whose content changed is another key. Empty when it is unreadable. */
export function keyText(settings: Omit<SigningKey, 'alg'> & { readonly alg?: string }): string {
  try {
    return isShared(settings) ? settings.key.reveal() : pemText(settings);
  } catch {
    return '';
  }
}

function isShared({ alg }: { readonly alg?: string }): boolean {
  return alg?.startsWith('HS') === true;
}

function pemText({ key, baseDir }: Pick<SigningKey, 'key' | 'baseDir'>): string {
  const material = key.reveal();
  // Keys in environment variables often carry their line ends as two characters.
  return pem(material.includes('-----BEGIN') ? material.replaceAll('\\n', '\n') : material, baseDir);
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
