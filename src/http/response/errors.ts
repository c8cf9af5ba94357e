import { type ErrorFormat, endpointOf } from '../../endpoints.ts';
import { type ErrorKind, errorEvent, FerryError } from '../../lib/errors/ferry-error.ts';
import type { JsonObject } from '../../lib/json/json-object.ts';
import {
  anthropicErrorBody,
  anthropicErrorEvent,
  anthropicStatus,
} from '../../openai/errors/anthropic-error.ts';
import { responsesErrorEvents } from '../../openai/responses/responses-events.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { dropUnreadBody } from '../node-internals.ts';
import { sendJson } from './json.ts';

/**
 * The one place that sends a failure to a client: as a status and a body in the shape of its API, or as the last event of a
 * stream whose headers were sent already.
 */
export function sendError(context: RequestContext, failure: FerryError): void {
  const { response, outcome } = context;
  const error = failure.kind === 'path_not_found' ? withTypedPath(failure, context) : failure;
  outcome.fail(error);
  if (response.destroyed || response.writableEnded || error.kind === 'client_gone') {
    response.destroy();
    return;
  }
  if (response.headersSent) {
    response.end(
      outcome.isStream ? lastEvents(context, error, { sequenceNumber: 0, response: null }) : undefined,
    );
    return;
  }
  const isClosing = CLOSING.has(error.kind);
  dropUnreadBody(response, isClosing || !response.shouldKeepAlive);
  const extra = retryHeaders(error);
  if (error.kind === 'upgrade_not_supported')
    extra.push('upgrade', 'HTTP/1.1', 'connection', 'upgrade, close');
  else if (error.kind === 'unsupported_encoding') extra.push('accept-encoding', 'gzip, deflate, br, zstd');
  else if (isClosing) extra.push('connection', 'close');
  if (errorFormatOf(context) === 'anthropic') {
    extra.push('request-id', context.id);
    sendJson(context, anthropicStatus(error), JSON.stringify(anthropicErrorBody(error, context.id)), extra);
    return;
  }
  sendJson(context, error.status, JSON.stringify(error.toBody()), extra);
}

/** The path as the client wrote it in place of the normalised one: `/v2/rerank`, `/openai/deployments/…`. */
function withTypedPath(error: FerryError, { path, typedPath }: RequestContext): FerryError {
  const message = error.message.replace(`not found for ${path}:`, () => `not found for ${typedPath}:`);
  return message === error.message ? error : error.withMessage(message);
}

/** Anthropic's clients read their own format on the paths that both APIs have, such as the list of models. */
function errorFormatOf({ path, headers }: RequestContext): ErrorFormat {
  const { errorFormat } = endpointOf(path);
  return errorFormat === 'openai' && headers['anthropic-version'] !== undefined ? 'anthropic' : errorFormat;
}

/** The end of a stream that breaks, in the format of its API; `broken` is where a stream of the Responses API did. */
export function lastEvents(
  context: RequestContext,
  error: FerryError,
  broken: {
    readonly sequenceNumber: number;
    readonly response: JsonObject | null;
    readonly upstreamCode?: string | null;
  },
): string {
  switch (errorFormatOf(context)) {
    case 'responses':
      return responsesErrorEvents(error, {
        ...broken,
        response: broken.response ?? unsentResponse(context),
      });
    case 'anthropic':
      return anthropicErrorEvent(error, context.id);
    case 'openai':
      return errorEvent(error);
  }
}

/** A Response of which nothing was sent, for the event with its failure. */
function unsentResponse({ id, createdAtMs, outcome }: RequestContext): JsonObject {
  const created_at = Math.floor(createdAtMs / 1000);
  return { id: `resp_${id}`, object: 'response', created_at, model: outcome.model ?? '', output: [] };
}

/** After other errors the rest of the body is dropped and the connection used again; not after these. */
const CLOSING: ReadonlySet<ErrorKind> = new Set([
  'body_too_large',
  'request_timeout',
  'shutting_down',
  'upgrade_not_supported',
]);

function retryHeaders(error: FerryError): string[] {
  const headers: string[] = [];
  if (error.shouldRetry !== null) headers.push('x-should-retry', String(error.shouldRetry));
  const { waitMs } = error;
  if (waitMs !== undefined)
    headers.push('retry-after', String(Math.ceil(waitMs / 1000)), 'retry-after-ms', String(waitMs));
  return headers;
}

/** For a person who opens the base URL in a browser. */
const BASE_URL_HINT =
  'This is tokenferry. The base URL for applications ends with /v1; they append a path, e.g. /v1/chat/completions. GET /v1/models lists the models.';

/** `unknown_path` for a path outside the API. */
export function unknownPath(context: RequestContext): FerryError {
  return new FerryError('unknown_path', {
    message:
      /^(?:\/v1)?\/*$/.test(context.typedPath) || context.path === '/v1'
        ? BASE_URL_HINT
        : `Unknown path: ${context.typedPath}. The base URL of the API ends with /v1, e.g. /v1/chat/completions.`,
  });
}
