import { readJsonBody } from '../../openai/request/body-fields.ts';
import type { ParsedRequest } from '../../openai/request/parsed-request.ts';
import type { Recall } from '../../openai/responses/responses-input.ts';
import { type ResponsesAsChat, responsesAsChat } from '../../openai/responses/responses-request.ts';
import { responsesForm } from '../../openai/responses/responses-response.ts';
import type { AttemptPolicy } from '../../routing/attempt-call.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { Router } from '../../routing/router.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import { readModelRequest } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { SseWriter } from '../response/sse-writer.ts';
import { type ChatExchange, type ChatRouteSettings, serveChatAttempt } from './chat.ts';
import {
  type PassedRequest,
  type PassThroughSettings,
  passAttempt,
  passThrough,
  refusablePart,
  refuseDenied,
  unknownToAll,
} from './pass-through.ts';
import { expectedResponse } from './passed-response.ts';
import type { ResponseItemStore } from './response-item-store.ts';

/**
 * Serves `POST /v1/responses`. It is passed through like any other path, but for upstreams that only chat
 * (`profile.responses: via_chat`): they are sent a chat, whose response is sent as a Response. Upstreams of either kind take
 * over from the other.
 */
export async function serveResponses(
  context: RequestContext,
  client: ClientIdentity,
  settings: ChatRouteSettings,
  passSettings: PassThroughSettings,
  items: ResponseItemStore,
): Promise<void> {
  const { router, policy } = settings;
  if (!router.upstreams.some(isViaChat)) return passThrough(context, client, passSettings);
  refuseDenied(context, passSettings);
  const request = await readModelRequest(context, 'chat', settings);
  context.outcome.isStream = request.stream;
  const routed = context.routed(request.model, client);
  const owner = client.name ?? '';
  const { candidates, asChat } = capableOf(request, router.candidates(routed), (id) => items.find(owner, id));
  const failover = router.begin(routed, candidates);
  const writer = request.stream ? new SseWriter(context, { ...settings, keepAliveChunkMs: 0 }) : null;
  const onItem = request.json.store === false ? undefined : (item: object) => items.save(owner, item);
  const chat: ChatExchange | null = asChat && {
    context,
    request: asChat.chat,
    format: responsesForm({ echo: asChat.echo, onItem, maxLength: policy.maxResponseBytes }),
    writer,
    headers: [],
    ignored: asChat.ignored,
    policy,
  };
  // What is passed through has a status and headers of its own, so that none can be sent before it.
  if (candidates.every(isViaChat)) writer?.openAfter(settings.earlyHeadersMs);
  let passed: PassedRequest | null = null;
  try {
    for (;;) {
      const attempt = await failover.next();
      const exchange = isViaChat(attempt.upstream) ? chat : null;
      try {
        if (exchange !== null) await serveChatAttempt(exchange, attempt);
        else {
          passed ??= passedRequest(context, request, policy);
          await passAttempt(passed, attempt);
        }
        break;
      } catch (error) {
        await failover.failed(attempt, error, exchange?.request ?? (passed && refusablePart(passed)));
      }
    }
  } catch (error) {
    throw unknownToNative(error, context, router);
  } finally {
    writer?.dispose();
  }
  context.outcome.isKnownModel = router.served(routed);
}

/** Whether a Responses request is sent to this upstream as a chat. */
function isViaChat(upstream: RoutedUpstream): boolean {
  return upstream.profile.responses === 'via_chat';
}

function passedRequest(
  context: RequestContext,
  { body }: ParsedRequest,
  policy: AttemptPolicy,
): PassedRequest {
  const fields = readJsonBody(body);
  const expected = expectedResponse(context.method, context.path, { body, fields });
  return { context, body, fields, isJson: true, expected, policy };
}

/** Names the upstreams that do not have the path /responses, as on other paths. */
function unknownToNative(error: unknown, context: RequestContext, router: Router): unknown {
  const viaChat = new Set(router.upstreams.filter(isViaChat).map(({ name }) => name));
  const last = context.outcome.log.attempts.findLast(({ outcome }) => outcome === 'path_not_found');
  // The error is that of the last one; an upstream that was sent a chat lacks another path than the client's.
  if (viaChat.has(last?.upstream ?? '')) return error;
  return unknownToAll(error, context, (upstream) => !viaChat.has(upstream));
}

/**
 * The candidates that can serve the request, and the chat for those that only chat. What a chat cannot do goes to the
 * others only; when there are none, throws the reason.
 */
function capableOf(
  request: ParsedRequest,
  candidates: readonly RoutedUpstream[],
  recall: Recall,
): { readonly candidates: readonly RoutedUpstream[]; readonly asChat: ResponsesAsChat | null } {
  const native = candidates.filter((candidate) => !isViaChat(candidate));
  if (native.length === candidates.length) return { candidates, asChat: null };
  try {
    return { candidates, asChat: responsesAsChat(request, recall) };
  } catch (error) {
    if (native.length === 0) throw error;
    return { candidates: native, asChat: null };
  }
}
