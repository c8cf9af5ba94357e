import type { Readiness } from '../http/routes/health.ts';
import { counted } from '../lib/text/format.ts';
import type { Runtime } from './runtime.ts';
import { tokenTrouble } from './token-reporting.ts';

/** The content of `/readyz`. `problems`: of parts that outlive a runtime; null for one that works. */
export function readinessOf(
  runtime: Runtime,
  phase: Readiness['phase'],
  problems: readonly (string | null)[],
): Readiness {
  const degraded = degradedParts(runtime);
  for (const problem of problems) if (problem !== null) degraded.push(problem);
  const tokens = Array.from(runtime.tokenManagers.values(), (manager) => {
    const { name, state, remainingMs } = manager.status();
    const remainingSeconds = remainingMs === null ? null : Math.max(0, Math.round(remainingMs / 1000));
    return { name, state, remaining_seconds: remainingSeconds };
  });
  return { isReady: phase === 'serving', phase, degraded, tokens };
}

/** One sentence for each part of a runtime that does not work now; empty when all do. */
function degradedParts({
  tokenManagers,
  upstreams,
  skipped,
}: Pick<Runtime, 'tokenManagers' | 'upstreams' | 'skipped'>): string[] {
  const degraded: string[] = [];
  for (const manager of tokenManagers.values()) {
    const trouble = tokenTrouble(manager);
    if (trouble !== null) degraded.push(trouble);
  }
  for (const { name, circuit } of upstreams) {
    if (circuit.state !== 'closed')
      degraded.push(`upstream ${name}: cooling down after ${counted(circuit.failuresInRow, 'failure')}`);
  }
  for (const { name, defect } of skipped) degraded.push(`upstream ${name}: skipped, ${defect}`);
  return degraded;
}
