import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ReloadResult } from './config-reloads.ts';
import type { Deployment } from './deployment.ts';

/** Says in the log what is odd about the configuration in use, and which upstreams cannot serve. */
export function reportConfig({ skipped }: Deployment, warnings: readonly string[], logger: Logger): void {
  for (const warning of warnings) logger.warn(warning);
  for (const { name, defect } of skipped)
    logger.error(`upstream ${name} is skipped: ${defect}`, { upstream: name });
}

/** Says in the log and counts in the metrics how a reload ended. */
export function reportReload(result: ReloadResult, logger: Logger, metrics: Metrics): void {
  metrics.configReloaded(result.kind);
  if (result.kind === 'failed') {
    logger.error(`the changed configuration is not in use: ${result.message}`);
    return;
  }
  logger.info('the configuration was loaded again', { upstreams: result.deployment.upstreams.length });
  for (const key of result.kept)
    logger.warn(`${key} was changed, which takes effect when tokenferry is started again`, { key });
  reportConfig(result.deployment, result.warnings, logger);
}
