import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Secret } from '../../lib/secret.ts';
import { type Config, complete } from '../config.ts';
import { ConfigError, isOnOnePath, type PathStep, ProblemReport } from '../config-error.ts';
import { findNotBuilt } from '../rules/not-built-yet.ts';
import { RULES } from '../rules/rules.ts';
import { signingKeyFiles, tlsFiles } from '../rules/tls-rules.ts';
import { checkSchema } from '../schema/schema-check.ts';
import { type FileMapping, isMapping, kindOf } from '../types/scalar.ts';
import { withEnvironmentChannels } from './alert-environment.ts';
import { secretsOf } from './config-secrets.ts';
import { credentialKeys, sourceIdentities } from './credential-keys.ts';
import { describeFileError, Interpolator } from './interpolation.ts';
import { fromRouteFile, isRouteFile } from './openai-api-route-file.ts';
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
  /** By token source: the keys that hold its credentials and where their values come from, for messages. */
  readonly credentialKeys: ReadonlyMap<string, readonly string[]>;
  /** By token source: equal when only its credentials were replaced. */
  readonly sourceIdentities: ReadonlyMap<string, string>;
}

/** Where a variable comes from, in words. */
type VariableOrigin = (name: string) => string;

/** Whether a command uses the value at a path; what it does not use is neither resolved nor checked. */
export type IsNeeded = (path: readonly PathStep[]) => boolean;

/**
 * Loads and checks a configuration file. Throws `ConfigError`, and nothing else, with every problem in the order of the
 * file: syntax, unknown keys, types, ranges, references, keys that are not built yet. With `isNeeded` only problems of
 * needed values are errors, so that a command which prints records needs no secrets of upstreams.
 */
export function loadConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  isNeeded: IsNeeded = () => true,
  originOf: VariableOrigin = () => 'in the environment',
): LoadedConfig {
  const directory = dirname(resolve(file));
  const interpolator = new Interpolator({ env, directory, isNeeded });
  const yaml = parseYaml(readText(file), (value, path, line) => interpolator.fill(value, path, line));
  const report = new ProblemReport(file, yaml.lines, isNeeded);
  for (const { path, message, line } of yaml.problems) report.syntaxError(path, message, line);
  for (const { path, message, line } of interpolator.problems) report.error(path, message, line);
  const root = yaml.root ?? {};
  if (!isMapping(root)) {
    report.syntaxError([], `must be a mapping of keys to values, is ${kindOf(root)}`);
    throw report.asError();
  }
  const unfilled = interpolator.problems.map(({ path }) => path);
  const isNews = (path: readonly PathStep[]) =>
    yaml.isSound(path) && !unfilled.some((one) => isOnOnePath(one, path));
  const config = checkConfig(root, { directory, report, isNews, env, isWhole: yaml.isWhole });
  if (config === null || report.hasErrors) throw report.asError();
  const references = interpolator.references.map(({ path, kind, name }) => ({
    path,
    origin: kind === 'file' ? `file ${name}` : `${name} ${originOf(name)}`,
  }));
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
    credentialKeys: credentialKeys(config, references),
    sourceIdentities: sourceIdentities(config, references),
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

interface CheckOptions {
  /** Names of files are relative to this one, the directory of the configuration file. */
  readonly directory: string;
  readonly report: ProblemReport;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** False where a finding would only repeat a reported problem. */
  readonly isNews: (path: readonly PathStep[]) => boolean;
  /** False: there are syntax errors, so a missing key may be in the file. */
  readonly isWhole: boolean;
}

/** Reports every problem of the content of a file; null when too little is left to use. */
function checkConfig(file: FileMapping, options: CheckOptions): Config | null {
  const { directory, report, isNews, isWhole, env } = options;
  const isRoute = isRouteFile(file);
  const { root, warnings } = withEnvironmentChannels(isRoute ? fromRouteFile(file) : file, env);
  if (isRoute) report.warn([], ROUTE_NOTICE);
  for (const warning of warnings) report.warn([], warning);
  const { written, findings } = checkSchema(root);
  for (const { path, message } of findings) if (isNews(path)) report.error(path, message);
  if (written === null || !isWhole) return null;
  const config = complete(written, directory);
  for (const { path, message } of findNotBuilt(config)) report.error(path, message);
  checkRules(config, root, report);
  return config;
}

const ROUTE_NOTICE =
  'treated as a file of openai-api-route, because it has no other keys. openai-api-route recorded request and response ' +
  'bodies; tokenferry does not store them: to store them, add record: { content: all }';

function checkRules(config: Config, root: FileMapping, report: ProblemReport): void {
  const facts = {
    config,
    tokenNames: isMapping(root.tokens) ? Object.keys(root.tokens) : [],
    isIncomplete: (...path: readonly PathStep[]) => report.hasErrorsIn(path),
  };
  for (const { path, message, level } of RULES.flatMap((rule) => rule(facts))) {
    if (level === 'error') report.error(path, message);
    else report.warn(path, message);
  }
}

/** Default paths of the configuration: the working directory, then the mount point in containers. */
const PLACES = ['config.yaml', '/config.yaml'] as const;

/** The given file, whether it exists or not, else the first default path that exists; null when there is none. */
export function findConfigFile(explicit: string | undefined, cwd: string): string | null {
  if (explicit !== undefined) return resolve(cwd, explicit);
  return PLACES.map((place) => resolve(cwd, place)).find((file) => existsSync(file)) ?? null;
}
