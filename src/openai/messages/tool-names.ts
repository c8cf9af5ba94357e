import { hash } from 'node:crypto';

/** OpenAI's limit of a function's name; Anthropic's is 128, which names of MCP tools use. */
const MAX_NAME = 64;
const DIGEST_LENGTH = 8;

/** The names of a request's tools: what the upstream is sent for them, and back. */
export class ToolNames {
  readonly #originals = new Map<string, string>();

  /** The name at the upstream: the same unless it is longer than a chat allows. */
  sent(name: string): string {
    if (name.length <= MAX_NAME) return name;
    const digest = hash('sha256', name, 'hex').slice(0, DIGEST_LENGTH);
    const short = `${name.slice(0, MAX_NAME - DIGEST_LENGTH - 1)}_${digest}`;
    this.#originals.set(short, name);
    return short;
  }

  /** The client's name of a tool that the model called. */
  original(sent: string): string {
    return this.#originals.get(sent) ?? sent;
  }
}

/** Anthropic's pattern of ids: its own models refuse a history with others, such as Kimi's `functions.read:0`. */
const VALID_ID = /^[\w-]+$/;
const ENCODED = 'toolu_b64_';

/** The id of a call as clients of Anthropic get it. */
export function toolUseId(callId: string): string {
  return VALID_ID.test(callId) ? callId : ENCODED + Buffer.from(callId).toString('base64url');
}

/** The upstream's own id of a call in the history. */
export function callIdOf(toolUse: string): string {
  if (!toolUse.startsWith(ENCODED)) return toolUse;
  return Buffer.from(toolUse.slice(ENCODED.length), 'base64url').toString('utf8');
}
