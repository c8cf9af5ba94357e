import type { Degradation } from '../admin/api-types.ts';
import type { Readiness } from '../http/routes/health.ts';
import { counted } from '../lib/text/format.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import type { UpstreamClient } from '../upstream/client.ts';
import type { Runtime } from './runtime.ts';
import { tokenTrouble } from './token-reporting.ts';

/** Why a part that outlives a runtime does not work; null for one that works. */
export interface PartProblems {
  readonly configuration: string | null;
  readonly requestLog: string | null;
}

/** The content of `/readyz`. */
export function readinessOf(runtime: Runtime, phase: Readiness['phase'], problems: PartProblems): Readiness {
  const tokens = Array.from(runtime.tokenManagers.values(), (manager) => {
    const { name, state, remainingMs } = manager.status();
    const remainingSeconds = remainingMs === null ? null : Math.max(0, Math.round(remainingMs / 1000));
    return { name, state, remaining_seconds: remainingSeconds };
  });
  const degraded = degradedParts(runtime, problems).map(({ message }) => message);
  return { isReady: phase === 'serving', phase, degraded, tokens };
}

/** What a missing token means for requests; empty when it is there, or no upstream uses it. */
function uncallable(manager: TokenManager, upstreams: Runtime['upstreams']): string {
  const without = upstreams.filter(({ client }) => !hasUsableToken(client));
  const names = without.filter(({ client: { credentials } }) => {
    return credentials.kind === 'token' && credentials.manager === manager;
  });
  if (names.length === 0) return '';
  if (without.length === upstreams.length) return '; no upstream can be called: every request fails';
  return `; without it upstream ${names.map(({ name }) => name).join(', ')} cannot be called`;
}

/** A dormant source obtains its token with the next request. */
function hasUsableToken({ credentials }: UpstreamClient): boolean {
  if (credentials.kind !== 'token') return true;
  const { isUsable, state } = credentials.manager.status();
  return isUsable || state === 'dormant';
}

/** Each part that does not work now, with what to do; empty when all do. */
export function degradedParts(
  { tokenManagers, upstreams, skipped }: Pick<Runtime, 'tokenManagers' | 'upstreams' | 'skipped'>,
  { configuration, requestLog }: PartProblems,
): Degradation[] {
  const degraded: Degradation[] = [];
  for (const manager of tokenManagers.values()) {
    const trouble = tokenTrouble(manager);
    if (trouble === null) continue;
    const meaning = uncallable(manager, upstreams);
    const message = meaning === '' ? trouble : `${trouble.replace(/\.$/, '')}${meaning}`;
    degraded.push({ part: 'token', name: manager.name, message, advice: tokenAdvice(manager) });
  }
  for (const { name, circuit, isPaused } of upstreams) {
    if (isPaused)
      degraded.push({
        part: 'upstream',
        name,
        message: `upstream ${name}: paused by an administrator`,
        advice: 'Resume it when it is to get requests again.',
      });
    else if (circuit.state !== 'closed')
      degraded.push({
        part: 'upstream',
        name,
        message: `upstream ${name}: cooling down after ${counted(circuit.failuresInRow, 'failure')}`,
        advice:
          'It is tried again by itself. Its last error says why it failed; a probe shows at once whether it is back.',
      });
  }
  for (const { name, defect } of skipped)
    degraded.push({
      part: 'upstream',
      name,
      message: `upstream ${name}: skipped, ${defect}`,
      advice: 'Complete it in the configuration; the file is loaded again when it changes.',
    });
  if (configuration !== null)
    degraded.push({
      part: 'configuration',
      name: null,
      message: configuration,
      advice:
        'Correct the file: `tokenferry check` lists every problem. The previous configuration stays in use.',
    });
  if (requestLog !== null)
    degraded.push({
      part: 'request_log',
      name: null,
      message: requestLog,
      advice: 'Requests are served meanwhile. Make the database of dbaddr available again.',
    });
  return degraded;
}

function tokenAdvice(manager: TokenManager): string {
  const { state, isBreakerOpen, suspiciousRejections } = manager.status();
  if (state === 'misconfigured') return 'Correct its credentials in the configuration, then refresh it.';
  if (suspiciousRejections > 0 || isBreakerOpen)
    return 'Check the scope and audience of the credentials, and whether another client uses them.';
  return 'It is retried by itself. Check that the issuer is up; `tokenferry token` shows each step.';
}
