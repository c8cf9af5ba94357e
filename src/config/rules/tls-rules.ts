import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { isPem } from '../../lib/net/tls.ts';
import type { Secret } from '../../lib/secret.ts';
import type { Config } from '../config.ts';
import type { PathStep } from '../config-error.ts';
import { describeFileError } from '../load/interpolation.ts';
import { fault, type Rule, type RuleFinding } from './rule.ts';

interface TlsSection {
  readonly path: readonly PathStep[];
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** Every `tls` of the configuration that is set. */
export function tlsSections(config: Config): TlsSection[] {
  const server =
    config.tls === null
      ? []
      : [{ path: ['tls'], ca: config.tls.client_ca, cert: config.tls.cert, key: config.tls.key }];
  const issuers = config.clients.flatMap(({ jwt }, index) =>
    jwt === null || jwt.ca === null
      ? []
      : [{ path: ['clients', index, 'jwt'], ca: jwt.ca, cert: null, key: null }],
  );
  const sources = Object.entries(config.tokens).flatMap(([name, source]) =>
    'tls' in source && source.tls !== null ? [{ path: ['tokens', name, 'tls'], ...source.tls }] : [],
  );
  const upstreams = config.upstreams.flatMap(({ tls }, index) =>
    tls === null ? [] : [{ path: ['upstreams', index, 'tls'], ...tls }],
  );
  const channels = config.notify.flatMap(({ tls }, index) =>
    tls === null ? [] : [{ path: ['notify', index, 'tls'], ...tls }],
  );
  return [...server, ...issuers, ...sources, ...upstreams, ...channels];
}

/** The files with certificates and keys that the configuration names, absolute. */
export function tlsFiles(config: Config): string[] {
  return tlsSections(config).flatMap(({ ca, cert, key }) => [ca, cert, key].filter((name) => name !== null));
}

interface Signer {
  readonly alg: string;
  readonly key: Secret | null;
}

/** The files with keys that sources sign with, absolute; a key can also stand in the configuration itself. */
export function signingKeyFiles(config: Config, directory: string): string[] {
  return Object.values(config.tokens)
    .flatMap((source): readonly (Signer | null)[] => {
      if (source.type === 'jwt') return [source];
      return source.type === 'oauth2' ? [source.client_assertion, source.assertion] : [];
    })
    .flatMap((signer) => {
      const key = signer?.key?.reveal() ?? '';
      // HS algorithms sign with the text itself.
      const isFile = key !== '' && !signer?.alg.startsWith('HS') && !isPem(key) && !key.includes('\n');
      return isFile ? [resolve(directory, key)] : [];
    });
}

/** HTTPS needs a certificate. */
export const serverHasCertificate: Rule = ({ config: { tls }, isIncomplete }) =>
  tls === null || tls.cert !== null || tls.key !== null || isIncomplete('tls')
    ? []
    : [fault(['tls'], 'needs cert and key, the files with the certificate chain and its private key')];

/** A certificate has its key and every file is readable: reported at load instead of at the first connection. */
export const tlsIsUsable: Rule = ({ config, isIncomplete }) =>
  tlsSections(config).flatMap((section): RuleFinding[] => {
    const { path, cert, key } = section;
    const findings = (['ca', 'cert', 'key'] as const).flatMap((field): RuleFinding[] => {
      const file = section[field];
      const problem = file === null ? null : unreadable(file);
      return problem === null ? [] : [fault([...path, field], `cannot read this file: ${problem}`)];
    });
    if (isIncomplete(...path)) return findings;
    if (cert !== null && key === null)
      findings.push(fault([...path, 'cert'], 'needs its private key in key'));
    if (key !== null && cert === null)
      findings.push(fault([...path, 'key'], 'needs its certificate in cert'));
    return findings;
  });

function unreadable(file: string): string | null {
  try {
    accessSync(file, constants.R_OK);
    return null;
  } catch (error) {
    return describeFileError(error);
  }
}
