import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
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
  loadEnvironment(configFile);
  const originOf = (name: string) => (SET_BY_FILE.has(name) ? 'in .env' : 'in the environment');
  const loaded = loadConfig(configFile, process.env, isNeeded, originOf);
  // Also when it does not exist: it may appear, which is a reason to load again.
  return { ...loaded, files: [...loaded.files, environmentFileOf(configFile)] };
}

/** Makes the variables of the `.env` beside a configuration file variables of this process. Throws `ConfigError`. */
export function loadEnvironment(configFile: string): void {
  applyEnvironment(readEnvironment(environmentFileOf(configFile)));
}

/** A variable that the environment has by itself, not from a `.env`. */
export function ownVariable(name: string): string | undefined {
  return SET_BY_FILE.has(name) ? undefined : process.env[name];
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

/** The variables of a `.env`; none when there is no such file. Throws `ConfigError`. */
export function readEnvironment(file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return {};
    const message = `cannot read the variables beside the configuration: ${describeFileError(error)}`;
    throw new ConfigError(file, [{ path: '', line: null, message }]);
  }
}

/**
 * Writes variables to a `.env` that only its owner can read. Lines of an existing one stay, but for those of the same names;
 * without `mayExist` an existing file is an error.
 */
export function writeEnvironment(
  file: string,
  variables: ReadonlyMap<string, string>,
  { mayExist }: { readonly mayExist: boolean },
): void {
  const isOurs = (line: string) => variables.has(/^\s*(?:export\s+)?(\w+)\s*=/.exec(line)?.[1] ?? '');
  const kept = existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => !isOurs(line))
    : [];
  const before = kept.join('\n').trimEnd();
  writeFileSync(file, `${before}${before === '' ? '' : '\n'}${environmentText(variables)}`, {
    mode: 0o600,
    flag: mayExist ? 'w' : 'wx',
  });
  chmodSync(file, 0o600);
}

/** The lines of a `.env`. Throws `UnwritableVariable` for a value that it cannot hold. */
export function environmentText(variables: ReadonlyMap<string, string>): string {
  return Array.from(variables, ([name, value]) => `${name}=${quoted(name, value)}\n`).join('');
}

/** By the rules of Node's parseEnv, which has no escape of a quote within quotes. */
function quoted(name: string, value: string): string {
  if (/^[\w+/.:@%^,~=-]*$/.test(value)) return value;
  const quote = ["'", '`', '"'].find((one) => !value.includes(one));
  if (quote === undefined || (quote === '"' && value.includes('\\n')))
    throw new UnwritableVariable(
      `the value of ${name} cannot be written to a .env: export ${name} and use "$${name}" in the curl line.`,
    );
  return `${quote}${value}${quote}`;
}

/** A value with all kinds of quotes. */
export class UnwritableVariable extends Error {}
