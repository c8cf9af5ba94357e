import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import { FILLED, refusesBlank, SAYS_EMPTY } from '../embeddings/blank-inputs.ts';
import type { ParsedRequest } from './parsed-request.ts';
import { refusesSystemMessages } from './system-messages.ts';

/**
 * What an upstream may refuse though the request can be written in another way with the same meaning. Learned like
 * refused parameters, under these names; no parameter's name has a colon.
 */
export const REWRITE = {
  /** `stream: false`, to an upstream that only streams: a stream is requested and assembled here. */
  notStreaming: 'stream:false',
  /** `stream: true`, to an upstream that does not stream: the stream is made of its whole response. */
  streaming: 'stream:true',
  /** Content as a list of text parts: sent as one text. */
  parts: 'messages:parts',
  /** Content that is null or absent: sent as "". */
  nullContent: 'messages:null',
  /** Content "" of any role but the user's: sent as null beside tool calls, else as a full stop. */
  emptyContent: 'messages:empty',
  /** The role `developer`: sent as `system`. */
  developer: 'messages:developer',
  /** System messages behind others, or several: sent as one at the beginning. */
  system: 'messages:system',
  /** Messages of the assistant without `reasoning_content`: sent with an empty one. */
  missingReasoning: 'messages:reasoning',
  /** Tool calls without Gemini's `thought_signature`: sent with the one that stands for any. */
  missingSignature: 'messages:thought_signature',
  /** Embeddings of blank texts: a full stop is sent. */
  blankInputs: 'input:blank',
  /** Embeddings as base64, where the upstream refuses it or returns no float32: floats are requested and encoded here. */
  base64: 'encoding_format:base64',
  /** Embeddings of token ids: their decoded text is sent. */
  tokenIds: 'input:token_ids',
} as const;

export type Rewrite = (typeof REWRITE)[keyof typeof REWRITE];

/** A message of a parsed request, as far as its content matters. */
export interface ContentHolder {
  readonly role?: unknown;
  readonly content?: unknown;
  readonly tool_calls?: unknown;
  readonly reasoning_content?: unknown;
}

/**
 * Text parts are joined as vLLM joins them: each is a paragraph of its own (a document, a question), and words of two
 * must not run together.
 */
const SEPARATOR = '\n';

/** Whether a message has what this rewrite replaces. */
export function needsRewrite(message: ContentHolder, rewrite: Rewrite): boolean {
  const { content, role } = message;
  switch (rewrite) {
    case REWRITE.parts:
      return textOfParts(content) !== null;
    case REWRITE.nullContent:
      return content === null || content === undefined;
    case REWRITE.emptyContent:
      // An empty question gets the upstream's own error; an empty response or tool result is history.
      return content === '' && role !== 'user';
    case REWRITE.developer:
      return role === 'developer';
    case REWRITE.missingReasoning:
      return role === 'assistant' && message.reasoning_content === undefined;
    case REWRITE.missingSignature:
      return role === 'assistant' && lacksSignature(message.tool_calls);
    default:
      return false;
  }
}

/** The content of a message after the rewrites that its upstream needs; undefined: unchanged. */
export function rewrittenContent(
  message: ContentHolder,
  rewrites: ReadonlySet<Rewrite>,
): string | null | undefined {
  const applies = (rewrite: Rewrite): boolean => rewrites.has(rewrite) && needsRewrite(message, rewrite);
  if (applies(REWRITE.parts)) return textOfParts(message.content) ?? undefined;
  const takesEmpty = message.role === 'user' || !rewrites.has(REWRITE.emptyContent);
  if (applies(REWRITE.nullContent)) return takesEmpty ? '' : FILLED;
  if (!applies(REWRITE.emptyContent)) return undefined;
  const canBeNull = hasCalls(message) && !rewrites.has(REWRITE.nullContent);
  return canBeNull ? null : FILLED;
}

/** The text of a content that is a list of text parts alone; null for every other content. */
function textOfParts(content: unknown): string | null {
  if (!Array.isArray(content)) return null;
  const texts: string[] = [];
  for (const part of content) {
    const text = typeof part === 'string' ? part : textOfPart(part);
    if (text === null) return null;
    texts.push(text);
  }
  return texts.join(SEPARATOR);
}

/** The text of a part of a message; null for an image and every other part. */
export function textOfPart(part: unknown): string | null {
  return isJsonObject(part) && part.type === 'text' && typeof part.text === 'string' ? part.text : null;
}

function lacksSignature(calls: unknown): boolean {
  const first: unknown = Array.isArray(calls) ? calls[0] : undefined;
  return isJsonObject(first) && first.extra_content === undefined;
}

function hasCalls({ tool_calls: calls }: ContentHolder): boolean {
  return Array.isArray(calls) && calls.length > 0;
}

type RefusedRequest = Pick<ParsedRequest, 'kind' | 'json' | 'stream'>;

/** The statuses of errors about the request. */
const STATUSES: readonly number[] = [400, 422];

/**
 * The rewrite that an upstream's error asks for; null when the error is about something else. A wrong guess costs one
 * call and changes no meaning. `avoided`: rewrites that the refused request already had, and parameters it was sent without.
 */
export function findRewrite(
  error: FerryError,
  request: RefusedRequest,
  avoided: readonly string[] = [],
): Rewrite | null {
  if (error.kind !== 'client_fault') return null;
  if (request.kind === 'embeddings') {
    if (!avoided.includes(REWRITE.base64) && refusesBase64(error, request)) return REWRITE.base64;
    const isBlank = !avoided.includes(REWRITE.blankInputs) && refusesBlank(error, request.json);
    return isBlank ? REWRITE.blankInputs : null;
  }
  if (request.kind === 'rerank' || !STATUSES.includes(error.status)) return null;
  const words = [error.param ?? '', error.message].join(' ');
  const isAsked = request.stream || avoided.includes(REWRITE.notStreaming);
  if (!isAsked && ONLY_STREAMS.test(words) && !NO_STREAM.test(words)) return REWRITE.notStreaming;
  return refusedInMessages(words, request.json.messages, avoided);
}

/** "base64 encoding is not currently supported" (vLLM before 0.5.2, vllm#6174), "encoding_format must be float". */
function refusesBase64(error: FerryError, { json }: RefusedRequest): boolean {
  if (json.encoding_format !== 'base64' || !STATUSES.includes(error.status)) return false;
  const isNamed = error.param === 'encoding_format' || error.message.includes('encoding_format');
  return /base64/i.test(error.message) || (isNamed && /float/i.test(error.message));
}

/**
 * "Stream must be set to true", "This model only support stream mode", "parameter.enable_thinking must be set to false
 * for non-streaming calls", "'stream' does not support false". Not `stream_options`: `_` belongs to a word.
 */
const STREAM = String.raw`\bstream(?:ing|ed)?\b`;
const ONLY_STREAMS = new RegExp(
  [
    String.raw`${STREAM}\W*(?:\w+\W+){0,4}(?:true\b|required|mandatory|only\b)`,
    String.raw`\b(?:only|must|requires?|please|has to|needs? to)\b\W*(?:\w+\W+){0,4}${STREAM}`,
    String.raw`\bnon[- _]?stream`,
    String.raw`${STREAM}\W*(?:\w+\W+){0,4}(?:support|accept|allow)\w*\W+false\b`,
    String.raw`${STREAM}\W*(?:\w+\W+){0,3}\w*(?:not|n't)\W+(?:be\W+)?false\b`,
    '[仅只]支持.{0,6}(?:流式|stream)|非流式|(?:必须|请).{0,6}(?:流式|stream)|stream.{0,6}必须',
  ].join('|'),
  'i',
);

/** "logprobs requires stream to be false" is the opposite. */
const SAYS_FALSE = String.raw`${STREAM}\W*(?:(?:to|must|should|has|have|be|is|set|mode|needs?)\W+)*(?:false\b|disabled)`;
const NO_STREAM = new RegExp(SAYS_FALSE, 'i');
const NO_STREAMS = new RegExp(
  [
    SAYS_FALSE,
    String.raw`${STREAM}\W*(?:\w+\W+)?(?:(?:is|are)\W*(?:not|n't)\W+(?:yet\W+)?(?:support|available|allow|implement)|unsupported\b)`,
    String.raw`(?:not|n't)\W+support\w*\W+${STREAM}`,
    String.raw`${STREAM}\W*(?:\w+\W+){0,2}(?:support|accept|allow)\w*\W+true\b`,
    '不支持(?:流式|stream)|(?:流式|stream).{0,4}不支持',
  ].join('|'),
  'i',
);
/** An error about this request alone must not turn streams off for all others. */
const ONLY_TOGETHER =
  /\b(?:with|when|while|if|together|combin\w*|tools?|functions?|response_format|logprobs|n)\b/i;

const NAMES_CONTENT = /content|内容|concatenate str/i;
const NAMES_MESSAGES = /\bmessages?\b|消息/i;
const WANTS_TEXT =
  /(?:valid|expected|type|be)(?: an?| of type)? str(?:ing)?\b|str(?:ing)? (?:type )?(?:is )?expected|invalid type: (?:sequence|null)|unmarshal (?:array|null)|concatenate str/i;
const SAYS_LIST = /\b(?:list|array|sequence)\b/i;
const SAYS_NULL = /\b(?:null|none|nil|missing|required|undefined)\b|must be (?:present|provided)|缺少/i;
/** "A message must have content": only where the words are about a message. */
const SAYS_MUST_HAVE = /must have/i;
const SAYS_ROLE = /\broles?\b|developer|unknown variant/i;
/** Errors about the order of messages contain roles as well. */
const SAYS_ORDER = /tool_calls?\b|prece+ding|alternat|followed by|(?:first|last) message|beginning/i;
const REFUSES_ROLE =
  /unknown|unexpected|invalid|unsupported|not (?:supported|allowed|valid|recogni[sz]ed)|must be|should be|expected|only|\bnot (?:one of|in|among|part of)\b|allowed values|\benum|取值|必须|不支持/i;

/** "Streaming is not supported", "This model does not support streaming", "'stream' does not support true". */
export function refusesStreaming(error: FerryError, request: RefusedRequest): boolean {
  if (error.kind !== 'client_fault' || !STATUSES.includes(error.status)) return false;
  if (!request.stream || (request.kind !== 'chat' && request.kind !== 'completions')) return false;
  return NO_STREAMS.test(error.message) && !ONLY_TOGETHER.test(error.message);
}

/** A rewrite counts only where a message needs it. */
function refusedInMessages(words: string, messages: unknown, avoided: readonly string[]): Rewrite | null {
  if (!Array.isArray(messages)) return null;
  const occurs = (rewrite: Rewrite): boolean =>
    messages.some(
      (message) =>
        typeof message === 'object' && message !== null && needsRewrite(message as ContentHolder, rewrite),
    );
  const has = (rewrite: Rewrite): boolean => !avoided.includes(rewrite) && occurs(rewrite);
  if (!avoided.includes(REWRITE.system) && refusesSystemMessages(words, messages)) return REWRITE.system;
  if (SAYS_NO_REASONING.test(words) && has(REWRITE.missingReasoning)) return REWRITE.missingReasoning;
  if (SAYS_NO_SIGNATURE.test(words) && has(REWRITE.missingSignature)) return REWRITE.missingSignature;
  if (refusesRole(words) && has(REWRITE.developer)) return REWRITE.developer;
  const wantsText = WANTS_TEXT.test(words);
  const saysEmpty = SAYS_EMPTY.test(words) || SAYS_MUST_HAVE.test(words);
  const isAboutContent =
    NAMES_CONTENT.test(words) || (NAMES_MESSAGES.test(words) && (wantsText || saysEmpty));
  if (!isAboutContent || /expected an? (?:array|list)/i.test(words)) return null;
  const saysNull = SAYS_NULL.test(words);
  if (saysNull && !SAYS_LIST.test(words) && has(REWRITE.nullContent)) return REWRITE.nullContent;
  if ((wantsText || SAYS_LIST.test(words)) && has(REWRITE.parts)) return REWRITE.parts;
  if ((wantsText || saysNull || saysEmpty) && has(REWRITE.nullContent)) return REWRITE.nullContent;
  // null was sent as "".
  const isEmptied = avoided.includes(REWRITE.nullContent) && occurs(REWRITE.nullContent);
  const isEmpty = has(REWRITE.emptyContent) || (isEmptied && !avoided.includes(REWRITE.emptyContent));
  return saysEmpty && isEmpty ? REWRITE.emptyContent : null;
}

const LACKS = `(?:missing|lack|absent|required|must (?:be )?(?:includ|contain|pass|provid|present|sent|set)|need|缺少|缺失|必须|需要|fehl|erforderlich)`;
/**
 * DeepSeek V3.2 (2025-12): "Missing `reasoning_content` field in the assistant message at message index 1"; Moonshot:
 * "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2".
 */
const SAYS_NO_REASONING = new RegExp(
  `${LACKS}.{0,80}reasoning_content|reasoning_content.{0,80}${LACKS}`,
  'is',
);
/** Gemini 3 (2025-11): "Function call `f` in the 2. content block is missing a `thought_signature`". */
const SAYS_NO_SIGNATURE = new RegExp(
  `${LACKS}.{0,40}thought[_ ]?signature|thought[_ ]?signature.{0,40}${LACKS}`,
  'is',
);

function refusesRole(words: string): boolean {
  if (!SAYS_ROLE.test(words) || !REFUSES_ROLE.test(words)) return false;
  return /developer/i.test(words) || !(NAMES_CONTENT.test(words) || SAYS_ORDER.test(words));
}
