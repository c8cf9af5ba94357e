import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { ParsedRequest } from '../../openai/request/parsed-request.ts';
import type { Recall } from '../../openai/responses/responses-input.ts';
import { type ResponsesAsChat, responsesAsChat } from '../../openai/responses/responses-request.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { Router } from '../../routing/router.ts';
import { isAskedByChat, ResponsesService } from '../../routing/services/responses-service.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { answerWhole, streamAnswer } from '../response/chat-response.ts';
import { relayRaw } from '../response/raw.ts';
import { type ChatRouteSettings, readModelRequest } from './chat.ts';
import { askedIn, type PassThroughSettings, passThrough, refuseDenied } from './pass-through.ts';
import type { ResponseItemStore } from './response-item-store.ts';
import { unknownToAll } from './unsupported-endpoint.ts';

/**
 * Serves `POST /v1/responses`. It is handed through like any other path, but for upstreams that only chat
 * (`profile.responses: via_chat`): they are asked for a chat, which is told as a Response.
 */
export async function serveResponses(
  context: RequestContext,
  client: ClientIdentity,
  settings: ChatRouteSettings,
  handed: PassThroughSettings,
  items: ResponseItemStore,
): Promise<void> {
  const { router, policy } = settings;
  if (!router.upstreams.some(isAskedByChat)) return passThrough(context, client, handed);
  refuseDenied(context, handed);
  const request = await readModelRequest(context, 'chat', settings);
  context.outcome.isStream = request.stream;
  const routed = context.routed(request.model, client);
  const owner = client.name ?? '';
  const recall = (id: string) => items.find(owner, id);
  const { candidates, asChat } = ablest(router.candidates(routed), request, recall);
  const isKept = request.json.store !== false;
  const onItem = isKept ? (item: object) => items.save(owner, item) : undefined;
  const service = new ResponsesService({ body: request.body, asChat, onItem }, policy);
  const answering = router.run(routed, service, candidates).catch((error: unknown) => {
    throw named(error, context, router);
  });
  // What is handed through comes with a status and headers of its own, so nothing can go out before it.
  const isPatient = candidates.every(isAskedByChat);
  const events = { ...settings, keepAliveChunkMs: 0, ...(!isPatient && { earlyHeadersMs: 0 }) };
  const ignored = asChat?.ignored ?? [];
  const answer = request.stream ? await streamAnswer(context, answering, events, ignored) : await answering;
  context.outcome.isKnownModel = router.isKnownModel(request.model);
  if (answer?.kind === 'raw') await relayRaw(context, answer);
  else if (answer?.kind === 'whole') answerWhole(context, answer, ignored);
}

/** That the upstreams which are handed the request do not know its path is told with their names, as on other paths. */
function named(error: unknown, context: RequestContext, router: Router): unknown {
  if (!(error instanceof FerryError) || error.kind !== 'path_not_found') return error;
  const chatting = new Set(router.upstreams.filter(isAskedByChat).map(({ name }) => name));
  const asked = askedIn(context);
  // The last one is the one whose failure is told. One that is asked by chat has its own words about that path.
  if (chatting.has(asked.at(-1) ?? '')) return error;
  return unknownToAll(
    context.path,
    asked.filter((name) => !chatting.has(name)),
    error,
  );
}

/**
 * The candidates that can serve the request, and what those that only chat are asked. What a chat cannot do goes to
 * the others alone; the client hears why it cannot when there are none.
 */
function ablest(
  candidates: readonly RoutedUpstream[],
  request: ParsedRequest,
  recall: Recall,
): { readonly candidates: readonly RoutedUpstream[]; readonly asChat: ResponsesAsChat | null } {
  const native = candidates.filter((candidate) => !isAskedByChat(candidate));
  if (native.length === candidates.length) return { candidates, asChat: null };
  try {
    return { candidates, asChat: responsesAsChat(request, recall) };
  } catch (error) {
    if (native.length === 0) throw error;
    return { candidates: native, asChat: null };
  }
}
