import { hash } from 'node:crypto';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { parseExactly } from '../../lib/json/exact-numbers.ts';
import { isJsonObject, type JsonObject, numberFrom } from '../../lib/json/json-object.ts';
import { UNSUPPORTED_THREAD } from '../errors/anthropic-error.ts';
import type { ParsedRequest } from '../request/parsed-request.ts';
import { translatedChat } from '../request/translated-chat.ts';
import { conversationOf } from './messages-conversation.ts';
import { chatToolsOf } from './messages-tools.ts';
import { ToolNames } from './tool-names.ts';

/** What the response of a Messages request depends on. */
export interface MessageExpectations {
  readonly names: ToolNames;
  readonly stopSequences: readonly string[];
  /** False: `thinking.display` is `omitted`. */
  readonly showsThinking: boolean;
}

/** A Messages request as a chat. */
export interface MessagesAsChat {
  readonly chat: ParsedRequest;
  readonly expectations: MessageExpectations;
  /** What the client sent and a chat cannot do (`x-tokenferry-dropped`). */
  readonly ignored: readonly string[];
}

/** Parameters that only Anthropic's service can do; clients see in a header that they were left out. */
const IGNORED = [
  'compaction',
  'container',
  'context_management',
  'fallbacks',
  'inference_geo',
  'mcp_servers',
  'speed',
];

/** The parameters of the Messages API: translated, or without a meaning in a chat. All others are the upstream's own and are passed on. */
const KNOWN: ReadonlySet<string> = new Set([
  ...IGNORED,
  'model',
  'messages',
  'system',
  'max_tokens',
  'stream',
  'tools',
  'tool_choice',
  'stop_sequences',
  'metadata',
  'thinking',
  'output_config',
  'output_format',
  'betas',
  'billing_policy',
  'cache_control',
  'diagnostics',
  'fallback_credit_token',
  'service_tier',
  'thread',
  'user_profile_id',
  'workspace_id',
  // A chat's: several choices cannot be one message.
  'n',
  'stream_options',
]);

/**
 * A Messages request → the chat that asks the same, for upstreams that only chat. `read` is its body as
 * `parseRequest` gives it. Throws FerryError `invalid_request` with the place of what a chat cannot do.
 */
export function messagesAsChat(read: ParsedRequest): MessagesAsChat {
  const json = parseExactly(read.text) as JsonObject;
  refuseThread(json.thread);
  const names = new ToolNames();
  const conversation = conversationOf(json.system, json.messages, names);
  const tools = chatToolsOf(json, conversation, names);
  const { stream } = read;
  const chat: JsonObject = {
    model: read.model,
    messages: conversation.messages,
    ...(stream && { stream, stream_options: { include_usage: true } }),
    ...tools.members,
    ...limitsOf(json),
    ...formatOf(json),
    ...userOf(json.metadata),
    ...ownMembers(json),
  };
  const { thinking, stop_sequences: stops } = json;
  return {
    chat: translatedChat(chat, read),
    expectations: {
      names,
      stopSequences: Array.isArray(stops) ? stops.filter((stop) => typeof stop === 'string') : [],
      showsThinking: !isJsonObject(thinking) || thinking.display !== 'omitted',
    },
    ignored: [...IGNORED.filter((name) => !isNothing(json[name])), ...tools.dropped, ...conversation.dropped],
  };
}

/**
 * The messages of a thread that goes on are only the new ones. Anthropic's SDKs (Node 1.15, Python 2.15) begin one for each run
 * of tools, and send the whole conversation instead when this error has its code.
 */
function refuseThread(thread: unknown): void {
  if (thread === undefined || thread === null) return;
  throw new FerryError('invalid_request', {
    message:
      'The request has a "thread", which is not possible with this model: no conversation is stored. Send all messages, and no thread.',
    param: 'thread',
    code: UNSUPPORTED_THREAD,
  });
}

function isNothing(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === 'standard' ||
    (Array.isArray(value) && value.length === 0)
  );
}

function limitsOf(json: JsonObject): JsonObject {
  const { max_tokens: most, stop_sequences: stops } = json;
  const effort = effortOf(json);
  return {
    // The older of the two names: an upstream without it refuses it and gets the other; upstreams without the newer one
    // often ignore it.
    ...(most !== undefined && most !== null && { max_tokens: most }),
    ...(Array.isArray(stops) && stops.length > 0 && { stop: stops }),
    ...(effort !== null && { reasoning_effort: effort }),
  };
}

type Effort = 'low' | 'medium' | 'high';

/** Anthropic's efforts; beyond `high` a chat has none that most upstreams accept. */
const EFFORTS: ReadonlyMap<unknown, Effort> = new Map([
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'high'],
  ['max', 'high'],
]);
/** Budgets of thinking up to which the effort is `low`, and `medium`. Tokens. */
const LOW_BUDGET = 2_048;
const MEDIUM_BUDGET = 8_192;

/** Null: the upstream's default. An upstream that refuses the parameter is sent none for an hour. */
function effortOf({ thinking, output_config: output }: JsonObject): Effort | null {
  const { type, budget_tokens: tokens } = isJsonObject(thinking) ? thinking : {};
  if (type === 'disabled') return null;
  const asked = isJsonObject(output) ? EFFORTS.get(output.effort) : undefined;
  if (asked !== undefined) return asked;
  const budget = type === 'enabled' ? numberFrom(tokens) : null;
  if (budget === null) return null;
  if (budget <= LOW_BUDGET) return 'low';
  return budget <= MEDIUM_BUDGET ? 'medium' : 'high';
}

/** `output_format` is the name that it had in its beta. */
function formatOf({ output_config: output, output_format: older }: JsonObject): JsonObject {
  const format = (isJsonObject(output) ? output.format : null) ?? older;
  if (!isJsonObject(format) || format.type !== 'json_schema') return {};
  return {
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'response', schema: format.schema, strict: true },
    },
  };
}

/** OpenAI's limit of `user`; Claude Code's id is longer. */
const MAX_USER = 64;

function userOf(metadata: unknown): JsonObject {
  const id = isJsonObject(metadata) ? metadata.user_id : undefined;
  if (typeof id !== 'string' || id === '') return {};
  return { user: id.length <= MAX_USER ? id : hash('sha256', id, 'hex') };
}

/** Parameters with the same name in both APIs (temperature, top_p), and those of the upstream (top_k). */
function ownMembers(json: JsonObject): JsonObject {
  const entries = Object.entries(json).filter(([name, value]) => !KNOWN.has(name) && value !== null);
  return Object.fromEntries(entries);
}
