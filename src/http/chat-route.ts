import { type ReadRequest, type RequestKind, readRequest } from '../canonical/chat-request.ts';
import { type ChatAnswer, ChatService } from '../routing/chat-service.ts';
import type { ClientIdentity } from '../routing/client-identity.ts';
import type { OpenStream } from '../routing/open-stream.ts';
import type { Router } from '../routing/router.ts';
import type { ServingSettings } from '../routing/serving.ts';
import { answerJson } from './answer.ts';
import type { BodyReader } from './body-reader.ts';
import type { RequestContext } from './request-context.ts';
import { droppedHeaders, SseWriter } from './sse-writer.ts';

export interface ChatRouteSettings {
  readonly router: Router;
  readonly serving: ServingSettings;
  readonly bodies: BodyReader;
  readonly bodyLimitBytes: number;
  /** Stream: after this, headers go out while attempts go on; 0 = never. */
  readonly earlyHeadersMs: number;
  readonly keepAliveMs: number;
  readonly keepAliveChunkMs: number;
}

/** Serves `POST /v1/chat/completions` and `POST /v1/completions`. */
export async function serveChat(
  context: RequestContext,
  client: ClientIdentity,
  kind: RequestKind,
  settings: ChatRouteSettings,
): Promise<void> {
  const request = await readModelRequest(context, kind, settings);
  context.isStream = request.stream;
  const service = new ChatService(request, settings.serving);
  const answering = settings.router.run(context.routed(request.model, client), service);
  const answer = request.stream ? await streamAnswer(context, answering, settings) : await answering;
  context.isKnownModel = settings.router.isKnownModel(request.model);
  if (answer === null || answer.kind === 'stream') return;
  context.tokens = answer.usage;
  context.isUsageEstimated = answer.isUsageEstimated;
  context.firstTokenMs = context.elapsedMs;
  answerJson(context, 200, answer.body, droppedHeaders(answer.dropped));
}

/** Reads a body that names a model, and notes its facts for the record. */
export async function readModelRequest(
  context: RequestContext,
  kind: RequestKind,
  settings: { readonly router: Router; readonly bodies: BodyReader; readonly bodyLimitBytes: number },
): Promise<ReadRequest> {
  const body = await settings.bodies.read(context, settings.bodyLimitBytes);
  context.requestBytes = body.length;
  if (context.keepsContent) context.requestBody = body;
  const request = readRequest(body, kind);
  context.model = request.model;
  context.isKnownModel = settings.router.isKnownModel(request.model);
  return request;
}

/** Relays the stream; gives back the answer when it is none. */
async function streamAnswer(
  context: RequestContext,
  answering: Promise<ChatAnswer>,
  settings: ChatRouteSettings,
): Promise<ChatAnswer | null> {
  const writer = new SseWriter(context, settings);
  const early =
    settings.earlyHeadersMs > 0 ? setTimeout(() => writer.openEarly(), settings.earlyHeadersMs) : null;
  try {
    const answer = await answering;
    if (early !== null) clearTimeout(early);
    if (answer.kind !== 'stream') return answer;
    await relay(context, answer, writer);
    return null;
  } finally {
    if (early !== null) clearTimeout(early);
    writer.dispose();
  }
}

async function relay(context: RequestContext, stream: OpenStream, writer: SseWriter): Promise<void> {
  writer.open(droppedHeaders(stream.dropped));
  context.firstTokenMs = context.elapsedMs;
  await stream.relayTo((text) => writer.write(text));
  context.tokens = stream.usage;
  context.isUsageEstimated = stream.isUsageEstimated;
  if (stream.failure !== null) context.failStream(stream.failure);
  writer.end();
}
