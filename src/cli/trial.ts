import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatYaml } from '../config/load/yaml-file.ts';
import { checkConnections } from './check.ts';
import type { Finding } from './check-report.ts';
import { environmentText, loadWithEnvironment } from './environment-file.ts';

const PATIENCE_MS = 15_000;

/** Checks a configuration with its issuers and upstreams, and sends one chat; from files, as every command reads it. */
export async function tryConfiguration(
  config: object,
  variables: ReadonlyMap<string, string>,
  model: string | null,
): Promise<Finding[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenferry-init-'));
  try {
    const file = join(folder, 'config.yaml');
    writeFileSync(file, formatYaml(config), { mode: 0o600 });
    writeFileSync(join(folder, '.env'), environmentText(variables), { mode: 0o600 });
    return await checkConnections(loadWithEnvironment(file), {
      patienceMs: PATIENCE_MS,
      isChatAsked: true,
      model,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
