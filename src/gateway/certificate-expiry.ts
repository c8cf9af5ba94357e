import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { formatPath } from '../config/config-error.ts';
import { tlsSections } from '../config/rules/tls-rules.ts';

/** Enough time to have a certificate renewed. */
const WARN_BEFORE_MS = 14 * 86_400_000;

/** A certificate of the configuration, ours or a client's, that expires soon or has expired. */
interface ExpiringCertificate {
  /** Its key: `upstreams[0].tls.cert`. */
  readonly key: string;
  readonly validUntilMs: number;
}

/** Reads each `tls.cert` of the configuration. A file that cannot be read or parsed is left to `check`. */
export function expiringCertificates(config: Config, nowMs: number): ExpiringCertificate[] {
  return tlsSections(config).flatMap(({ path, cert }) => {
    const validUntilMs = cert === null ? null : validUntil(cert);
    if (validUntilMs === null || validUntilMs - nowMs > WARN_BEFORE_MS) return [];
    return [{ key: formatPath([...path, 'cert']), validUntilMs }];
  });
}

function validUntil(file: string): number | null {
  try {
    return Date.parse(new X509Certificate(readFileSync(file)).validTo);
  } catch {
    return null;
  }
}
