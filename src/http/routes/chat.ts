import { type ParsedRequest, parseRequest, type RequestKind } from '../../openai/request/parsed-request.ts';
import { refuseLongModelName } from '../../routing/candidates.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { Router } from '../../routing/router.ts';
import type { AttemptPolicy } from '../../routing/services/attempt-policy.ts';
import { ChatService } from '../../routing/services/chat-service.ts';
import type { BodyReader } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { answerWhole, type StreamSettings, streamAnswer } from '../response/chat-response.ts';

export interface ChatRouteSettings extends StreamSettings {
  readonly router: Router;
  readonly policy: AttemptPolicy;
  readonly bodies: BodyReader;
  readonly bodyLimitBytes: number;
}

/** Serves `POST /v1/chat/completions` and `POST /v1/completions`. */
export async function serveChat(
  context: RequestContext,
  client: ClientIdentity,
  kind: RequestKind,
  settings: ChatRouteSettings,
): Promise<void> {
  const request = await readModelRequest(context, kind, settings);
  context.outcome.isStream = request.stream;
  const service = new ChatService(request, settings.policy);
  const answering = settings.router.run(context.routed(request.model, client), service);
  const answer = request.stream ? await streamAnswer(context, answering, settings) : await answering;
  context.outcome.isKnownModel = settings.router.isKnownModel(request.model);
  if (answer !== null && answer.kind === 'whole') answerWhole(context, answer);
}

/** Reads a body that names a model, and notes its facts for the record. */
export async function readModelRequest(
  context: RequestContext,
  kind: RequestKind,
  settings: { readonly router: Router; readonly bodies: BodyReader; readonly bodyLimitBytes: number },
): Promise<ParsedRequest> {
  const body = await settings.bodies.read(context, settings.bodyLimitBytes);
  context.receivedBody(body);
  const request = parseRequest(body, kind);
  context.outcome.model = request.model;
  refuseLongModelName(request.model);
  context.outcome.isKnownModel = settings.router.isKnownModel(request.model);
  return request;
}
