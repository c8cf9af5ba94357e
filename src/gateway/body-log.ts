import type { Config } from '../config/config.ts';
import type { BodyLogging } from '../http/middleware/request-context.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import type { Logger, LogLevel } from '../observability/logger.ts';
import { parseChatResponse } from '../openai/chat/chat-response.ts';
import type { Profile } from '../openai/request/profile.ts';
import { redactBody } from '../request-log/redaction.ts';

/**
 * Writes the bodies of each request to the log while its level is `debug`: one line with the payload and one with the
 * response, a stream assembled. Cut at `record.max_body` and redacted as in the request log; the logger replaces secrets.
 */
export class BodyLog {
  /** What requests look at. */
  readonly logging: BodyLogging;
  readonly #logger: Logger;
  readonly #maxBytes: number;
  readonly #patterns: readonly RegExp[];

  constructor({ record, log }: Config, logger: Logger) {
    this.#logger = logger;
    this.#maxBytes = record.max_body;
    this.#patterns = record.redact;
    this.logging = { isOn: false, onWritten: null };
    this.setLevel(log.level, log.bodies);
  }

  /** Applies to requests from now on. */
  setLevel(level: LogLevel, bodies: Config['log']['bodies']): void {
    this.logging.isOn = level === 'debug';
    this.logging.onWritten = bodies === 'chunks' ? (id, text) => this.#logChunk(id, text) : null;
  }

  acceptRecords(records: readonly RequestRecord[]): void {
    for (const record of records) if (record.bodies !== undefined) this.#log(record, record.bodies);
  }

  #log(record: RequestRecord, { request, response, events }: NonNullable<RequestRecord['bodies']>): void {
    const { id, client, method, path, model, upstream, status, isStream } = record;
    this.#logger.debug('request payload', {
      id,
      client,
      method,
      path,
      model,
      body: this.#redact(request ?? ''),
    });
    const assembled = isStream ? assemble(response, path, model ?? '') : null;
    this.#logger.debug('response', {
      id,
      upstream,
      status,
      ...(isStream ? { chunks: events } : {}),
      body: this.#redact(assembled ?? response),
    });
  }

  #logChunk(id: string, text: string): void {
    for (const event of text.split('\n\n'))
      if (event.trim() !== '') this.#logger.debug('response chunk', { id, chunk: this.#redact(event) });
  }

  #redact(body: string): string {
    for (const pattern of this.#patterns) pattern.lastIndex = 0;
    return redactBody(body, { maxBytes: this.#maxBytes, patterns: this.#patterns });
  }
}

/** Nothing is adapted: the events are in the form in which the client got them. */
const AS_SENT: Profile = {
  thinkTags: 'keep',
  cumulative: 'never',
  dropParams: [],
  renameParams: {},
  roles: {},
  messageContent: 'keep',
  system: 'keep',
  learn: false,
  alwaysStream: false,
  embeddingBatch: 0,
  tokenIds: 'auto',
  completions: 'native',
  responses: 'native',
  messages: 'auto',
};

/** The response that the events of a chat or completion add up to; null: they are the events of another API, or cut. */
function assemble(events: string, path: string, model: string): string | null {
  const endpoint = path.endsWith('/chat/completions')
    ? 'chat'
    : path.endsWith('/completions')
      ? 'completions'
      : null;
  if (endpoint === null) return null;
  try {
    const { body } = parseChatResponse(Buffer.from(events), {
      endpoint,
      requestedModel: model,
      replyModel: 'upstream',
      profile: AS_SENT,
      legacyFunctions: false,
      contentType: 'text/event-stream',
      scrub: (text) => text,
      newId: () => '',
      nowSeconds: () => 0,
    });
    return body.toString();
  } catch {
    return null;
  }
}
