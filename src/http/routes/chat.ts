import { parseChatResponse } from '../../openai/chat/chat-response.ts';
import { ChatStream } from '../../openai/chat/chat-stream.ts';
import type { ChatStreamOptions, ResponseFormat } from '../../openai/chat/response-format.ts';
import type { ParsedRequest, RequestKind } from '../../openai/request/parsed-request.ts';
import type { AdaptedRequest } from '../../openai/request/request-adaptation.ts';
import type { Attempt } from '../../routing/attempt.ts';
import {
  type AttemptPolicy,
  adaptTo,
  callOf,
  callUpstream,
  noteMember,
  readBody,
  reportRepair,
} from '../../routing/attempt-call.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { Router } from '../../routing/router.ts';
import type { UpstreamCall } from '../../upstream/client.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import { type BodyReader, readModelRequest } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { droppedHeaders, sendJson } from '../response/json.ts';
import { type SseSettings, SseWriter } from '../response/sse-writer.ts';
import { readUntilContent, relayStream } from './stream-relay.ts';

/** What every route that sends a parsed JSON request to upstreams needs of one configuration. */
export interface ModelRouteSettings {
  readonly router: Router;
  readonly policy: AttemptPolicy;
  readonly bodies: BodyReader;
  readonly bodyLimitBytes: number;
}

export interface ChatRouteSettings extends ModelRouteSettings, SseSettings {
  /** After this, headers of a stream are sent while attempts go on; 0 = never. */
  readonly earlyHeadersMs: number;
}

/** A chat request on its way: what all its attempts have in common. */
export interface ChatExchange {
  readonly context: RequestContext;
  readonly request: ParsedRequest;
  readonly format: ResponseFormat;
  /** Null: the client requested a whole response. */
  readonly writer: SseWriter | null;
  /** Flat headers that the response has beside those of every one. */
  readonly headers: readonly string[];
  /** Parameters that are dropped for every upstream. */
  readonly ignored: readonly string[];
  readonly policy: AttemptPolicy;
}

/** An image in a stream is a few megabytes; more than this buffered for one event is an attack. UTF-16 units. */
const MAX_EVENT_LENGTH = 32 * 1024 * 1024;
const NONE: readonly string[] = [];

const CHAT_FORMAT: ResponseFormat = {
  path: undefined,
  openStream: (options) => new ChatStream(options),
  readWhole: parseChatResponse,
};

/** Serves `POST /v1/chat/completions` and `POST /v1/completions`. */
export async function serveChat(
  context: RequestContext,
  client: ClientIdentity,
  kind: RequestKind,
  settings: ChatRouteSettings,
): Promise<void> {
  const { router, policy } = settings;
  const request = await readModelRequest(context, kind, settings);
  context.outcome.isStream = request.stream;
  const routed = context.routed(request.model, client);
  const failover = router.begin(routed);
  const writer = request.stream ? new SseWriter(context, settings) : null;
  const exchange: ChatExchange = {
    context,
    request,
    format: CHAT_FORMAT,
    writer,
    headers: NONE,
    ignored: NONE,
    policy,
  };
  writer?.openAfter(settings.earlyHeadersMs);
  try {
    for (;;) {
      const attempt = await failover.next();
      try {
        await serveChatAttempt(exchange, attempt);
        break;
      } catch (error) {
        await failover.failed(attempt, error, request);
      }
    }
  } finally {
    writer?.dispose();
  }
  context.outcome.isKnownModel = router.served(routed);
}

/**
 * One attempt at a chat: call, then the whole body or the first content, commit, respond. Throws what the attempt failed
 * with; nothing was sent to the client before the commit.
 */
export async function serveChatAttempt(exchange: ChatExchange, attempt: Attempt): Promise<void> {
  const { context, request, format, writer, headers, ignored, policy } = exchange;
  const adapted = adaptTo(attempt, request, {
    usage: policy.wantsUsage,
    stream: attempt.upstream.profile.alwaysStream,
  });
  const response = await callUpstream(attempt, chatCall(exchange, attempt, adapted), policy);
  const options = responseOptions(exchange, attempt, response);
  const leftOut = ignored.length === 0 ? adapted.dropped : [...ignored, ...adapted.dropped];
  const extra = leftOut.length === 0 ? headers : [...headers, ...droppedHeaders(leftOut)];
  if (writer === null) {
    const body = await readBody(attempt, response, policy.maxResponseBytes);
    const parsed = format.readWhole(body, options);
    attempt.commit(response);
    attempt.finish(null);
    context.outcome.tokens = parsed.usage;
    attempt.spent(parsed.usage);
    if (attempt.trace !== null) attempt.trace.response = parsed.facts();
    context.outcome.isUsageEstimated = parsed.isUsageEstimated;
    context.outcome.firstTokenMs = context.elapsedMs;
    sendJson(context, 200, parsed.body, extra);
    return;
  }
  const stream = format.openStream(options);
  // Many clients close at the finish of a chat, whether or not the upstream has ended its stream.
  const endsAtFinish = format === CHAT_FORMAT && !request.includeUsage;
  context.isResponseComplete = () =>
    stream.failure === null && (endsAtFinish ? stream.canEnd : stream.isFinished);
  const head = await readUntilContent(attempt, response, stream);
  attempt.commit(response);
  writer.open(extra);
  context.outcome.firstTokenMs = context.elapsedMs;
  const failure = await relayStream(attempt, response, stream, head, writer);
  context.outcome.tokens = stream.usage;
  attempt.spent(stream.usage);
  if (attempt.trace !== null) attempt.trace.response = stream.facts();
  context.outcome.isUsageEstimated = stream.isUsageEstimated;
  if (failure !== null) context.outcome.failStream(failure);
  writer.end();
}

function chatCall(
  { request, format }: ChatExchange,
  attempt: Attempt,
  adapted: AdaptedRequest,
): UpstreamCall {
  const isWrapped = adapted.endpoint === 'chat' && request.kind === 'completions';
  if (isWrapped) attempt.path = '/v1/chat/completions';
  else if (format.path !== undefined) attempt.path = `/v1${format.path}`;
  // The headers of a whole response come when it is generated.
  const isUrgent = request.stream && adapted.stream && !attempt.isLast;
  const timeLimit = isUrgent ? 'streamTimeoutMs' : 'timeoutMs';
  const call = callOf(attempt, { body: adapted.body, timeLimit });
  // The query of another API (`?beta=true` of Anthropic's) means nothing in a chat.
  return format.path === undefined ? call : { ...call, query: '' };
}

function responseOptions(
  { request, policy }: ChatExchange,
  attempt: Attempt,
  response: UpstreamResponse,
): ChatStreamOptions {
  const { json, kind } = request;
  return {
    endpoint: kind === 'completions' ? 'completions' : 'chat',
    requestedModel: request.model,
    replyModel: policy.replyModel,
    profile: attempt.upstream.profile,
    legacyFunctions: request.usesLegacyFunctions,
    contentType: response.headers.get('content-type'),
    choiceCount: typeof json.n === 'number' ? json.n : 1,
    promptForEstimate: () => promptText(json),
    scrub: policy.scrub,
    newId: policy.newId,
    nowSeconds: policy.nowSeconds,
    onRepair: (repair, member) => {
      reportRepair(attempt, repair, policy);
      if (member !== undefined) noteMember(attempt, member);
    },
    onRefusalMember: attempt.upstream.sendsRefusal ? undefined : () => noteMember(attempt, 'refusal'),
    includeUsage: request.includeUsage,
    estimateUsage: policy.wantsUsage ? 'roughly' : 'no',
    maxEventBytes: MAX_EVENT_LENGTH,
  };
}

/** Images and files, which are no text: their base64 would be counted as hundreds of thousands of tokens. */
const DATA_URI = /"data:[^"]{64,}"/g;

/** What the tokens of a prompt are estimated by. */
function promptText({ messages, prompt, tools }: ParsedRequest['json']): string {
  const text = JSON.stringify(messages ?? prompt ?? '');
  return (tools === undefined ? text : text + JSON.stringify(tools)).replace(DATA_URI, '""');
}
