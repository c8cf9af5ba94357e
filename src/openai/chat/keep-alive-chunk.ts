import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';

/**
 * An event with empty `choices` to follow `events`, the canonical events told last: the sign of life for clients that
 * count only events which they can parse. It carries the same id, created and model. null: none may be sent here,
 * since `events` left the client within its reasoning block, which some clients would close (S43).
 */
export function keepAliveChunkAfter(events: string): string | null {
  const start = `\n${events}`.lastIndexOf('\ndata: {');
  const chunk = start === -1 ? undefined : parseJson(events.slice(start + 'data: '.length).trimEnd());
  if (!isJsonObject(chunk) || !Array.isArray(chunk.choices)) return null;
  const isReasoning = chunk.choices.some(
    (choice) =>
      isJsonObject(choice) && isJsonObject(choice.delta) && choice.delta.reasoning_content !== undefined,
  );
  if (isReasoning) return null;
  const { id, object, created, model } = chunk;
  return `data: ${JSON.stringify({ id, object, created, model, choices: [] })}\n\n`;
}
