import { randomBytes } from 'node:crypto';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { JsonObject } from '../../lib/json/json-object.ts';
import { ResponseIdentity } from '../chat/assembly/response-identity.ts';
import type {
  ChatResponse,
  ChatResponseOptions,
  ChatStreamOptions,
  ResponseFormat,
  ResponseStream,
} from '../chat/response-format.ts';
import { ResponseStages } from '../chat/response-stages.ts';
import type { Usage } from '../usage/usage.ts';
import { ResponseWriter, responsesErrorEvent } from './responses-events.ts';

interface ResponsesOptions {
  /** The members of a Response that repeat the request. */
  readonly echo: JsonObject;
  /** Told every item of the output when all are complete. */
  readonly onItem?: ((item: JsonObject) => void) | undefined;
  /** The longest answer, in UTF-16 units: the Response at its end repeats it, so it is kept. */
  readonly mostLength: number;
}

/** Answers of chat upstreams told as those of the Responses API. */
export function responsesForm(own: ResponsesOptions): ResponseFormat {
  return {
    path: '/chat/completions',
    openStream: (options) => new ResponsesStream(options, own),
    readWhole: (body, options) => readResponsesBody(body, options, own),
  };
}

/** Any upstream bytes of a chat → the events of the Responses API, or only the Response at their end. */
export class ResponsesStream implements ResponseStream {
  readonly #stages: ResponseStages;
  readonly #writer: ResponseWriter;
  readonly #mostLength: number;
  /** Of all that the model said so far. */
  #saidLength = 0;
  #overflow: FerryError | null = null;
  #text = '';

  constructor(options: ChatStreamOptions, own: ResponsesOptions, wants: 'events' | 'response' = 'events') {
    const identity = new ResponseIdentity(options);
    this.#mostLength = own.mostLength;
    this.#writer = new ResponseWriter({
      head: () => ({ ...identity.fixed, id: newResponsesId('resp'), echo: own.echo }),
      write: wants === 'response' ? null : (text) => this.#told(text),
      newId: newResponsesId,
      onItem: own.onItem,
    });
    this.#stages = new ResponseStages(options, {
      sink: this.#writer,
      identity,
      // A Response always tells its usage.
      estimate: 'exactly',
      choiceCount: 1,
      maxEventLength: options.maxEventBytes,
      onText: (text) => this.#note(text),
      onComplete: () => this.#complete(),
    });
  }

  push(bytes: Uint8Array): string {
    if (this.#overflow === null) this.#stages.reader.push(bytes);
    return this.#take();
  }

  end(): string {
    this.#stages.reader.end();
    return this.#take();
  }

  broken(error: FerryError): string {
    return responsesErrorEvent(error, this.#writer.nextSequenceNumber);
  }

  settleUsage(): Usage | null {
    return this.#stages.settleUsage();
  }

  get hasContent(): boolean {
    return this.#stages.assembler.hasContent;
  }

  get isFinished(): boolean {
    return this.#stages.reader.isComplete;
  }

  get canEnd(): boolean {
    return this.#stages.reader.canEnd;
  }

  get failure(): FerryError | null {
    return this.#overflow ?? this.#stages.reader.failure;
  }

  get usage(): Usage | null {
    return this.#stages.meter.usage;
  }

  get isUsageEstimated(): boolean {
    return this.#stages.meter.isEstimated;
  }

  get upstreamModel(): string | null {
    return this.#stages.identity.upstreamModel;
  }

  /** The Response at its end; null before. */
  get response(): JsonObject | null {
    return this.#writer.response;
  }

  #complete(): void {
    this.#stages.assembler.close(() => undefined);
    this.#writer.complete(this.#stages.settleUsage());
  }

  #note(text: string): void {
    this.#saidLength += text.length;
    if (this.#saidLength > this.#mostLength) this.#overflow ??= tooLong(this.#mostLength);
  }

  #told(text: string): void {
    this.#text += text;
  }

  #take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}

/** The whole body of a chat upstream → one Response object. Throws FerryError when it is no answer. */
function readResponsesBody(body: Buffer, options: ChatResponseOptions, own: ResponsesOptions): ChatResponse {
  const limits = { includeUsage: true, maxEventBytes: Number.POSITIVE_INFINITY };
  const stream = new ResponsesStream({ ...options, ...limits }, own, 'response');
  stream.push(body);
  stream.end();
  if (stream.failure !== null) throw stream.failure;
  return {
    body: JSON.stringify(stream.response),
    usage: stream.usage,
    isUsageEstimated: stream.isUsageEstimated,
    upstreamModel: stream.upstreamModel,
    isRelayed: false,
  };
}

/** `resp_`, `msg_`, `rs_` or `fc_` and 48 characters: nobody guesses the id of another client's answer. */
function newResponsesId(prefix: string): string {
  return `${prefix}_${randomBytes(24).toString('hex')}`;
}

function tooLong(mostLength: number): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream's answer is longer than limits.response (${mostLength}). Raise the limit or ask for less.`,
  });
}
