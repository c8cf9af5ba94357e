import { counted } from '../lib/text/format.ts';
import type { Deployment } from './deployment.ts';
import { tokenTrouble } from './token-reporting.ts';

/** What of a deployment does not work right now, in words for `/readyz`; empty when all is well. */
export function degradedParts({ holders, upstreams, skipped }: Deployment): string[] {
  const degraded: string[] = [];
  for (const holder of holders.values()) {
    const trouble = tokenTrouble(holder);
    if (trouble !== null) degraded.push(trouble);
  }
  for (const { name, circuit } of upstreams) {
    if (circuit.state !== 'closed')
      degraded.push(`upstream ${name}: cooling down after ${counted(circuit.failuresInRow, 'failure')}`);
  }
  for (const { name, defect } of skipped) degraded.push(`upstream ${name}: skipped, ${defect}`);
  return degraded;
}
