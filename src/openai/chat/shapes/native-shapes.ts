import { isJsonObject, type JsonObject, textFrom } from '../../../lib/json/json-object.ts';

/**
 * The shapes that gateways send on an OpenAI path although they are another API's: brought into OpenAI's. A shape is
 * recognised by its own members; what is none of them is returned as it is.
 */
export function toOpenAiShape(object: JsonObject): JsonObject {
  if (Array.isArray(object.choices)) return object;
  return fromOllama(object) ?? fromDashScope(object) ?? fromBaidu(object) ?? fromTgi(object) ?? object;
}

/** The name of an API that is not translated, so that the error can say whose answer this is; null for none. */
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
  // Whole replies have no `is_end`; `{"result":"error"}` of anybody else has none of these.
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
