import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SecureVersion } from 'node:tls';
import { Secret } from '../../lib/secret.ts';

/** How an issuer's TLS is checked and what we show it. PEM text, or the path of a PEM file. */
export interface TlsSettings {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string | Secret;
  readonly passphrase?: Secret;
  readonly servername?: string;
  /** The oldest version that is accepted. */
  readonly min?: 'TLSv1.2' | 'TLSv1.3';
}

/** The options of Node's TLS, with every file read. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly minVersion?: SecureVersion;
}

/**
 * Reads the files of the settings. Their content belongs to the recipe: a certificate that was renewed in place
 * makes another source, with other connections, when the configuration is loaded again.
 */
export function readTlsMaterial(settings: TlsSettings | undefined, baseDir?: string): TlsMaterial {
  if (settings === undefined) return {};
  const { ca, cert, key, passphrase, servername, min } = settings;
  return {
    ...(ca === undefined ? {} : { ca: pem(ca, baseDir) }),
    ...(cert === undefined ? {} : { cert: pem(cert, baseDir) }),
    ...(key === undefined ? {} : { key: pem(key instanceof Secret ? key.reveal() : key, baseDir) }),
    ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }),
    ...(servername === undefined ? {} : { servername }),
    ...(min === undefined ? {} : { minVersion: min }),
  };
}

/** PEM text as it is; anything else is the path of a file with it. Throws what the file system says. */
export function pem(textOrPath: string, baseDir = '.'): string {
  return textOrPath.includes('-----BEGIN') ? textOrPath : readFileSync(resolve(baseDir, textOrPath), 'utf8');
}
