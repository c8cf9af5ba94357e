import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Secret } from '../../lib/secret.ts';
import type { Config } from '../config.ts';
import { ConfigError, isOnOnePath, type PathStep } from '../config-error.ts';
import { signingKeyFiles, tlsFiles } from '../rules/tls-rules.ts';
import { isMapping, kindOf } from '../types/scalar.ts';
import { checkConfig } from './check-config.ts';
import { secretsOf } from './config-secrets.ts';
import { describeFileError, Interpolator } from './interpolation.ts';
import { ProblemReport } from './problem-report.ts';
import { parseYaml } from './yaml-file.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** Of the configuration file, absolute: what names of files that are read are relative to. */
  readonly directory: string;
  /** For people, each with its place in the file. */
  readonly warnings: readonly string[];
  /** Every file that was read or is named for reading, absolute: a change of one is a reason to load again. */
  readonly files: readonly string[];
  /** Everything in the configuration that must never be printed. */
  readonly secrets: readonly Secret[];
}

/**
 * Reads and checks a configuration file. Throws `ConfigError`, and nothing else, with all that is wrong: syntax,
 * unknown keys, types, ranges, references and what is not built yet, in the order of the file.
 */
export function loadConfig(file: string, env: Readonly<Record<string, string | undefined>>): LoadedConfig {
  const directory = dirname(resolve(file));
  const interpolator = new Interpolator({ env, directory });
  const yaml = parseYaml(readText(file), (value, path, line) => interpolator.fill(value, path, line));
  const report = new ProblemReport(file, yaml.lines);
  for (const { path, message, line } of [...yaml.problems, ...interpolator.problems])
    report.error(path, message, line);
  const root = yaml.root ?? {};
  if (!isMapping(root)) {
    report.error([], `must be a mapping of keys to values, is ${kindOf(root)}`);
    throw report.asError();
  }
  const unfilled = interpolator.problems.map(({ path }) => path);
  const isNews = (path: readonly PathStep[]) =>
    yaml.isSound(path) && !unfilled.some((one) => isOnOnePath(one, path));
  const config = checkConfig(root, { directory, report, isNews, isWhole: yaml.isWhole });
  if (config === null || report.hasErrors) throw report.asError();
  return {
    config,
    directory,
    warnings: report.warnings,
    files: [
      ...new Set([
        resolve(file),
        ...interpolator.files,
        ...tlsFiles(config),
        ...signingKeyFiles(config, directory),
      ]),
    ],
    secrets: secretsOf(config, interpolator.secrets),
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const message = `cannot read the configuration: ${describeFileError(error)}`;
    throw new ConfigError(file, [{ path: '', line: null, message }]);
  }
}
