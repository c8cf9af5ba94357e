import { asFerryError } from '../../lib/errors/ferry-error.ts';
import type { BodyFields } from '../../openai/request/body-fields.ts';
import { parseRequest } from '../../openai/request/parsed-request.ts';
import { namesStoredObjects, withoutClientMetadata } from '../../openai/responses/responses-body.ts';
import { type ResponsesAsChat, responsesAsChat } from '../../openai/responses/responses-request.ts';
import { responsesForm } from '../../openai/responses/responses-response.ts';
import type { Attempt } from '../../routing/attempt.ts';
import { noteMissingEndpoint } from '../../routing/attempt-call.ts';
import type { RefusableRequest } from '../../routing/refusal-lesson.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import { refuseLongModelName } from '../../routing/router.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import { Upload } from '../body/upload.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { SseWriter } from '../response/sse-writer.ts';
import { type ChatExchange, type ChatRouteSettings, serveChatAttempt } from './chat.ts';
import {
  type PassedRequest,
  type PassThroughSettings,
  passAttempt,
  refusablePart,
  refuseDenied,
  servePassed,
  unknownToAll,
} from './pass-through.ts';
import { readPassedBody } from './passed-request.ts';
import { expectedResponse } from './passed-response.ts';
import type { ResponseItemStore } from './response-item-store.ts';

const NO_BODY = Buffer.alloc(0);
const PATH = '/v1/responses';
const CHAT_PATH = '/v1/chat/completions';

/**
 * Serves `POST /v1/responses`. It is passed through like any other path, but for upstreams that only chat
 * (`profile.responses`): they are sent a chat, whose response is sent as a Response. Upstreams of either kind take over
 * from the other.
 */
export async function serveResponses(
  context: RequestContext,
  client: ClientIdentity,
  settings: ChatRouteSettings,
  passSettings: PassThroughSettings,
  items: ResponseItemStore,
): Promise<void> {
  const { router, policy } = settings;
  refuseDenied(context, passSettings);
  const isChatOnly = router.upstreams.every(isViaChat);
  const read = withoutClientMetadata(await readPassedBody(context, passSettings, isChatOnly));
  const { body, fields } = read;
  const model = fields.get('model');
  const canBeChat = router.upstreams.some(({ profile }) => profile.responses !== 'native');
  // Nobody has /responses: without a model, or as invalid JSON, the request cannot be a chat either.
  if (!(body instanceof Upload) && isChatOnly && !model?.trim()) parseRequest(body ?? NO_BODY, 'chat');
  if (!Buffer.isBuffer(body) || !model || !canBeChat) return servePassed(context, client, settings, read);

  refuseLongModelName(model);
  context.outcome.model = model;
  const isStream = fields.get('stream') === 'true';
  context.outcome.isStream = isStream;
  const routed = context.routed(model, client);
  const admitted = router.candidates(routed);
  const writer = isStream ? new SseWriter(context, { ...settings, keepAliveChunkMs: 0 }) : null;
  const expected = expectedResponse(context.method, context.path, read);
  const exchange = new ResponsesExchange({
    context,
    writer,
    fields,
    passed: { context, ...read, expected, policy },
    toChat: () => {
      const owner = client.name ?? '';
      const asChat = responsesAsChat(parseRequest(body, 'chat'), (id) => items.find(owner, id));
      const onItem = asChat.isStored ? (item: object) => items.save(owner, item) : undefined;
      return chatExchange(context, asChat, { writer, policy, onItem });
    },
  });
  const candidates = exchange.capable(admitted);
  const failover = router.begin(routed, candidates);
  // What is passed through has a status and headers of its own, so that none can be sent before it.
  if (candidates.every(isViaChat)) writer?.openAfter(settings.earlyHeadersMs);
  try {
    for (;;) {
      const attempt = await failover.next();
      try {
        await exchange.serve(attempt);
        break;
      } catch (error) {
        await failover.failed(attempt, error, exchange.sentIn(attempt));
      }
    }
  } catch (error) {
    throw exchange.conclusion(error);
  } finally {
    writer?.dispose();
  }
  context.outcome.isKnownModel = router.served(routed);
}

interface ResponsesExchangeParts {
  readonly context: RequestContext;
  /** Null: the client requested a whole response. */
  readonly writer: SseWriter | null;
  readonly fields: BodyFields;
  /** The request for upstreams that have /responses. */
  readonly passed: PassedRequest;
  /** Makes the request for those that only chat; throws when a chat cannot do what it asks for. */
  readonly toChat: () => ChatExchange;
}

/** A Responses request on its way: what all its attempts have in common. */
class ResponsesExchange {
  readonly #parts: ResponsesExchangeParts;
  /** Null until an upstream needs it. */
  #chat: ChatExchange | null = null;
  /** Why the request is not possible as a chat. */
  #refusal: unknown = null;
  /** The upstreams that were sent a chat. */
  readonly #chatted = new Set<string>();

  constructor(parts: ResponsesExchangeParts) {
    this.#parts = parts;
  }

  /** The candidates that can serve the request: what a chat cannot do goes to those with /responses only. Throws the reason when there are none. */
  capable(candidates: readonly RoutedUpstream[]): readonly RoutedUpstream[] {
    const native = candidates.filter((candidate) => !isViaChat(candidate));
    if (native.length === candidates.length || this.#asChat() !== null) return candidates;
    if (native.length === 0) throw this.#refusal;
    return native;
  }

  /** One attempt in the form that its upstream has. One that turns out to have no /responses gets the chat at once. */
  async serve(attempt: Attempt): Promise<void> {
    const { upstream } = attempt;
    let missing: unknown = null;
    if (!isViaChat(upstream)) {
      try {
        await passAttempt(this.#parts.passed, attempt);
        return;
      } catch (error) {
        if (!this.#isMissing(error, attempt)) throw error;
        missing = error;
      }
    }
    const chat = this.#asChat();
    if (chat === null) throw missing ?? this.#refusal;
    this.#chatted.add(upstream.name);
    try {
      await serveChatAttempt(chat, attempt);
    } catch (error) {
      if (missing === null || attempt.isCommitted || asFerryError(error).kind !== 'path_not_found')
        throw error;
      // It does not chat either: its base URL is wrong, or it is another kind of server.
      upstream.missingEndpoints.forget(PATH);
      attempt.path = PATH;
      this.#chatted.delete(upstream.name);
      throw missing;
    }
  }

  /** The request as an attempt has sent it, for what its refusal says about it. */
  sentIn(attempt: Attempt): RefusableRequest | null {
    return attempt.sent ?? refusablePart(this.#parts.passed);
  }

  /** The error for the client when every attempt has failed. */
  conclusion(error: unknown): unknown {
    const { context } = this.#parts;
    const failure = asFerryError(error);
    if (failure.kind !== 'path_not_found') return error;
    if (this.#refusal !== null) return this.#refusal;
    const last = context.outcome.log.attempts.findLast(({ outcome }) => outcome === 'path_not_found');
    // The error is that of the last one; an upstream that was sent a chat lacks another path than the client's.
    if (this.#chatted.has(last?.upstream ?? '')) return error;
    return unknownToAll(error, context, (upstream) => !this.#chatted.has(upstream));
  }

  #asChat(): ChatExchange | null {
    if (this.#chat !== null || this.#refusal !== null) return this.#chat;
    try {
      this.#chat = this.#parts.toChat();
    } catch (error) {
      this.#refusal = error;
    }
    return this.#chat;
  }

  /** Whether an upstream with `responses: auto` that may chat has answered as one without the path, which is remembered. */
  #isMissing(error: unknown, attempt: Attempt): boolean {
    const { upstream, request } = attempt;
    if (upstream.profile.responses !== 'auto' || !upstream.admits(request.model, CHAT_PATH)) return false;
    const { body } = this.#parts.passed;
    const namesStored = Buffer.isBuffer(body) && namesStoredObjects(body);
    return noteMissingEndpoint(error, attempt, PATH, namesStored);
  }
}

/** Whether a Responses request is sent to this upstream as a chat. */
function isViaChat({ profile, missingEndpoints }: RoutedUpstream): boolean {
  return profile.responses === 'via_chat' || (profile.responses === 'auto' && missingEndpoints.has(PATH));
}

function chatExchange(
  context: RequestContext,
  { chat, echo, ignored, tools, hasEncryptedReasoning }: ResponsesAsChat,
  {
    writer,
    policy,
    onItem,
  }: Pick<ChatExchange, 'writer' | 'policy'> & { readonly onItem: ((item: object) => void) | undefined },
): ChatExchange {
  return {
    context,
    request: chat,
    format: responsesForm({ echo, tools, hasEncryptedReasoning, onItem, maxLength: policy.maxResponseBytes }),
    writer,
    headers: [],
    ignored,
    policy,
  };
}
