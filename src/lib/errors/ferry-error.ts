import { ERROR_TABLE, type ErrorKind, type ErrorRow } from './error-table.ts';

export { type CountsAgainst, ERROR_TABLE, type ErrorKind, type Outcome } from './error-table.ts';

export interface FerryErrorFacts {
  /** Text for the client: what is wrong, where, what to do. Never a host name, a key or a stack. */
  readonly message: string;
  /** The upstream's HTTP status, when it responded. */
  readonly upstreamStatus?: number | undefined;
  /** The status for the client, where it differs from the row's. */
  readonly status?: number | undefined;
  readonly type?: string | undefined;
  readonly code?: string | null | undefined;
  readonly param?: string | null | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly shouldRetry?: boolean | undefined;
  /** For log and record only, in place of the message: may name hosts and quote excerpts, never secrets. */
  readonly detail?: string | undefined;
  readonly cause?: unknown;
}

/**
 * The only error class: a kind of `ERROR_TABLE` and its facts. Errors of packages and of Node are converted to it once,
 * where they enter, with their cause; `sendError` is the one place that sends it to the client.
 */
export class FerryError extends Error {
  readonly kind: ErrorKind;
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  readonly upstreamStatus: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly shouldRetry: boolean | null;
  readonly detail: string | undefined;

  constructor(kind: ErrorKind, facts: FerryErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    const row = ERROR_TABLE[kind];
    this.name = 'FerryError';
    this.kind = kind;
    this.status = facts.status ?? row.status;
    this.type = facts.type ?? row.type;
    this.code = facts.code === undefined ? row.code : facts.code;
    this.param = facts.param ?? null;
    this.upstreamStatus = facts.upstreamStatus;
    this.retryAfterMs = facts.retryAfterMs;
    this.shouldRetry = facts.shouldRetry ?? row.shouldRetry;
    this.detail = facts.detail === '' ? undefined : facts.detail;
  }

  /** The same error in other words. */
  withMessage(message: string): FerryError {
    const { kind, status, type, code, param, upstreamStatus, retryAfterMs, detail, cause } = this;
    const shouldRetry = this.shouldRetry ?? undefined;
    const facts = { status, type, code, param, upstreamStatus, retryAfterMs, shouldRetry, detail, cause };
    return new FerryError(kind, { ...facts, message });
  }

  get row(): ErrorRow {
    return ERROR_TABLE[this.kind];
  }

  /** The `retry-after` for the client, in (0, 60000] ms; undefined: none. */
  get waitMs(): number | undefined {
    const isWaitExpected = this.status === 429 || this.status === 503;
    const waitMs = this.retryAfterMs ?? (isWaitExpected ? DEFAULT_WAIT_MS : undefined);
    return waitMs && Math.min(MAX_WAIT_MS, Math.max(1, Math.ceil(waitMs)));
  }

  /** The message for the client. Applications show no headers: a rate limit names the time to wait in its text. */
  get clientMessage(): string {
    const { waitMs } = this;
    if (this.status !== 429 || waitMs === undefined) return this.message;
    return `${this.message.replace(/[\s.]*$/, '')}. Retry after ${Math.ceil(waitMs / 1000)} s.`;
  }

  /** The body that every OpenAI client understands: `{"error":{message,type,param,code}}`, all four keys. */
  toBody(): { error: { message: string; type: string; param: string | null; code: string | null } } {
    return { error: { message: this.clientMessage, type: this.type, param: this.param, code: this.code } };
  }
}

/** For a 429 or 503 without a time of its own. */
const DEFAULT_WAIT_MS = 1_000;
/** openai for Node ignores longer waits (S86). */
const MAX_WAIT_MS = 60_000;

/** Anything thrown as a FerryError; another error was not converted where it entered, and so is `internal`. */
export function asFerryError(error: unknown): FerryError {
  if (error instanceof FerryError) return error;
  return new FerryError('internal', {
    message: 'Internal error: the request failed because of a defect of tokenferry. See its log.',
    detail: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    cause: error,
  });
}

/**
 * The end of a stream that fails after it began (S92): an error object without `choices`, no
 * `event:` line, then `[DONE]`. The one form that every measured client reports with its text.
 */
export function errorEvent(error: FerryError): string {
  return `data: ${JSON.stringify(error.toBody())}\n\ndata: [DONE]\n\n`;
}

/** The code of a foreign error (`ENOENT`, an SQLSTATE); null when it has none. */
export function errorCodeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
