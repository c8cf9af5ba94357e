import { hash } from 'node:crypto';
import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';

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

/** What an upstream knows a call by. */
interface CallIdentity {
  readonly id: string;
  /** Members beside OpenAI's that must come back, such as Gemini's `extra_content` with the signature of its thought. */
  readonly extensions: JsonObject | null;
}

/**
 * The id of a call as clients of Anthropic get it. It carries what their blocks have no place for, since it is all that comes
 * back of them unchanged.
 */
export function toolUseId({ id, extensions }: CallIdentity): string {
  if (extensions === null && VALID_ID.test(id)) return id;
  const carried = extensions === null ? [id] : [id, extensions];
  return ENCODED + Buffer.from(JSON.stringify(carried)).toString('base64url');
}

/** The upstream's own identity of a call in the history. */
export function callIdentityOf(toolUse: string): CallIdentity {
  if (!toolUse.startsWith(ENCODED)) return { id: toolUse, extensions: null };
  const carried = parseJson(Buffer.from(toolUse.slice(ENCODED.length), 'base64url').toString('utf8'));
  const [id, extensions]: unknown[] = Array.isArray(carried) ? carried : [];
  if (typeof id !== 'string') return { id: toolUse, extensions: null };
  return { id, extensions: isJsonObject(extensions) ? extensions : null };
}
