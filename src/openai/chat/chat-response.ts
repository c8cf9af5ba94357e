import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import { readUsage, usageToWire } from '../usage/usage.ts';
import { ResponseIdentity } from './assembly/response-identity.ts';
import { type ChatResponse, type ChatResponseOptions, choiceCountOf } from './response-format.ts';
import { ResponseStages } from './response-stages.ts';
import { withAbsentNulls } from './shapes/absent-nulls.ts';
import { isCanonicalResponse } from './writing/canonical-response.ts';
import { ResponseCollector } from './writing/response-collector.ts';

/**
 * The whole body of a `stream: false` call → the canonical JSON (S27 to S35). Throws `FerryError` when
 * it carries an error, is empty, HTML, cut or no answer at all. A canonical body is relayed as its own bytes.
 */
export function parseChatResponse(body: Buffer, options: ChatResponseOptions): ChatResponse {
  return relayed(body, options) ?? rewritten(body, options);
}

function relayed(body: Buffer, options: ChatResponseOptions): ChatResponse | null {
  // One line, no byte order mark, nothing before it; Go's servers put a line end after it.
  const line = withoutTrailingSpace(body);
  if (line[0] !== 0x7b || line[line.length - 1] !== 0x7d || line.includes(0x0a)) return null;
  if (/charset\s*=\s*"?(?!utf-?8)\w/i.test(options.contentType ?? '')) return null;
  const text = line.toString('utf8');
  const reply = parseJson(text);
  const rules = {
    endpoint: options.endpoint,
    model: options.replyModel === 'requested' ? options.requestedModel : null,
    usesLegacyFunctions: options.legacyFunctions,
    splitsThinkTags: options.profile.thinkTags === 'split',
    choiceCount: choiceCountOf(options),
  };
  if (!isJsonObject(reply)) return null;
  const filled = withAbsentNulls(reply, text, options.endpoint);
  if (!isCanonicalResponse(reply, rules)) return null;
  return {
    body: filled === text ? line : filled,
    usage: readUsage(reply.usage),
    isUsageEstimated: false,
    upstreamModel: reply.model as string,
    isRelayed: filled === text,
  };
}

/** The body passes the stages of a stream, so that whatever streams can contain is understood here as well. */
function rewritten(body: Buffer, options: ChatResponseOptions): ChatResponse {
  const collector = new ResponseCollector();
  const identity = new ResponseIdentity(options);
  const stages = new ResponseStages(options, {
    sink: collector,
    identity,
    estimate: 'exactly',
    choiceCount: choiceCountOf(options),
    maxEventLength: Number.POSITIVE_INFINITY,
    onComplete: () => {
      stages.assembler.close(() => {});
      stages.meter.close();
    },
  });
  const { reader, meter } = stages;
  reader.push(body);
  reader.end();
  if (reader.failure !== null) throw reader.failure;
  const usage = meter.usage === null ? null : usageToWire(meter.usage);
  const reply =
    options.endpoint === 'chat'
      ? collector.chatReply(identity.fixed, usage, options.legacyFunctions)
      : collector.textReply(identity.fixed, usage);
  return {
    body: JSON.stringify(reply),
    usage: meter.usage,
    isUsageEstimated: meter.isEstimated,
    upstreamModel: identity.upstreamModel,
    isRelayed: false,
  };
}

function withoutTrailingSpace(body: Buffer): Buffer {
  let end = body.length;
  while (end > 0 && (body[end - 1] as number) <= 0x20) end--;
  return end === body.length ? body : body.subarray(0, end);
}
