/**
 * `npm run audit`: fails when a package that the gateway needs to run has a known vulnerability of severity high or critical.
 * A registry without audit endpoint (many mirrors have none) can say nothing: that is printed and is no failure.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const FAILING = ['high', 'critical'];
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** What `npm audit --json` prints: a report, or why there is none. */
interface AuditOutput {
  readonly vulnerabilities?: Readonly<Record<string, Vulnerability>>;
  readonly message?: string;
  /** Of the registry's response; absent when there was none. */
  readonly statusCode?: number;
  readonly error?: { readonly code?: string | null; readonly summary?: string };
}

interface Vulnerability {
  readonly severity: string;
  readonly range: string;
  /** Advisories, and names of packages through which it is vulnerable. */
  readonly via: readonly (string | { readonly title: string; readonly url: string })[];
}

const npm = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: MAX_OUTPUT_BYTES,
});
process.exitCode = report(parse(npm.stdout));

function parse(text: string): AuditOutput {
  try {
    return JSON.parse(text) as AuditOutput;
  } catch {
    return {};
  }
}

/** Prints the result and returns the exit code. */
function report({ vulnerabilities, message, statusCode, error }: AuditOutput): number {
  if (vulnerabilities !== undefined) return reportVulnerabilities(Object.entries(vulnerabilities));
  const reason = message || error?.summary || npm.stderr.trim() || npm.error?.message || 'no output';
  if (statusCode !== undefined || isUnreachable(reason)) {
    console.error(`
************************************************************************
audit NOT DONE: the npm registry in use has no audit endpoint, or it was
not reachable. Known vulnerabilities were not looked for.
  ${reason}
Run it where the public registry is reachable: npm run audit
************************************************************************
`);
    return 0;
  }
  console.error(`npm audit failed: ${reason}`);
  return 1;
}

function isUnreachable(reason: string): boolean {
  return /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|socket hang up|network)\b/i.test(
    reason,
  );
}

function reportVulnerabilities(found: readonly (readonly [name: string, Vulnerability])[]): number {
  for (const [name, { severity, range, via }] of found) {
    const advisories = via.map((one) =>
      typeof one === 'string' ? `through ${one}` : `${one.title} ${one.url}`,
    );
    console.log(`${severity.padEnd(8)} ${name} ${range}: ${advisories.join('; ')}`);
  }
  const failing = found.filter(([, { severity }]) => FAILING.includes(severity));
  console.log(
    failing.length === 0
      ? `audit passed: no package that the gateway needs has a known vulnerability of severity ${FAILING.join(' or ')}`
      : `audit failed: ${failing.map(([name]) => name).join(', ')}. Update them, or their dependents in package.json.`,
  );
  return failing.length === 0 ? 0 : 1;
}
