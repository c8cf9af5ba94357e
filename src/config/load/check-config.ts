import { type Config, complete } from '../config.ts';
import type { PathStep } from '../config-error.ts';
import { findNotBuilt } from '../rules/not-built-yet.ts';
import { RULES } from '../rules/rules.ts';
import { checkSchema } from '../schema/schema-check.ts';
import { type FileMapping, isMapping } from '../types/scalar.ts';
import { fromRouteFile, isRouteFile } from './openai-api-route-file.ts';
import type { ProblemReport } from './problem-report.ts';

interface CheckOptions {
  /** Names of files are relative to this one, the directory of the configuration file. */
  readonly directory: string;
  readonly report: ProblemReport;
  /** False where a finding would only repeat what is reported already. */
  readonly isNews: (path: readonly PathStep[]) => boolean;
  /** False: there are syntax errors, so that what is missing here may be in the file. */
  readonly isWhole: boolean;
}

/** Reports all that is wrong with the content of a file; null when there is too little left to use. */
export function checkConfig(file: FileMapping, options: CheckOptions): Config | null {
  const { directory, report, isNews, isWhole } = options;
  const isRoute = isRouteFile(file);
  const root = isRoute ? fromRouteFile(file) : file;
  if (isRoute) report.warn([], ROUTE_NOTICE);
  const { written, findings } = checkSchema(root);
  for (const { path, message, isUnknownKey } of findings) {
    if (!isNews(path)) continue;
    if (isRoute && isUnknownKey) report.warn(path, `${message} (ignored)`);
    else report.error(path, message);
  }
  if (written === null || !isWhole) return null;
  const config = complete(written, directory);
  for (const { path, message } of findNotBuilt(config)) report.error(path, message);
  checkRules(config, root, report);
  return config;
}

const ROUTE_NOTICE =
  'read as a file of openai-api-route, because it has no key that only tokenferry knows: ' +
  'unknown keys are ignored, and record.content is all, as it was there';

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
