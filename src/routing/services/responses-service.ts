import type { FerryError } from '../../lib/errors/ferry-error.ts';
import type { ResponsesAsChat } from '../../openai/responses/responses-request.ts';
import { responsesForm } from '../../openai/responses/responses-response.ts';
import type { Attempt } from '../attempt.ts';
import type { Service } from '../failover.ts';
import type { RoutedUpstream } from '../upstream-state/routed-upstream.ts';
import type { AttemptPolicy } from './attempt-policy.ts';
import { type ChatAnswer, ChatService } from './chat-service.ts';
import { PassThroughService, type RawAnswer } from './pass-through-service.ts';

/** A translated answer, or what an upstream with /responses of its own said, as it is. */
type ResponsesAnswer = ChatAnswer | (RawAnswer & { readonly kind: 'raw' });

interface ResponsesRequest {
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

  constructor({ body, asChat, onItem }: ResponsesRequest, settings: AttemptPolicy) {
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
