import { basename } from 'node:path';
import type { Config } from '../config/config.ts';
import type { FerryError } from '../lib/errors/ferry-error.ts';
import { counted } from '../lib/text/format.ts';
import { logExcerpt } from '../lib/text/log-excerpt.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { SpanLoss } from '../observability/tracing/tracing.ts';
import { REPAIRS, type Repair } from '../openai/vendors/repairs.ts';
import type { RequestLogEvent } from '../request-log/record-writer.ts';
import type { RequestLog } from '../request-log/request-log.ts';
import type { CircuitState } from '../routing/upstream-state/circuit.ts';
import { isLoopbackOnly } from './clients.ts';
import type { ReloadResult } from './reload.ts';
import type { Runtime } from './runtime.ts';

const NO_CLIENT_KEYS =
  'no client keys: only this machine can connect. To let others in, set "authorization" to the key that your applications send; a loopback "address" has to go then.';

/** Logs the warnings of the configuration in use, that it has no client keys, and the upstreams that cannot serve. */
export function reportConfig(
  { config, skipped }: Runtime,
  warnings: readonly string[],
  logger: Logger,
): void {
  for (const warning of warnings) logger.warn(warning);
  if (isLoopbackOnly(config)) logger.warn(NO_CLIENT_KEYS);
  for (const { name, defect } of skipped)
    logger.error(`upstream ${name} is skipped: ${defect}`, { upstream: name });
}

/** Logs and counts the result of a reload. */
export function reportReload(result: ReloadResult, logger: Logger, metrics: Metrics): void {
  metrics.configReloaded(result.kind);
  if (result.kind === 'failed') {
    logger.error(`configuration reload failed, the previous one stays in use: ${result.message}`);
    return;
  }
  const { changed } = result;
  const what = changed.length === 0 ? 'nothing changed' : `changed: ${changed.join(', ')}`;
  logger.info(`configuration reloaded, ${what}`, { upstreams: result.runtime.upstreams.length });
  for (const key of result.kept) {
    const values = result.keptValues.get(key) ?? '';
    const detail = values === '' ? '' : `. ${values}`;
    logger.warn(
      `${key} changed: restart tokenferry to apply it (restart needed: it is used at the start only)${detail}`,
      { key },
    );
  }
  reportConfig(result.runtime, result.warnings, logger);
}

/** Logs that an upstream cools down or is back. */
export function reportCircuit(upstream: string, state: CircuitState, logger: Logger): void {
  logger.warn(`upstream ${upstream} is ${state === 'closed' ? 'back' : 'cooling down'}`, { upstream, state });
}

/** Logs that an upstream does not have an endpoint, and what is done about it. */
export function reportMissingEndpoint(upstream: string, path: string, logger: Logger): void {
  const key = path.startsWith('/v1/messages') ? 'messages' : 'responses';
  const instead = path.endsWith('/count_tokens')
    ? 'the counts are estimated for an hour'
    : `such requests are sent to it as chats for an hour. To make that permanent, set profile: { ${key}: via_chat }`;
  logger.info(`upstream ${upstream} does not have ${path}: ${instead}.`, { upstream, path });
}

/** Counts the repairs that upstreams' responses need, and logs each kind once per upstream. */
export class RepairReports {
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #counts = new Map<string, ReturnType<Metrics['repairCount']>>();

  constructor(logger: Logger, metrics: Metrics) {
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** What was counted since the start. */
  *list(): Generator<{ readonly upstream: string; readonly repair: Repair; readonly responses: number }> {
    for (const [key, { responses }] of this.#counts) {
      const at = key.indexOf(' ');
      yield { upstream: key.slice(at + 1), repair: key.slice(0, at) as Repair, responses };
    }
  }

  report(upstream: string, repair: Repair): void {
    const key = `${repair} ${upstream}`;
    const known = this.#counts.get(key);
    if (known !== undefined) {
      known.responses += 1;
      return;
    }
    const count = this.#metrics.repairCount(upstream, repair);
    count.responses = 1;
    this.#counts.set(key, count);
    this.#logger.debug(`upstream ${upstream}: responses are repaired: ${REPAIRS[repair]}`, {
      upstream,
      repair,
    });
  }
}

/** Logs a change of the request log's store. */
export function reportRequestLogEvent(event: RequestLogEvent, logger: Logger): void {
  switch (event.kind) {
    case 'available': {
      const { waitingRows, droppedRows } = event;
      logger.info('request log: the database is available again', { waitingRows, droppedRows });
      return;
    }
    case 'unavailable':
      logger.warn(`request log: ${event.message} Requests are served; their records wait in memory.`, {
        code: event.code,
      });
      return;
    case 'dropping':
    case 'refused':
      logger.error(`request log: ${event.message}`);
      return;
  }
}

/** Logs that spans of traces were lost. */
export function reportLostSpans({ spans, reason }: SpanLoss, logger: Logger): void {
  logger.warn(
    `tracing: ${counted(spans, 'span')} lost: ${reason}. Requests are served. Check tracing.otlp and the collector.`,
    { spans },
  );
}

/** Logs that the file of the embeddings cache cannot be used; null: that it can again. */
export function reportCacheFault(fault: string | null, logger: Logger): void {
  if (fault === null) logger.info('embeddings cache: the file can be used again');
  else
    logger.error(
      `embeddings cache: ${fault} Requests are served without it. Repair the file of embeddings_cache.path or move it away; it is tried again each minute.`,
    );
}

/** The state of the request log for `/readyz`; null when records can be written. */
export function requestLogProblem(requestLog: RequestLog): string | null {
  if (requestLog.problem === null) return null;
  const { queued, dropped } = requestLog.stats();
  return `request log: ${requestLog.problem} ${counted(queued, 'record')} waiting, ${dropped} lost`;
}

/** Logs the records that were lost since `droppedBefore`, when the shutdown began. */
export function reportLostRecords(requestLog: RequestLog, droppedBefore: number, logger: Logger): void {
  const records = requestLog.stats().dropped - droppedBefore;
  if (records === 0) return;
  const reason = requestLog.problem ?? 'The database did not accept them in time.';
  logger.error(`request log: ${counted(records, 'record')} lost at shutdown. ${reason}`, { records });
}

/**
 * Logs an error that nothing caught: a defect of tokenferry, or of a token source's own module when its name is in the
 * stack. The message of such a module is sanitized as where it is thrown: it may contain secrets that only the module has.
 */
export function reportUncaughtError(logger: Logger, error: unknown, tokens: Config['tokens']): void {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  const module = Object.values(tokens)
    .flatMap((source) => (source.type === 'function' ? [source.module] : []))
    .find((path) => stack?.includes(basename(path)));
  if (module === undefined) {
    logger.error('uncaught error: a defect of tokenferry. Please report it.', { error: message, stack });
    return;
  }
  logger.error(`uncaught error in ${module}. Await every promise there and catch its errors.`, {
    error: logExcerpt(message, (text) => text),
  });
}

/** Logs an internal error that a client received as status 500. */
export function reportInternalError(error: FerryError, logger: Logger): void {
  const cause = error.cause instanceof Error ? error.cause.stack : undefined;
  logger.error('internal error: a request failed because of a defect of tokenferry. Please report it.', {
    error: error.detail ?? error.message,
    stack: cause ?? error.stack,
  });
}
