import type { Logger } from '../observability/logger.ts';
import type { RequestLogEvent } from '../request-log/batch-writer.ts';

/** Says in the log what became of the request log's store. */
export function reportRequestLogEvent(event: RequestLogEvent, logger: Logger): void {
  switch (event.kind) {
    case 'available': {
      const { waitingRows, droppedRows } = event;
      logger.info('request log: the store is back', { waitingRows, droppedRows });
      return;
    }
    case 'unavailable':
      logger.warn(`request log: ${event.message}; requests are served, their records wait`, {
        code: event.code,
      });
      return;
    case 'dropping':
    case 'refused':
      logger.error(`request log: ${event.message}`);
      return;
  }
}
