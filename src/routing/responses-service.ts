import { responsesForm } from '../canonical/responses-reply.ts';
import type { ResponsesAsChat } from '../canonical/responses-request.ts';
import type { FerryError } from '../errors.ts';
import type { Attempt } from './attempt.ts';
import { type ChatAnswer, ChatService } from './chat-service.ts';
import type { Service } from './fail-over.ts';
import { PassThroughService, type RawAnswer } from './pass-through-service.ts';
import type { RoutedUpstream } from './routed-upstream.ts';
import type { ServingSettings } from './serving.ts';

/** A translated answer, or what an upstream with /responses of its own said, as it is. */
export type ResponsesAnswer = ChatAnswer | (RawAnswer & { readonly kind: 'raw' });

export interface ResponsesRequest {
  /** The client's bytes, for upstreams that have /responses. */
  readonly body: Buffer;
  /** The same as a chat, for those that have not; null when there is none among the candidates. */
  readonly asChat: ResponsesAsChat | null;
  /** Told every item that an answer consisted of; undefined: nobody wants to know. */
  readonly onItem?: ((item: Readonly<Record<string, unknown>>) => void) | undefined;
}

/** Whether a Responses request is asked of this upstream as a chat (`profile.responses: via_chat`). */
export function isAskedByChat(upstream: RoutedUpstream): boolean {
  return upstream.profile.responses === 'via_chat';
}

/**
 * Serves `POST /v1/responses` where upstreams with and without it stand side by side: each attempt either hands the
 * request through or asks for the same as a chat, so that either kind takes over from the other.
 */
export class ResponsesService implements Service<ResponsesAnswer> {
  readonly #native: PassThroughService;
  readonly #chat: ChatService | null;

  constructor({ body, asChat, onItem }: ResponsesRequest, settings: ServingSettings) {
    const handed = { method: 'POST', body, isJson: true, isGeneration: true };
    this.#native = new PassThroughService(handed, settings);
    this.#chat =
      asChat === null
        ? null
        : new ChatService(
            asChat.chat,
            settings,
            responsesForm({ echo: asChat.echo, onItem, mostLength: settings.maxResponseBytes }),
          );
  }

  async serve(attempt: Attempt): Promise<ResponsesAnswer> {
    const chat = this.#chatFor(attempt);
    if (chat !== null) return chat.serve(attempt);
    return { kind: 'raw', ...(await this.#native.serve(attempt)) };
  }

  refusedParameter(error: FerryError, attempt: Attempt): string | null {
    return this.#chatFor(attempt)?.refusedParameter(error, attempt) ?? null;
  }

  #chatFor(attempt: Attempt): ChatService | null {
    return isAskedByChat(attempt.upstream) ? this.#chat : null;
  }
}
