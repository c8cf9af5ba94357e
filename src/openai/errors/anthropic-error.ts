import type { FerryError } from '../../lib/errors/ferry-error.ts';

/** The types of Anthropic's errors by status (API reference, "Errors", 2026). Others: by the class of the status. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

/** An error as Anthropic's Messages API writes it, which its SDKs read; `requestId` is that of the response. */
export function anthropicErrorBody(error: FerryError, requestId: string): object {
  const type = TYPES[error.status] ?? (error.status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error', error: { type, message: error.clientMessage }, request_id: requestId };
}

/** The last event of a stream of Anthropic's that broke. Its clients know no `[DONE]`. */
export function anthropicErrorEvent(error: FerryError, requestId: string): string {
  return `event: error\ndata: ${JSON.stringify(anthropicErrorBody(error, requestId))}\n\n`;
}
