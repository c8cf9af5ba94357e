import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Where a configuration is looked for when none is named: beside the caller, then where containers mount it. */
const PLACES = ['config.yaml', '/config.yaml'] as const;

/** The file that was named, whether it exists or not, else the first that exists; null when there is none. */
export function findConfigFile(explicit: string | undefined, cwd: string): string | null {
  if (explicit !== undefined) return resolve(cwd, explicit);
  return PLACES.map((place) => resolve(cwd, place)).find((file) => existsSync(file)) ?? null;
}
