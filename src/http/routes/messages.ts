import { PING } from '../../openai/messages/messages-events.ts';
import { type MessagesAsChat, messagesAsChat } from '../../openai/messages/messages-request.ts';
import { messagesForm } from '../../openai/messages/messages-response.ts';
import { withoutOwnThinking } from '../../openai/messages/thinking-signature.ts';
import { estimatePromptTokens } from '../../openai/messages/token-estimate.ts';
import { readJsonBody } from '../../openai/request/body-fields.ts';
import type { ParsedRequest } from '../../openai/request/parsed-request.ts';
import type { Attempt } from '../../routing/attempt.ts';
import { type AttemptPolicy, noteMissingEndpoint } from '../../routing/attempt-call.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import { readModelRequest } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { sendJson } from '../response/json.ts';
import { SseWriter } from '../response/sse-writer.ts';
import { type ChatExchange, type ChatRouteSettings, serveChatAttempt } from './chat.ts';
import {
  type PassedRequest,
  type PassThroughSettings,
  passAttempt,
  refusablePart,
  refuseDenied,
  unknownToAll,
} from './pass-through.ts';
import { expectedResponse } from './passed-response.ts';

/**
 * Serves `POST /v1/messages`. Upstreams that have Anthropic's API get the request as it is; those that only chat
 * (`profile.messages`) are sent a chat, whose response is sent as a message. Upstreams of either kind take over from the
 * other.
 */
export async function serveMessages(
  context: RequestContext,
  client: ClientIdentity,
  settings: ChatRouteSettings,
  passSettings: PassThroughSettings,
): Promise<void> {
  const { router, policy } = settings;
  refuseDenied(context, passSettings);
  const { request, routed, admitted } = await routedMessages(context, client, settings);
  const { candidates, asChat } = capableOf(request, admitted);
  const failover = router.begin(routed, candidates);
  const writer = request.stream
    ? new SseWriter(context, { ...settings, keepAliveChunkMs: 0, keepAliveEvent: PING })
    : null;
  const exchange: MessagesExchange = { context, request, writer, policy, chat: null, passed: null };
  if (asChat !== null) exchange.chat = chatExchange(exchange, asChat);
  // What is passed through has a status and headers of its own, so that none can be sent before it.
  if (candidates.every(isViaChat)) writer?.openAfter(settings.earlyHeadersMs);
  try {
    for (;;) {
      const attempt = await failover.next();
      try {
        await serveAttempt(exchange, attempt);
        break;
      } catch (error) {
        const { passed } = exchange;
        await failover.failed(attempt, error, attempt.sent ?? (passed && refusablePart(passed)));
      }
    }
  } catch (error) {
    throw unknownToNative(error, context, candidates);
  } finally {
    writer?.dispose();
  }
  context.outcome.isKnownModel = router.served(routed);
}

/** Reads the request and finds the upstreams that may serve it. */
async function routedMessages(context: RequestContext, client: ClientIdentity, settings: ChatRouteSettings) {
  const request = await readModelRequest(context, 'chat', settings);
  context.outcome.isStream = request.stream;
  const routed = context.routed(request.model, client);
  return { request, routed, admitted: settings.router.candidates(routed) };
}

/** Names the upstreams that do not have the path /messages, as on other paths. */
function unknownToNative(
  error: unknown,
  context: RequestContext,
  candidates: readonly RoutedUpstream[],
): unknown {
  const viaChat = new Set(candidates.filter(isViaChat).map(({ name }) => name));
  const last = context.outcome.log.attempts.findLast(({ outcome }) => outcome === 'path_not_found');
  // The error is that of the last one; an upstream that was sent a chat lacks another path than the client's.
  if (viaChat.has(last?.upstream ?? '')) return error;
  return unknownToAll(error, context, (upstream) => !viaChat.has(upstream));
}

/** A Messages request on its way: what all its attempts have in common. */
interface MessagesExchange {
  readonly context: RequestContext;
  readonly request: ParsedRequest;
  /** Null: the client requested a whole response. */
  readonly writer: SseWriter | null;
  readonly policy: AttemptPolicy;
  /** The request for upstreams that only chat; null until one needs it. */
  chat: ChatExchange | null;
  /** The request for the others; null until one needs it. */
  passed: PassedRequest | null;
}

/** One attempt in the form that its upstream has. One that turns out to have no such API gets the chat at once. */
async function serveAttempt(exchange: MessagesExchange, attempt: Attempt): Promise<void> {
  const { context, request, policy } = exchange;
  const { upstream } = attempt;
  if (!isViaChat(upstream)) {
    exchange.passed ??= passedRequest(context, request, policy);
    try {
      await passAttempt(exchange.passed, attempt);
      return;
    } catch (error) {
      if (!isMissing(error, attempt, context.path)) throw error;
    }
  }
  exchange.chat ??= chatExchange(exchange, messagesAsChat(request));
  await serveChatAttempt(exchange.chat, attempt);
}

/** Serves `POST /v1/messages/count_tokens`: by an upstream that has it, else by an estimate that says that it is one. */
export async function countMessageTokens(
  context: RequestContext,
  client: ClientIdentity,
  settings: ChatRouteSettings,
  passSettings: PassThroughSettings,
): Promise<void> {
  const { router, policy } = settings;
  refuseDenied(context, passSettings);
  const { request, routed, admitted } = await routedMessages(context, client, settings);
  const candidates = admitted.filter(
    (candidate) => !isViaChat(candidate) && !candidate.missingEndpoints.has(context.path),
  );
  context.outcome.isKnownModel = router.served(routed);
  // The first of them will generate, so that the count of another model is of no use.
  if (candidates[0] !== admitted[0]) return sendEstimate(context, request);
  const failover = router.begin(routed, candidates);
  const passed = passedRequest(context, request, policy);
  try {
    for (;;) {
      const attempt = await failover.next();
      try {
        await passAttempt(passed, attempt);
        return;
      } catch (error) {
        if (isMissing(error, attempt, context.path)) {
          attempt.finish(null);
          return await sendEstimate(context, request);
        }
        await failover.failed(attempt, error, refusablePart(passed));
      }
    }
  } catch (error) {
    throw unknownToAll(error, context);
  }
}

async function sendEstimate(context: RequestContext, request: ParsedRequest): Promise<void> {
  const { chat } = messagesAsChat(request);
  const tokens = await estimatePromptTokens(chat.json);
  const headers = ['request-id', context.id, 'x-tokenferry-estimated', 'input_tokens'];
  sendJson(context, 200, JSON.stringify({ input_tokens: tokens }), headers);
}

function chatExchange(
  { context, writer, policy }: MessagesExchange,
  { chat, expectations, ignored }: MessagesAsChat,
): ChatExchange {
  const { id } = context;
  return {
    context,
    request: chat,
    format: messagesForm({ ...expectations, requestId: id, maxLength: policy.maxResponseBytes }),
    writer,
    // Anthropic's SDKs show it in their errors and responses.
    headers: ['request-id', id],
    ignored,
    policy,
  };
}

const PATH = '/v1/messages';

/** Whether a Messages request is sent to this upstream as a chat. */
function isViaChat({ profile, missingEndpoints }: RoutedUpstream): boolean {
  return profile.messages === 'via_chat' || (profile.messages === 'auto' && missingEndpoints.has(PATH));
}

/** Whether an upstream with `messages: auto` has answered as one that does not have the path, which is remembered. */
function isMissing(error: unknown, attempt: Attempt, path: string): boolean {
  return attempt.upstream.profile.messages === 'auto' && noteMissingEndpoint(error, attempt, path);
}

function passedRequest(
  context: RequestContext,
  request: ParsedRequest,
  policy: AttemptPolicy,
): PassedRequest {
  const body = withoutOwnThinking(request.body);
  const fields = readJsonBody(body);
  const expected = expectedResponse(context.method, context.path, { body, fields });
  return { context, body, fields, isJson: true, expected, policy };
}

/**
 * The candidates that can serve the request, and the chat for those that only chat. What a chat cannot do goes to the
 * others only; when there are none, throws the reason.
 */
function capableOf(
  request: ParsedRequest,
  candidates: readonly RoutedUpstream[],
): { readonly candidates: readonly RoutedUpstream[]; readonly asChat: MessagesAsChat | null } {
  const native = candidates.filter((candidate) => !isViaChat(candidate));
  if (native.length === candidates.length) return { candidates, asChat: null };
  try {
    return { candidates, asChat: messagesAsChat(request) };
  } catch (error) {
    if (native.length === 0) throw error;
    return { candidates: native, asChat: null };
  }
}
