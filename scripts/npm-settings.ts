/** How this machine's npm reaches its packages, as files that a container can have. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface NpmSettings {
  readonly npmrc: string;
  /** Certificates to trust; null where none are named. */
  readonly certificates: string | null;
}

/** Where the certificates are in a container: the settings name this path, and so does the Dockerfile. */
export const CERTIFICATES_PATH = '/etc/ssl/npm-ca.pem';

/** Settings that decide where packages come from. The rest of the user's own file (credentials) is kept. */
const PASSED_ON = ['registry', 'https-proxy', 'proxy', 'noproxy', 'strict-ssl'] as const;

/** Writes the settings into `folder`; they may hold credentials, so the folder should be private and short-lived. */
export function writeNpmSettings(folder: string): NpmSettings {
  const lines = readIfThere(setting('userconfig') ?? join(homedir(), '.npmrc'))
    .split('\n')
    .filter((line) => !/^\s*(?:cafile|nodedir|prefix|cache)\s*=/.test(line));
  for (const name of PASSED_ON) {
    const value = setting(name);
    if (value !== null) lines.push(`${name}=${value}`);
  }
  const authorities = setting('cafile') ?? process.env.NODE_EXTRA_CA_CERTS ?? null;
  const certificates = authorities !== null && existsSync(authorities) ? join(folder, 'npm-ca.pem') : null;
  if (authorities !== null && certificates !== null) {
    copyFileSync(authorities, certificates);
    lines.push(`cafile=${CERTIFICATES_PATH}`);
  }
  const npmrc = join(folder, 'npmrc');
  writeFileSync(npmrc, `${lines.join('\n')}\n`);
  return { npmrc, certificates };
}

function setting(name: string): string | null {
  const { stdout, status } = spawnSync('npm', ['config', 'get', name], { encoding: 'utf8' });
  const value = status === 0 ? stdout.trim() : '';
  return ['', 'null', 'undefined'].includes(value) ? null : value;
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
