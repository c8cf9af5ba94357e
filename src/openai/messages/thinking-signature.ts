import { parseExactly } from '../../lib/json/exact-numbers.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';

/**
 * Begins the signature of every thinking block that we make of a chat's reasoning. Clients send the block back with it, by
 * which it is told from Anthropic's own, whose signature only Anthropic's models can read.
 */
const PREFIX = 'tokenferry.';

/**
 * The signature of a thinking block. `omitted`: the reasoning that the client does not want to see (`display: omitted`); it
 * comes back with the signature, since some upstreams require the reasoning of their earlier turns.
 */
export function thinkingSignature(omitted: string): string {
  return PREFIX + Buffer.from(omitted).toString('base64url');
}

/** The reasoning of a thinking block in the history; null: another model's. */
export function reasoningOf(thinking: unknown, signature: unknown): string | null {
  if (typeof signature !== 'string' || !signature.startsWith(PREFIX)) return null;
  const omitted = Buffer.from(signature.slice(PREFIX.length), 'base64url').toString('utf8');
  return omitted !== '' ? omitted : typeof thinking === 'string' ? thinking : '';
}

/**
 * The body of a Messages request for an upstream that has the API: without the thinking blocks that we made, whose
 * signature it would refuse. `body` itself when it has none.
 */
export function withoutOwnThinking(body: Buffer): Buffer {
  if (!body.includes(`"${PREFIX}`)) return body;
  const json = parseExactly(body.toString('utf8'));
  if (!isJsonObject(json) || !Array.isArray(json.messages)) return body;
  const messages = json.messages.map((message: unknown) => {
    if (!isJsonObject(message) || !Array.isArray(message.content)) return message;
    return { ...message, content: message.content.filter((block) => !isOwnThinking(block)) };
  });
  return Buffer.from(JSON.stringify({ ...json, messages }));
}

function isOwnThinking(block: unknown): boolean {
  if (!isJsonObject(block) || block.type !== 'thinking') return false;
  return reasoningOf(block.thinking, block.signature) !== null;
}
