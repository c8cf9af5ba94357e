import type { Config } from '../config/config.ts';
import { settingsKey } from './settings-key.ts';

/** Keys whose parts are opened once, when the process starts. Take one out when its part can be replaced. */
const FIXED = [
  'address',
  'tls',
  'workers',
  'dbtype',
  'dbaddr',
  'record',
  'admin',
  'notify',
  'tracing',
] as const satisfies readonly (keyof Config)[];

/** A configuration that can be put to use while running, and the keys in which it is not what the file says. */
interface Applicable {
  readonly config: Config;
  /** Changed keys that keep their old values until the process is started again. */
  readonly kept: readonly string[];
}

/** `next`, with the values of `running` where those cannot change while the process runs. */
export function withFixedSettings(next: Config, running: Config): Applicable {
  const kept: string[] = [];
  const config: Record<string, unknown> = { ...next };
  for (const key of FIXED) {
    if (settingsKey(next[key]) === settingsKey(running[key])) continue;
    kept.push(key);
    config[key] = running[key];
  }
  const log = { ...running.log, level: next.log.level };
  if (settingsKey(next.log) !== settingsKey(log)) kept.push('log (all but its level)');
  config.log = log;
  if (next.limits.header_bytes !== running.limits.header_bytes) {
    kept.push('limits.header_bytes');
    config.limits = { ...next.limits, header_bytes: running.limits.header_bytes };
  }
  return { config: config as unknown as Config, kept };
}
