import { FerryError as Failure, type FerryError } from '../../lib/errors/ferry-error.ts';
import { cleanMessage, excerptOf } from '../../lib/text/sanitize.ts';
import { type ErrorContext, fromErrorResponse } from '../../openai/errors/upstream-error.ts';
import { parseVendorError } from '../../openai/errors/vendor-error.ts';
import type { Repair } from '../../openai/vendors/repairs.ts';
import { UpstreamStatusError } from '../../upstream/response.ts';
import type { Attempt } from '../attempt.ts';

type ErrorNames = Pick<ErrorContext, 'model' | 'upstreamModel' | 'path'>;

/** What every endpoint's service needs beside its request. */
export interface AttemptPolicy {
  readonly replyModel: 'upstream' | 'requested';
  /** True: limits or the record need to know how many tokens were used. */
  readonly wantsUsage: boolean;
  readonly maxResponseBytes: number;
  /** Whether `retry.statuses` names this status. */
  readonly isRetryable: (status: number) => boolean;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  /** Takes each repair that a response of an upstream needed. */
  readonly onRepair: (upstream: string, repair: Repair) => void;
  newId(): string;
  nowSeconds(): number;
}

/** Converts the upstream's answer of any status but 2xx; every other error is handed on as it is. */
export function fromUpstream(error: unknown, attempt: Attempt, settings: AttemptPolicy): unknown {
  if (!(error instanceof UpstreamStatusError)) return error;
  const { response: reply, text } = error;
  attempt.status = reply.status;
  attempt.isTokenRenewed = reply.isReplayed;
  const failure = fromErrorResponse({
    status: reply.status,
    headers: (name) => reply.headers.get(name) ?? undefined,
    body: text,
    ...namesOf(attempt),
    isRetryable: settings.isRetryable,
    scrub: settings.scrub,
  });
  if (reply.isTokenRejected) return refusedToken(failure);
  const isRefusal = reply.status === 401 || reply.status === 403;
  if (!isRefusal || attempt.upstream.client.credentials.kind !== 'as_is') return failure;
  return refusedClientKey(failure, text, settings.scrub);
}

/** What `reject` names is a refused token whatever its status says of the request: the client can do nothing about it. */
function refusedToken(failure: FerryError): FerryError {
  if (failure.kind === 'auth_rejected') return failure;
  const { upstreamStatus } = failure;
  return new Failure('auth_rejected', {
    message: `The upstream refused the credentials that the gateway holds for it (status ${upstreamStatus}). They are not the client's.`,
    upstreamStatus,
    detail: failure.detail ?? failure.message,
    cause: failure,
  });
}

/** What an error text may repeat of the request. A path that stands for a model is none: the text speaks of the path. */
export function namesOf({ request, path, model: upstreamModel }: Attempt): ErrorNames {
  const { model } = request;
  return model === request.path ? { model: null, path } : { model, upstreamModel, path };
}

/** Under `sk: asis` a refusal is about the client's own credentials, so the client gets it in the upstream's words. */
function refusedClientKey(failure: FerryError, text: string, scrub: (text: string) => string): FerryError {
  const status = failure.upstreamStatus ?? 401;
  const found = errorObjectOf(text);
  const words = found === null ? excerptOf(text, scrub) : cleanMessage(found.message, scrub);
  return new Failure('auth_passed_through', {
    message: words === '' ? `The upstream refused the request with status ${status}.` : words,
    status,
    upstreamStatus: status,
    type: found?.type ?? (status === 401 ? 'authentication_error' : 'permission_error'),
    code: found?.code ?? (status === 401 ? 'invalid_api_key' : 'not_permitted'),
    detail: failure.detail,
    cause: failure,
  });
}

/** The error that a reply's text carries as JSON, in whatever shape; null when it carries none. */
export function errorObjectOf(text: string): ReturnType<typeof parseVendorError> {
  try {
    return parseVendorError(JSON.parse(text));
  } catch {
    return null;
  }
}
