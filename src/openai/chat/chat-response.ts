import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';
import { factsOfResponse } from '../response-facts.ts';
import { readUsage } from '../usage/usage.ts';
import { ResponseIdentity } from './assembly/response-identity.ts';
import { ChatStream } from './chat-stream.ts';
import type { ChatResponse, ChatResponseOptions } from './response-format.ts';
import { isCanonicalResponse, withAbsentNulls } from './writing/canonical-response.ts';
import { ResponseCollector } from './writing/response-collector.ts';

/**
 * The whole body of a `stream: false` call → the canonical JSON (S27 to S35). Throws `FerryError` when it carries an error,
 * is empty, HTML, cut or no response at all. A canonical body is relayed as its own bytes; all else passes the stations of
 * a stream, so that everything that streams can contain is handled here as well.
 */
export function parseChatResponse(body: Buffer, options: ChatResponseOptions): ChatResponse {
  const relayed = relay(body, options);
  if (relayed !== null) return relayed;
  const identity = new ResponseIdentity(options);
  const { endpoint, legacyFunctions } = options;
  const writer = new ResponseCollector({ endpoint, identity, legacyFunctions });
  const stream = new ChatStream(
    { ...options, includeUsage: true, maxEventBytes: Number.POSITIVE_INFINITY },
    { identity, writer, isWhole: true },
  );
  stream.push(body);
  stream.end();
  if (stream.failure !== null) throw stream.failure;
  return {
    body: JSON.stringify(writer.response),
    usage: stream.usage,
    isUsageEstimated: stream.isUsageEstimated,
    upstreamModel: identity.upstreamModel,
    isRelayed: false,
    facts: () => stream.facts(),
  };
}

/** null: the body is not canonical. */
function relay(body: Buffer, options: ChatResponseOptions): ChatResponse | null {
  // One line, no byte order mark, nothing before it; Go's servers put a line end after it.
  const line = withoutTrailingSpace(body);
  if (line[0] !== 0x7b || line[line.length - 1] !== 0x7d || line.includes(0x0a)) return null;
  if (/charset\s*=\s*"?(?!utf-?8)\w/i.test(options.contentType ?? '')) return null;
  const text = line.toString('utf8');
  const response = parseJson(text);
  if (!isJsonObject(response)) return null;
  const hasRefusal = options.onRefusalMember !== undefined && hasRefusalMember(response);
  const filled = withAbsentNulls(response, text, options.endpoint);
  const isCanonical = isCanonicalResponse(response, {
    endpoint: options.endpoint,
    model: options.replyModel === 'requested' ? options.requestedModel : null,
    legacyFunctions: options.legacyFunctions,
    splitsThinkTags: options.profile.thinkTags === 'split',
    choiceCount: options.endpoint === 'chat' ? options.choiceCount : undefined,
  });
  if (!isCanonical) return null;
  if (hasRefusal) options.onRefusalMember?.();
  const isRelayed = filled === text;
  if (!isRelayed) options.onRepair?.('nulls_filled');
  return {
    body: isRelayed ? line : filled,
    usage: readUsage(response.usage),
    isUsageEstimated: false,
    upstreamModel: response.model as string,
    isRelayed,
    facts: () => factsOfResponse(response),
  };
}

function hasRefusalMember({ choices }: JsonObject): boolean {
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  return isJsonObject(first) && isJsonObject(first.message) && first.message.refusal !== undefined;
}

function withoutTrailingSpace(body: Buffer): Buffer {
  let end = body.length;
  while (end > 0 && (body[end - 1] as number) <= 0x20) end--;
  return end === body.length ? body : body.subarray(0, end);
}
