import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { FerryError, type Outcome } from '../../lib/errors/ferry-error.ts';
import type { RequestRecord } from '../../lib/request-record.ts';
import type { RequestTrace, RequestTracer } from '../../lib/request-trace.ts';
import { shorten } from '../../lib/text/sanitize.ts';
import { AttemptLog, type ClientIdentity, type RoutedRequest } from '../../routing/routed-request.ts';
import { barePath } from './request-path.ts';

/** Whether bodies are logged now. Changed while requests run: each looks at it when it arrives. */
export interface BodyLogging {
  isOn: boolean;
  /** Takes what is written to the client, as it is written; null: only whole bodies are logged. */
  onWritten: ((id: string, text: string) => void) | null;
}

/** What the record takes from the configuration rather than from the request. */
export interface RecordingSettings {
  readonly clock: Clock;
  readonly hostname: string;
  /** Lower-case names of the client headers that are recorded. */
  readonly keptHeaders: readonly string[];
  /** When request and response bodies are recorded. */
  readonly content: 'none' | 'errors' | 'all';
  /** Absent: bodies are never logged. */
  readonly bodyLogging?: BodyLogging;
  /** Maximum length of a recorded body in UTF-16 units; the request log cuts it again by bytes. */
  readonly maxContent: number;
  /** Ids that clients have sent; absent: each is taken for a new one. */
  readonly clientIds?: ClientIds;
  /** `finish`: the upstream's response is read to its end for the record after the client has disconnected. */
  readonly onDisconnect: 'abort' | 'finish';
  /** Absent: requests are not traced. */
  readonly tracer?: RequestTracer | undefined;
  /** Takes the record of each finished request. */
  readonly records: { add(record: RequestRecord): void };
}

interface Tokens {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
}

/** What became of one request: written while it is served, copied into its record when it is over. */
class RequestOutcome {
  client: ClientIdentity | null = null;
  model: string | null = null;
  isKnownModel = false;
  isStream = false;
  readonly log = new AttemptLog();
  /** Set when the first content is written to the client's socket. */
  firstTokenMs: number | null = null;
  tokens: Tokens | null = null;
  isUsageEstimated = false;
  requestBytes = 0;
  responseBytes = 0;
  /** Stored by `record.content`; null when not. */
  requestBody: Buffer | null = null;
  responseText: string | null = null;
  /** Events written to the client; counted only for the log of bodies. */
  events = 0;
  /** Written by `fail` and `failStream` only. */
  error: FerryError | null = null;
  isStreamBroken = false;

  /** The first failure is recorded; later ones are its consequences and are ignored. */
  fail(error: FerryError): void {
    this.error ??= error;
  }

  /** A failure after the start of the response. */
  failStream(error: FerryError): void {
    this.isStreamBroken = this.error === null;
    this.error ??= error;
  }
}

interface RequestFacts {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: string;
  readonly ip: string;
  /** The model that the path names (Azure's spelling). */
  readonly model?: string | null;
}

/** An id sent by the client is used only when it is short and printable. */
const SAFE_ID = /^[\w.:/+=@-]{1,128}$/;

/**
 * One request from its arrival to its record: facts that never change, and one outcome. The record is a frozen copy,
 * emitted once, when the response is closed and the route has returned.
 */
export class RequestContext {
  readonly id: string;
  /** The client's own id, where it is not `id`. */
  readonly clientRequestId: string | null = null;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  /** Normalised: one leading `/v1`, no query. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  readonly ip: string;
  /** The model that the path names, for a body that names none; null for nearly all. */
  readonly modelInPath: string | null;
  readonly startedMonoMs: number;
  readonly createdAtMs: number;
  /** True: the record may need request and response bodies. */
  readonly keepsContent: boolean;
  /** True: the log has level `debug`, and gets both bodies. */
  readonly logsBodies: boolean;
  readonly outcome = new RequestOutcome();
  /** Null: the request is not traced. */
  readonly trace: RequestTrace | null;
  /** Flat `x-ratelimit-*` headers of the client's own limits; set by its quota. */
  limitHeaders: readonly string[] = NO_HEADERS;
  /** Position among the running requests; written by `RunningRequests` only. -1: none. */
  slot = -1;
  /** Bytes of the request body in memory; written by `BodyReader` only. */
  bufferedBytes = 0;
  /** Called on `abort` while the body is read: a listener on the signal costs 1 µs. Written by `BodyReader` only. */
  onAbort: ((reason: FerryError) => void) | null = null;
  /** Whether the last event of a stream was written: who closes then is no client that left. Written by routes only. */
  isResponseComplete: (() => boolean) | null = null;
  readonly #settings: RecordingSettings;
  readonly #controller = new AbortController();
  #isClosed = false;
  #isServed = false;

  constructor(
    { request, response, path, query, ip, model = null }: RequestFacts,
    settings: RecordingSettings,
  ) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? '';
    this.headers = request.headers;
    this.path = path;
    this.query = query;
    this.ip = ip;
    this.modelInPath = model;
    this.#settings = settings;
    this.startedMonoMs = settings.clock.monoMs();
    this.createdAtMs = settings.clock.wallMs();
    this.logsBodies = settings.bodyLogging?.isOn === true;
    this.keepsContent = this.logsBodies || settings.content !== 'none';
    const { tracer } = settings;
    this.trace = tracer === undefined ? null : tracer.begin(this);
    const given = givenId(request.headers);
    if (given !== null && settings.clientIds?.isKnown(given) !== true) this.id = given;
    else {
      this.id = newRequestId(this.createdAtMs);
      this.clientRequestId = given;
    }
  }

  /** The path as the client wrote it, for texts that it is to find again. */
  get typedPath(): string {
    // Set by the app, which rewrites `url` to the normalised path.
    const { originalUrl, url = '' } = this.request as IncomingMessage & { readonly originalUrl?: string };
    return shorten(barePath(originalUrl ?? url), 200);
  }

  /** Aborted when the client disconnects or the service shuts down, with that FerryError. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get elapsedMs(): number {
    return this.#settings.clock.monoMs() - this.startedMonoMs;
  }

  /** Counts the request body, and keeps it when the record may need it. */
  receivedBody(body: Buffer): void {
    this.outcome.requestBytes = body.length;
    if (this.keepsContent) this.outcome.requestBody = body;
  }

  /** Counts what is written to the client, and keeps its beginning when the record may need it. */
  wrote(text: Buffer | string, byteLength: number): void {
    const { outcome } = this;
    outcome.responseBytes += byteLength;
    if (!this.keepsContent) return;
    if (this.logsBodies) this.#noteWritten(text.toString());
    const maxLength = this.#settings.maxContent * (this.logsBodies ? EVENTS_PER_CONTENT : 1);
    const missing = maxLength - (outcome.responseText?.length ?? 0);
    if (missing <= 0) return;
    const piece = typeof text === 'string' ? text.slice(0, missing) : text.toString('utf8', 0, missing);
    outcome.responseText = (outcome.responseText ?? '') + piece;
  }

  #noteWritten(text: string): void {
    this.outcome.events += countEvents(text);
    this.#settings.bodyLogging?.onWritten?.(this.id, text);
  }

  abort(reason: FerryError): void {
    this.onAbort?.(reason);
    this.#controller.abort(reason);
  }

  routed(model: string, client: ClientIdentity): RoutedRequest {
    return {
      path: this.path,
      query: this.query,
      model,
      client,
      headers: this.headers,
      signal: this.signal,
      startedMonoMs: this.startedMonoMs,
      log: this.outcome.log,
      trace: this.trace,
    };
  }

  /** The route has returned and no longer changes the outcome. */
  served(): void {
    this.#isServed = true;
    if (this.#isClosed) this.#settings.records.add(this.#record());
  }

  /** The response is closed. */
  closed(): void {
    this.#isClosed = true;
    if (!this.response.writableFinished) {
      const gone = new FerryError('client_gone', {
        message: 'The client closed the connection before the response was complete.',
      });
      if (this.isResponseComplete?.() !== true) this.outcome.fail(gone);
      if (this.#settings.onDisconnect === 'abort' || this.outcome.log.upstream === null) this.abort(gone);
    }
    if (this.#isServed) this.#settings.records.add(this.#record());
  }

  /** Within the maximum of the record, when more was kept for the log. */
  #keptResponse(): string | null {
    return this.outcome.responseText?.slice(0, this.#settings.maxContent) ?? null;
  }

  #loggedBodies(): NonNullable<RequestRecord['bodies']> {
    const { requestBody, responseText, events } = this.outcome;
    return { request: requestBody?.toString() ?? null, response: responseText ?? '', events };
  }

  #record(): RequestRecord {
    const { headers, outcome: facts } = this;
    const { error, log, tokens } = facts;
    const { content, hostname, maxContent } = this.#settings;
    const elapsedMs = this.elapsedMs;
    const outcome = outcomeOf(this);
    const keepsContent = content === 'all' || (content === 'errors' && outcome !== 'ok');
    const record: RequestRecord = Object.freeze({
      id: this.id,
      traceId: this.trace === null ? null : this.trace.traceId,
      clientRequestId: this.clientRequestId,
      createdAtMs: this.createdAtMs,
      hostname,
      client:
        facts.client === null || facts.client.user === null
          ? (facts.client?.name ?? null)
          : `${facts.client.name} (${facts.client.user})`,
      ip: this.ip,
      userAgent: brief(headers['user-agent']),
      method: this.method,
      path: brief(this.path) ?? '',
      model: brief(facts.model),
      isKnownModel: facts.isKnownModel,
      upstreamModel: brief(log.upstreamModel),
      upstream: log.upstream,
      isStream: facts.isStream,
      status: outcome === 'client_gone' ? 499 : this.response.statusCode,
      outcome,
      attempts: log.attempts,
      adaptations: log.adaptations,
      firstTokenMs: facts.firstTokenMs,
      elapsedMs,
      overheadMs: Math.max(0, elapsedMs - log.upstreamMs),
      promptTokens: tokens?.promptTokens ?? null,
      completionTokens: tokens?.completionTokens ?? null,
      totalTokens: tokens?.totalTokens ?? null,
      isUsageEstimated: facts.isUsageEstimated,
      requestBytes: facts.requestBytes,
      responseBytes: facts.responseBytes,
      errorCode: error === null ? null : (error.code ?? error.kind),
      errorMessage: error === null ? null : (error.detail ?? error.message),
      headers: keptHeaders(headers, this.#settings.keptHeaders),
      body: keepsContent ? (facts.requestBody?.toString('utf8', 0, maxContent) ?? null) : null,
      response: keepsContent ? (this.logsBodies ? this.#keptResponse() : facts.responseText) : null,
      ...(this.logsBodies ? { bodies: this.#loggedBodies() } : undefined),
    });
    if (this.trace !== null) this.trace.finish(record);
    return record;
  }
}

/** A stream has so many characters for each of its content; its assembled response is to reach the maximum. */
const EVENTS_PER_CONTENT = 64;

/** Events with data; the end marker is none. */
function countEvents(text: string): number {
  return text.match(/^data:(?! ?\[DONE\])/gm)?.length ?? 0;
}

const NO_HEADERS: readonly string[] = [];

function outcomeOf({ outcome: { error, isStreamBroken }, response }: RequestContext): Outcome {
  if (error === null) return response.statusCode < 400 ? 'ok' : 'client_error';
  if (error.kind === 'client_gone') return 'client_gone';
  return isStreamBroken ? 'stream_broken' : error.row.outcome;
}

function keptHeaders(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> | null {
  let kept: Record<string, string> | null = null;
  for (const name of names) {
    const value = headers[name];
    if (value === undefined) continue;
    kept ??= {};
    kept[name] = brief(Array.isArray(value) ? value.join(', ') : value) ?? '';
  }
  return kept;
}

/** Maximum length of a text of the client in the record, and so in log, metrics and store. UTF-16 units. */
const MAX_RECORDED_TEXT = 1024;

function brief(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  return text.length <= MAX_RECORDED_TEXT ? text : `${text.slice(0, MAX_RECORDED_TEXT - 1).toWellFormed()}…`;
}

function givenId(headers: IncomingHttpHeaders): string | null {
  const given = headers['x-request-id'] ?? headers['x-client-request-id'];
  return typeof given === 'string' && SAFE_ID.test(given) ? given : null;
}

/** So many ids of clients are remembered, each of at most 128 characters. */
const MAX_CLIENT_IDS = 20_000;

/**
 * The ids that clients have sent lately. Some send one with all their requests (of a session, a user, a deployment), and it
 * would find them all in the log where one is looked for.
 */
export class ClientIds {
  #newer = new Set<string>();
  #older = new Set<string>();

  /** Whether the id came before; from now on it did. */
  isKnown(id: string): boolean {
    if (this.#newer.has(id)) return true;
    const isKnown = this.#older.has(id);
    if (this.#newer.size >= MAX_CLIENT_IDS / 2) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    this.#newer.add(id);
    return isKnown;
  }
}

/** Distinguishes the processes that count in the same millisecond. */
const processPart = randomBytes(5).toString('hex');
const COUNTER_DIGITS = 4;
const COUNTER_LIMIT = 36 ** COUNTER_DIGITS;
let counter = 0;
/** Of the ids of one millisecond. */
let prefix = '';
let prefixMs = Number.NaN;

/**
 * `req_`, then the time, this process and a counter, 27 characters in all. Later ids sort after earlier ones, so that
 * the index of the request log only grows at its end: random ids cost 7 µs more per row there.
 */
export function newRequestId(wallMs: number): string {
  counter = (counter + 1) % COUNTER_LIMIT;
  if (wallMs !== prefixMs) {
    prefixMs = wallMs;
    prefix = `req_${Math.floor(wallMs).toString(36).padStart(9, '0')}${processPart}`;
  }
  return prefix + counter.toString(36).padStart(COUNTER_DIGITS, '0');
}
