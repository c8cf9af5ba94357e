import type { Readiness } from '../http/routes/health.ts';
import { degradedParts } from './degraded-parts.ts';
import type { Deployment } from './deployment.ts';

/** What `/readyz` says. `reloadProblem`: why the file as it is now is not in use; null when it is. */
export function readinessOf(
  deployment: Deployment,
  phase: Readiness['phase'],
  reloadProblem: string | null,
): Readiness {
  const degraded = degradedParts(deployment);
  if (reloadProblem !== null) degraded.push(reloadProblem);
  const tokens = Array.from(deployment.holders.values(), (holder) => {
    const { name, state, remainingMs } = holder.status();
    const remainingSeconds = remainingMs === null ? null : Math.max(0, Math.round(remainingMs / 1000));
    return { name, state, remaining_seconds: remainingSeconds };
  });
  return { isReady: phase === 'serving', phase, degraded, tokens };
}
