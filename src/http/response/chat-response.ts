import type { WholeAnswer } from '../../routing/services/chat-service.ts';
import type { OpenStream } from '../../routing/services/open-stream.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { droppedHeaders, sendJson } from './json.ts';
import { type SseSettings, SseWriter } from './sse-writer.ts';

export interface StreamSettings extends SseSettings {
  /** After this, headers go out while attempts go on; 0 = never. */
  readonly earlyHeadersMs: number;
}

/**
 * Relays the stream that `answering` brings, with headers and comments before it when it takes long; gives back an
 * answer that is none. `dropped` are parameters that were left out whatever upstream answers.
 */
export async function streamAnswer<Other extends { readonly kind: string }>(
  context: RequestContext,
  answering: Promise<OpenStream | Other>,
  settings: StreamSettings,
  dropped: readonly string[] = [],
): Promise<Other | null> {
  const writer = new SseWriter(context, settings);
  writer.openAfter(settings.earlyHeadersMs);
  try {
    const answer = await answering;
    if (!isStream(answer)) return answer;
    writer.open(droppedHeaders([...dropped, ...answer.dropped]));
    await relay(context, answer, writer);
    return null;
  } finally {
    writer.dispose();
  }
}

function isStream(answer: { readonly kind: string }): answer is OpenStream {
  return answer.kind === 'stream';
}

async function relay(context: RequestContext, stream: OpenStream, writer: SseWriter): Promise<void> {
  context.outcome.firstTokenMs = context.elapsedMs;
  await stream.relayTo((text) => writer.write(text));
  context.outcome.tokens = stream.usage;
  context.outcome.isUsageEstimated = stream.isUsageEstimated;
  if (stream.failure !== null) context.outcome.failStream(stream.failure);
  writer.end();
}

/** Answers with a whole body; `dropped` as for streams. */
export function answerWhole(
  context: RequestContext,
  answer: WholeAnswer,
  dropped: readonly string[] = [],
): void {
  context.outcome.tokens = answer.usage;
  context.outcome.isUsageEstimated = answer.isUsageEstimated;
  context.outcome.firstTokenMs = context.elapsedMs;
  sendJson(context, 200, answer.body, droppedHeaders([...dropped, ...answer.dropped]));
}
