import type { ErrorKind, FerryError } from '../../lib/errors/ferry-error.ts';

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

/** Too much is asked at once; the other 503 (no token, shutdown) say that this service is not available. */
const OVERLOADED: ReadonlySet<ErrorKind> = new Set(['overloaded', 'queue_full', 'retryable_status']);
/** Anthropic's status of an overload. */
const OVERLOADED_STATUS = 529;

/** The status of an error for a client of Anthropic's API. */
export function anthropicStatus({ kind, status }: FerryError): number {
  return status === 503 && OVERLOADED.has(kind) ? OVERLOADED_STATUS : status;
}

/** The code by which Anthropic's SDKs see that a conversation cannot be stored as a thread. */
export const UNSUPPORTED_THREAD = 'thread_unsupported_request';

/** The words by which Claude Code and LangChain see that they must shorten the conversation. */
const TOO_LONG = 'prompt is too long';

/** An error as Anthropic's Messages API writes it, which its SDKs read; `requestId` is that of the response. */
export function anthropicErrorBody(error: FerryError, requestId: string): object {
  const type = TYPES[error.status] ?? (error.status < 500 ? 'invalid_request_error' : 'api_error');
  const { clientMessage } = error;
  const isUnsaid = error.kind === 'context_overflow' && !clientMessage.toLowerCase().includes(TOO_LONG);
  const message = isUnsaid ? `${TOO_LONG}: ${clientMessage}` : clientMessage;
  const isThread = error.code === UNSUPPORTED_THREAD;
  const details = isThread && { details: { error_code: error.code, unsupported: [error.param] } };
  return { type: 'error', error: { type, message, ...details }, request_id: requestId };
}

/** The last event of a stream of Anthropic's that broke. Its clients know no `[DONE]`. */
export function anthropicErrorEvent(error: FerryError, requestId: string): string {
  return `event: error\ndata: ${JSON.stringify(anthropicErrorBody(error, requestId))}\n\n`;
}
