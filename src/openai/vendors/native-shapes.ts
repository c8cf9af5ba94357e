import { isJsonObject, type JsonObject, textFrom } from '../../lib/json/json-object.ts';
import type { Repair } from './repairs.ts';

interface NativeShape {
  readonly vendor: string;
  /** Row of docs/compatibility.md. */
  readonly seenAt: string;
  readonly repair: Repair;
  /** The object in OpenAI's shape; null when it is not of this vendor. */
  readonly read: (object: JsonObject) => JsonObject | null;
}

/** Formats of other APIs that gateways send on an OpenAI path, recognised by their own members. */
const NATIVE_SHAPES: readonly NativeShape[] = [
  { vendor: 'Ollama /api/chat, /api/generate', seenAt: 'Q69', repair: 'native_ollama', read: fromOllama },
  { vendor: 'DashScope', seenAt: 'Q71', repair: 'native_dashscope', read: fromDashScope },
  { vendor: 'Baidu ERNIE', seenAt: 'Q70', repair: 'native_baidu', read: fromBaidu },
  { vendor: 'TGI /generate_stream', seenAt: 'Q72', repair: 'native_tgi', read: fromTgi },
];

/** An object without `choices` in OpenAI's shape, and the repair that this was; null when it is in no known format. */
export function fromNativeShape(
  object: JsonObject,
): { readonly shaped: JsonObject; readonly repair: Repair } | null {
  for (const { repair, read } of NATIVE_SHAPES) {
    const shaped = read(object);
    if (shaped !== null) return { shaped, repair };
  }
  return null;
}

/** The name of an API that is not translated, for the error; null for none. Seen at: Gemini (Q74), Anthropic (Q73). */
export function foreignApiOf(object: JsonObject): string | null {
  if (Array.isArray(object.choices)) return null;
  if (Array.isArray(object.candidates)) return 'Gemini';
  const type = textFrom(object.type) ?? '';
  if (/^(?:message_start|content_block_\w+|message_delta)$/.test(type)) return 'Anthropic';
  if (type === 'message' && Array.isArray(object.content)) return 'Anthropic';
  return /^response\.\w+/.test(type) || object.object === 'response' ? 'Responses' : null;
}

/** `{message:{…},done}` of /api/chat and `{response,done}` of /api/generate. */
function fromOllama(object: JsonObject): JsonObject | null {
  const { message, response, done, done_reason: reason, ...rest } = object;
  if (typeof done !== 'boolean') return null;
  const delta = isJsonObject(message) ? message : typeof response === 'string' ? { content: response } : null;
  if (delta === null) return null;
  return {
    model: rest.model,
    created: rest.created_at,
    choices: [{ index: 0, delta, finish_reason: done ? (textFrom(reason) ?? 'stop') : null }],
    usage: { prompt_eval_count: rest.prompt_eval_count, eval_count: rest.eval_count },
  };
}

/** `{output:{choices:[…]}}` or `{output:{text,finish_reason}}`. */
function fromDashScope(object: JsonObject): JsonObject | null {
  const { output } = object;
  if (!isJsonObject(output)) return null;
  const base = { id: object.request_id, model: object.model, usage: object.usage };
  if (Array.isArray(output.choices)) return { ...base, choices: output.choices };
  if (typeof output.text !== 'string') return null;
  return {
    ...base,
    choices: [{ index: 0, delta: { content: output.text }, finish_reason: output.finish_reason }],
  };
}

/** `{result,is_end,is_truncated}`. */
function fromBaidu(object: JsonObject): JsonObject | null {
  const { result, is_end: isEnd, is_truncated: isTruncated, ...rest } = object;
  // Whole responses have no `is_end`; `{"result":"error"}` of other vendors has none of these.
  const isBaidu = typeof isEnd === 'boolean' || typeof isTruncated === 'boolean' || isJsonObject(rest.usage);
  if (typeof result !== 'string' || !isBaidu) return null;
  const isOver = isEnd !== false;
  const reason = isTruncated === true ? 'length' : (textFrom(rest.finish_reason) ?? 'stop');
  return {
    id: rest.id,
    created: rest.created,
    model: rest.model,
    usage: rest.usage,
    choices: [{ index: 0, delta: { content: result }, finish_reason: isOver ? reason : null }],
  };
}

/** `{token:{text,special},generated_text,details}` of /generate_stream. */
function fromTgi(object: JsonObject): JsonObject | null {
  const { token, details } = object;
  if (!isJsonObject(token) || typeof token.text !== 'string') return null;
  const isOver = typeof object.generated_text === 'string';
  const reason = (isJsonObject(details) && textFrom(details.finish_reason)) || 'stop';
  return {
    choices: [
      {
        index: 0,
        delta: { content: token.special === true ? '' : token.text },
        finish_reason: isOver ? reason : null,
      },
    ],
  };
}
