import type { AdviceCode, Degradation, MessageFacts } from '../admin/api-types.ts';
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
  readonly embeddingsCache: string | null;
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

/** What a missing token means for requests; null when it is there, or no upstream uses it. */
function uncallable(
  manager: TokenManager,
  upstreams: Runtime['upstreams'],
): { readonly words: string; readonly facts: MessageFacts } | null {
  const without = upstreams.filter(({ client }) => !hasUsableToken(client));
  const names = without
    .filter(({ client: { credentials } }) => credentials.kind === 'token' && credentials.manager === manager)
    .map(({ name }) => name)
    .join(', ');
  if (names === '') return null;
  if (without.length === upstreams.length)
    return { words: 'no upstream can be called: every request fails', facts: { uncallable: '*' } };
  return { words: `without it upstream ${names} cannot be called`, facts: { uncallable: names } };
}

/** A dormant source obtains its token with the next request. */
function hasUsableToken({ credentials }: UpstreamClient): boolean {
  if (credentials.kind !== 'token') return true;
  const { isUsable, state } = credentials.manager.status();
  return isUsable || state === 'dormant';
}

/** Each part that does not work now, with what to do; empty when all do. */
export function degradedParts(
  {
    config,
    tokenManagers,
    upstreams,
    skipped,
  }: Pick<Runtime, 'config' | 'tokenManagers' | 'upstreams' | 'skipped'>,
  { configuration, requestLog, embeddingsCache }: PartProblems,
): Degradation[] {
  const degraded: Degradation[] = [];
  const add = (part: Degradation['part'], name: string | null, facts: DegradationFacts): void => {
    const { advice } = facts;
    degraded.push({ part, name, ...facts, advice_code: advice, advice: ADVICE[advice] });
  };
  for (const manager of tokenManagers.values()) {
    const trouble = tokenTrouble(manager);
    if (trouble === null) continue;
    const { code, facts, message } = trouble;
    const meaning = uncallable(manager, upstreams);
    add('token', manager.name, {
      code,
      facts: { ...facts, ...meaning?.facts },
      message: meaning === null ? message : `${message.replace(/\.$/, '')}; ${meaning.words}`,
      advice: tokenAdvice(manager),
    });
  }
  for (const { name, circuit, isPaused, lastError } of upstreams) {
    if (isPaused)
      add('upstream', name, {
        code: 'upstream_paused',
        facts: {},
        message: `upstream ${name}: paused by an administrator`,
        advice: 'resume',
      });
    else if (circuit.state !== 'closed')
      add('upstream', name, {
        code: 'upstream_cooling',
        facts: {
          failures: circuit.failuresInRow,
          ...(lastError === null ? {} : { kind: lastError.kind, error: lastError.message }),
        },
        message: `upstream ${name}: cooling down after ${counted(circuit.failuresInRow, 'failure')}`,
        advice: 'probe',
      });
  }
  for (const { name, defect } of skipped)
    add('upstream', name, {
      code:
        config.upstreams.find((one) => one.name === name)?.endpoint == null
          ? 'upstream_without_endpoint'
          : 'upstream_without_credentials',
      facts: { defect },
      message: `upstream ${name}: skipped, ${defect}`,
      advice: 'complete_configuration',
    });
  if (configuration !== null)
    add('configuration', null, {
      code: 'configuration_invalid',
      facts: { error: configuration },
      message: configuration,
      advice: 'correct_configuration',
    });
  if (embeddingsCache !== null)
    add('embeddings_cache', null, {
      code: 'embeddings_cache_unusable',
      facts: { error: embeddingsCache },
      message: `embeddings cache: ${embeddingsCache}`,
      advice: 'repair_cache_file',
    });
  if (requestLog !== null)
    add('request_log', null, {
      code: 'request_log_unavailable',
      facts: { error: requestLog.replace(/^request log: /, '') },
      message: requestLog,
      advice: 'restore_database',
    });
  return degraded;
}

interface DegradationFacts extends Pick<Degradation, 'code' | 'facts' | 'message'> {
  readonly advice: AdviceCode;
}

const ADVICE: Readonly<Record<AdviceCode, string>> = {
  correct_credentials: 'Correct its credentials in the configuration, then refresh it.',
  check_scope: 'Check the scope and audience of the credentials, and whether another client uses them.',
  check_issuer: 'It is retried by itself. Check that the issuer is up; `tokenferry token` shows each step.',
  resume: 'Resume it when it is to get requests again.',
  probe:
    'It is tried again by itself. Its last error says why it failed; a probe shows at once whether it is back.',
  complete_configuration: 'Complete it in the configuration; the file is loaded again when it changes.',
  correct_configuration:
    'Correct the file: `tokenferry check` lists every problem. The previous configuration stays in use.',
  repair_cache_file:
    'Requests are served without it. Repair or move away the file of embeddings_cache.path; it is tried again each minute.',
  restore_database: 'Requests are served meanwhile. Make the database of dbaddr available again.',
};

function tokenAdvice(manager: TokenManager): AdviceCode {
  const { state, isBreakerOpen, suspiciousRejections } = manager.status();
  if (state === 'misconfigured') return 'correct_credentials';
  return suspiciousRejections > 0 || isBreakerOpen ? 'check_scope' : 'check_issuer';
}
