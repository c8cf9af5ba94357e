import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { parseChatResponse } from '../../openai/chat/chat-response.ts';
import { ChatStream } from '../../openai/chat/chat-stream.ts';
import type {
  ChatResponse,
  ChatResponseOptions,
  ResponseFormat,
  ResponseStream,
} from '../../openai/chat/response-format.ts';
import type { ParsedRequest } from '../../openai/request/parsed-request.ts';
import type { AdaptedRequest } from '../../openai/request/request-adaptation.ts';
import type { UpstreamCall } from '../../upstream/client.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { Attempt } from '../attempt.ts';
import type { Service } from '../failover.ts';
import { type AttemptPolicy, fromUpstream } from './attempt-policy.ts';
import { OpenStream } from './open-stream.ts';
import { adaptTo, callAndRead, callOf, learnableRefusal, readWhole, refusedInBody } from './upstream-call.ts';

/** A whole answer, checked and canonical. */
export interface WholeAnswer extends ChatResponse {
  readonly kind: 'whole';
  readonly dropped: readonly string[];
}

export type ChatAnswer = WholeAnswer | OpenStream;

/** An image in a stream is a few megabytes; more than this buffered for one event is an attack. UTF-16 units. */
const LONGEST_EVENT = 32 * 1024 * 1024;
/** So much of a stream is looked at for a refused token (`reject.body`), again with each piece. UTF-16 units. */
const LONGEST_REFUSAL = 64 * 1024;

/** A chat for whoever asked for one. */
const AS_CHAT: ResponseFormat = {
  path: undefined,
  openStream: (options) => new ChatStream(options),
  readWhole: parseChatResponse,
};

/** Serves `chat/completions`, `completions` and what is asked as a chat, whole or as a stream, from one attempt. */
export class ChatService implements Service<ChatAnswer> {
  readonly #request: ParsedRequest;
  readonly #settings: AttemptPolicy;
  readonly #form: ResponseFormat;

  constructor(request: ParsedRequest, settings: AttemptPolicy, form: ResponseFormat = AS_CHAT) {
    this.#request = request;
    this.#settings = settings;
    this.#form = form;
  }

  async serve(attempt: Attempt): Promise<ChatAnswer> {
    try {
      const adapted = this.#adapt(attempt);
      return await callAndRead<ChatAnswer>(attempt, this.#call(attempt, adapted), (reply) =>
        this.#request.stream
          ? this.#openStream(attempt, reply, adapted)
          : this.#readWhole(attempt, reply, adapted),
      );
    } catch (error) {
      throw fromUpstream(error, attempt, this.#settings);
    }
  }

  refusedParameter(error: FerryError, attempt: Attempt): string | null {
    return learnableRefusal(error, attempt, this.#request);
  }

  #adapt(attempt: Attempt): AdaptedRequest {
    const stream = attempt.upstream.profile.alwaysStream;
    return adaptTo(attempt, this.#request, { usage: this.#settings.wantsUsage, stream });
  }

  #call(attempt: Attempt, adapted: AdaptedRequest): UpstreamCall {
    const { timeoutMs, streamTimeoutMs } = attempt.upstream.limits;
    // A whole reply has no headers before it is made.
    const isHurried = this.#request.stream && adapted.stream && !attempt.bounds.isLast;
    const isWrapped = adapted.endpoint === 'chat' && this.#request.kind === 'completions';
    return callOf(attempt, {
      body: adapted.body,
      path: isWrapped ? '/chat/completions' : this.#form.path,
      timeoutMs: isHurried ? streamTimeoutMs : timeoutMs,
    });
  }

  async #readWhole(attempt: Attempt, reply: UpstreamResponse, adapted: AdaptedRequest): Promise<WholeAnswer> {
    const body = await readWhole(attempt, reply, this.#settings.maxResponseBytes);
    const answer = this.#form.readWhole(body, this.#options(attempt, reply));
    attempt.commit();
    attempt.finish(null);
    return { kind: 'whole', ...answer, dropped: adapted.dropped };
  }

  async #openStream(attempt: Attempt, reply: UpstreamResponse, adapted: AdaptedRequest): Promise<OpenStream> {
    const stream = this.#form.openStream({
      ...this.#options(attempt, reply),
      includeUsage: this.#request.includeUsage,
      estimateUsage: this.#settings.wantsUsage ? 'roughly' : 'no',
      maxEventBytes: LONGEST_EVENT,
    });
    const head = await this.#untilContent(attempt, reply, stream);
    return new OpenStream({ attempt, reply, stream, head, dropped: adapted.dropped });
  }

  /** Reads until the stream proves itself by content, or by a legitimate end; throws what it proves otherwise. */
  async #untilContent(attempt: Attempt, reply: UpstreamResponse, stream: ResponseStream): Promise<string> {
    const { client } = attempt.upstream;
    attempt.limitFirstContent();
    let seen = '';
    let head = '';
    while (!stream.hasContent && !stream.isFinished) {
      const bytes = await reply.body.next();
      if (client.hasBodyMatchers && bytes !== null && seen.length < LONGEST_REFUSAL) {
        seen += bytes.toString('utf8');
        if (client.rejectsTokenIn(reply, seen)) throw refusedInBody(attempt);
      }
      head += bytes === null ? stream.end() : stream.push(bytes);
      if (stream.failure !== null && !stream.hasContent) throw stream.failure;
      if (bytes === null) break;
    }
    return head;
  }

  #options(attempt: Attempt, reply: UpstreamResponse): ChatResponseOptions {
    const { json, kind, model, usesLegacyFunctions } = this.#request;
    const settings = this.#settings;
    return {
      endpoint: kind === 'completions' ? 'completions' : 'chat',
      requestedModel: model,
      replyModel: settings.replyModel,
      profile: attempt.upstream.profile,
      legacyFunctions: usesLegacyFunctions,
      contentType: reply.headers.get('content-type'),
      choiceCount: typeof json.n === 'number' ? json.n : 1,
      promptForEstimate: () => JSON.stringify(json.messages ?? json.prompt ?? ''),
      scrub: settings.scrub,
      newId: settings.newId,
      nowSeconds: settings.nowSeconds,
      onRepair: (repair) => settings.onRepair(attempt.upstream.name, repair),
    };
  }
}
