import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { ConfigError } from '../config/config-error.ts';
import { describeFileError } from '../config/load/interpolation.ts';
import { type IsNeeded, type LoadedConfig, loadConfig } from '../config/load/load-config.ts';
import { errorCodeOf } from '../lib/errors/ferry-error.ts';

/** Variables that a `.env` has set: a later reading may change or remove them, and no others. */
const SET_BY_FILE = new Set<string>();

/** The `.env` that belongs to a configuration file: the one beside it. */
export function environmentFileOf(configFile: string): string {
  return join(dirname(resolve(configFile)), '.env');
}

/**
 * Loads a configuration with the variables of the `.env` beside it, when there is one. They become variables of this
 * process, so that `type: env` sources, programs of `exec` and `proxy: environment` see them too; what the environment has
 * by itself wins. Throws `ConfigError`.
 */
export function loadWithEnvironment(configFile: string, isNeeded?: IsNeeded): LoadedConfig {
  const file = environmentFileOf(configFile);
  applyEnvironment(readEnvironment(file));
  const loaded = loadConfig(configFile, process.env, isNeeded);
  // Also when it does not exist: it may appear, which is a reason to load again.
  return { ...loaded, files: [...loaded.files, file] };
}

function applyEnvironment(variables: NodeJS.Dict<string>): void {
  for (const name of SET_BY_FILE) delete process.env[name];
  SET_BY_FILE.clear();
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || process.env[name] !== undefined) continue;
    process.env[name] = value;
    SET_BY_FILE.add(name);
  }
}

/** The variables of a `.env`; none when there is no such file. */
function readEnvironment(file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return {};
    const message = `cannot read the variables beside the configuration: ${describeFileError(error)}`;
    throw new ConfigError(file, [{ path: '', line: null, message }]);
  }
}
