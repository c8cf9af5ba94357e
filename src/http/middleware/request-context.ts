import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { FerryError, type Outcome } from '../../lib/errors/ferry-error.ts';
import type { RequestRecord } from '../../lib/request-record.ts';
import { errorEvent } from '../../openai/errors/error-event.ts';
import { AttemptLog } from '../../routing/attempt-log.ts';
import type { ClientIdentity } from '../../routing/client-identity.ts';
import type { RoutedRequest } from '../../routing/routed-request.ts';
import { newRequestId } from './request-id.ts';

/** What the record takes from the installation rather than from the request. */
export interface RecordingSettings {
  readonly clock: Clock;
  readonly hostname: string;
  /** Lower-case names of the client headers that are kept. */
  readonly keptHeaders: readonly string[];
  /** When request and response bodies are kept. */
  readonly content: 'none' | 'errors' | 'all';
  /** So much of a body is kept, in UTF-16 units; the record cuts it again by bytes. */
  readonly mostContent: number;
  /** `finish`: the upstream's answer is read to its end for the record although nobody listens. */
  readonly onDisconnect: 'abort' | 'finish';
  readonly onRecord: (record: RequestRecord) => void;
}

interface Tokens {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
}

/** An id from the client is taken over only when it is short and safe to print. */
const SAFE_ID = /^[\w.:/+=@-]{1,128}$/;

/**
 * One request from its arrival to its record. It collects facts while the request is served; the record is frozen
 * and handed out once, when the response is closed and the route has returned.
 */
export class RequestContext {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: string;
  readonly ip: string;
  readonly startedMonoMs: number;
  readonly log = new AttemptLog();
  /** Flat headers for the answer that tell of the client's limits. */
  readonly limitHeaders: string[] = [];
  readonly #settings: RecordingSettings;
  readonly #createdAtMs: number;
  readonly #controller = new AbortController();
  /** Its place among the running requests. */
  slot = -1;
  client: ClientIdentity | null = null;
  model: string | null = null;
  isKnownModel = false;
  isStream = false;
  /** The last event of a stream whose headers went out early and that nobody could serve. */
  errorEvent: (error: FerryError) => string = errorEvent;
  /** Set when the first content was handed to the client's socket. */
  firstTokenMs: number | null = null;
  tokens: Tokens | null = null;
  isUsageEstimated = false;
  requestBytes = 0;
  /** How much of the request is in memory; the `BodyReader` counts. */
  bufferedBytes = 0;
  responseBytes = 0;
  /** Kept as `record.content` says; null when not. */
  requestBody: Buffer | null = null;
  #responseText: string | null = null;
  /** The first failure wins: what comes after it is only its echo. */
  #error: FerryError | null = null;
  #isStreamBroken = false;
  #isClosed = false;
  #isServed = false;

  constructor(
    exchange: { request: IncomingMessage; response: ServerResponse; path: string; query: string; ip: string },
    settings: RecordingSettings,
  ) {
    this.request = exchange.request;
    this.response = exchange.response;
    this.path = exchange.path;
    this.query = exchange.query;
    this.ip = exchange.ip;
    this.#settings = settings;
    this.startedMonoMs = settings.clock.monoMs();
    this.#createdAtMs = settings.clock.wallMs();
    this.id = requestId(exchange.request, this.#createdAtMs);
    exchange.response.once('close', () => this.#onClose());
  }

  /** Aborted when the client leaves or the service ends, with the FerryError that says so. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get error(): FerryError | null {
    return this.#error;
  }

  /** True: bodies are to be handed over for the record. */
  get keepsContent(): boolean {
    return this.#settings.content !== 'none';
  }

  get elapsedMs(): number {
    return this.#settings.clock.monoMs() - this.startedMonoMs;
  }

  /** Keeps the beginning of what the client gets, when the record wants it. */
  keepResponse(text: Buffer | string): void {
    if (!this.keepsContent) return;
    const missing = this.#settings.mostContent - (this.#responseText?.length ?? 0);
    if (missing <= 0) return;
    const piece = typeof text === 'string' ? text.slice(0, missing) : text.toString('utf8', 0, missing);
    this.#responseText = (this.#responseText ?? '') + piece;
  }

  abort(reason: FerryError): void {
    this.#controller.abort(reason);
  }

  fail(error: FerryError): void {
    this.#error ??= error;
  }

  failStream(error: FerryError): void {
    this.#isStreamBroken = this.#error === null;
    this.fail(error);
  }

  routed(model: string, client: ClientIdentity): RoutedRequest {
    return {
      path: this.path,
      query: this.query,
      model,
      client,
      headers: this.request.headers,
      signal: this.signal,
      startedMonoMs: this.startedMonoMs,
      log: this.log,
    };
  }

  /** The route has returned and will change nothing more. */
  served(): void {
    this.#isServed = true;
    this.#emitWhenOver();
  }

  #onClose(): void {
    this.#isClosed = true;
    if (!this.response.writableFinished) {
      const gone = new FerryError('client_gone', {
        message: 'The client closed the connection before the answer was complete.',
      });
      this.fail(gone);
      if (this.#settings.onDisconnect === 'abort' || this.log.upstream === null) this.abort(gone);
    }
    this.#emitWhenOver();
  }

  #emitWhenOver(): void {
    if (this.#isClosed && this.#isServed) this.#settings.onRecord(Object.freeze(this.#record()));
  }

  #record(): RequestRecord {
    const { request, log, tokens } = this;
    const elapsedMs = this.elapsedMs;
    const outcome = this.#outcome();
    const keepsContent = this.#settings.content === 'all' || (this.keepsContent && outcome !== 'ok');
    return {
      id: this.id,
      createdAtMs: this.#createdAtMs,
      hostname: this.#settings.hostname,
      client: this.client?.name ?? null,
      ip: this.ip,
      userAgent: brief(request.headers['user-agent']),
      method: request.method ?? '',
      path: brief(this.path) ?? '',
      model: brief(this.model),
      isKnownModel: this.isKnownModel,
      upstreamModel: brief(log.upstreamModel),
      upstream: log.upstream,
      isStream: this.isStream,
      status: outcome === 'client_gone' ? 499 : this.response.statusCode,
      outcome,
      attempts: log.attempts,
      firstTokenMs: this.firstTokenMs,
      elapsedMs,
      overheadMs: Math.max(0, elapsedMs - log.upstreamMs),
      promptTokens: tokens?.promptTokens ?? null,
      completionTokens: tokens?.completionTokens ?? null,
      totalTokens: tokens?.totalTokens ?? null,
      isUsageEstimated: this.isUsageEstimated,
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      errorCode: this.#error === null ? null : (this.#error.code ?? this.#error.kind),
      errorMessage: this.#error === null ? null : (this.#error.detail ?? this.#error.message),
      headers: this.#keptHeaders(),
      body: keepsContent ? (this.requestBody?.toString('utf8', 0, this.#settings.mostContent) ?? null) : null,
      response: keepsContent ? this.#responseText : null,
    };
  }

  #outcome(): Outcome {
    if (this.#error === null) return this.response.statusCode < 400 ? 'ok' : 'client_error';
    if (this.#error.kind === 'client_gone') return 'client_gone';
    return this.#isStreamBroken ? 'stream_broken' : this.#error.row.outcome;
  }

  #keptHeaders(): Record<string, string> | null {
    let kept: Record<string, string> | null = null;
    for (const name of this.#settings.keptHeaders) {
      const value = this.request.headers[name];
      if (value === undefined) continue;
      kept ??= {};
      kept[name] = brief(Array.isArray(value) ? value.join(', ') : value) ?? '';
    }
    return kept;
  }
}

/** So much of a text of the client's goes into the record, and with it into log, metrics and store. UTF-16 units. */
const LONGEST_TEXT = 1024;

function brief(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT - 1).toWellFormed()}…`;
}

function requestId(request: IncomingMessage, nowMs: number): string {
  const given = request.headers['x-request-id'] ?? request.headers['x-client-request-id'];
  return typeof given === 'string' && SAFE_ID.test(given) ? given : newRequestId(nowMs);
}
