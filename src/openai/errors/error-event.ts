import type { FerryError } from '../../lib/errors/ferry-error.ts';

/**
 * The end of a stream that fails after it began (S92): an error object without `choices`, no
 * `event:` line, then `[DONE]`. The one form that every measured client reports with its text.
 */
export function errorEvent(error: FerryError): string {
  return `data: ${JSON.stringify(error.toBody())}\n\ndata: [DONE]\n\n`;
}
