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
