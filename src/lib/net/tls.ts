import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SecureVersion } from 'node:tls';
import { Secret } from '../secret.ts';

/** How the other side's certificate is checked and which one it gets: a `tls` section. PEM text, or the path of a PEM file. */
export interface TlsSettings {
  readonly ca?: string | null;
  readonly cert?: string | null;
  readonly key?: string | Secret | null;
  readonly passphrase?: Secret | null;
  readonly servername?: string | null;
  /** The oldest version that is accepted. */
  readonly min?: 'TLSv1.2' | 'TLSv1.3';
}

/** The options of Node's TLS, with every file read. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly minVersion?: SecureVersion;
}

/** Reads the files that the settings name; relative paths start from `baseDir`. Throws the errors of the file system. */
export function readTls(settings: TlsSettings | undefined, baseDir?: string): TlsOptions {
  const { ca, cert, key, passphrase, servername, min } = settings ?? {};
  return {
    ...(ca ? { ca: readPem(ca, baseDir) } : {}),
    ...(cert ? { cert: readPem(cert, baseDir) } : {}),
    ...(key ? { key: readPem(key instanceof Secret ? key.reveal() : key, baseDir) } : {}),
    ...(passphrase ? { passphrase: passphrase.reveal() } : {}),
    ...(servername ? { servername } : {}),
    ...(min === undefined ? {} : { minVersion: min }),
  };
}

/** PEM text as it is; anything else is the path of a file with it. Throws the errors of the file system. */
export function readPem(textOrPath: string, baseDir = '.'): string {
  return isPem(textOrPath) ? textOrPath : readFileSync(resolve(baseDir, textOrPath), 'utf8');
}

/** Whether a text is PEM itself and not the path of a file. */
export function isPem(text: string): boolean {
  return text.includes('-----BEGIN');
}
