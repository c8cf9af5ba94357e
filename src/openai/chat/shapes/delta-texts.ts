import { isJsonObject, type JsonObject, listFrom, textFrom } from '../../../lib/json/json-object.ts';
import { OTHER_REASONING_NAMES } from '../../vendors/member-names.ts';
import type { OnRepair } from '../../vendors/repairs.ts';

interface ContentTexts {
  readonly content: string;
  readonly reasoning: string;
  readonly refusal: string;
}

/** Objects within objects around one text; more is no way of writing it. */
const MAX_LAYERS = 4;

/** The texts of a `content`: a string, or parts (text, thinking, refusal) as Mistral and others send it (Q77). */
export function textsOfContent(content: unknown, onRepair: OnRepair): ContentTexts {
  if (typeof content === 'string') return { content, reasoning: '', refusal: '' };
  const texts = { content: '', reasoning: '', refusal: '' };
  if (content === null || content === undefined) return texts;
  onRepair('content_form');
  // Servers that build JSON by hand send the token `5` as a number.
  const parts = typeof content === 'number' ? [content] : listFrom(content);
  for (const part of parts) {
    const type = isJsonObject(part) ? part.type : undefined;
    if (type === 'thinking' || type === 'reasoning') texts.reasoning += textWithin(part);
    else if (type === 'refusal') texts.refusal += textWithin(part);
    else texts.content += textWithin(part);
  }
  return texts;
}

/** A text, however it is wrapped: `"a"`, `["a"]`, `{"text":"a"}`, `{"type":"text","text":{"value":"a"}}`. '' when there is none. */
export function textWithin(value: unknown, layers = MAX_LAYERS): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null || layers === 0) return '';
  const items = listFrom(value);
  const [only] = items;
  if (items.length !== 1 || only !== value) return items.map((item) => textWithin(item, layers - 1)).join('');
  const {
    text,
    content,
    value: inner,
    output_text,
    thinking,
    reasoning,
    refusal,
  } = only as Record<string, unknown>;
  return textWithin(text ?? content ?? inner ?? output_text ?? thinking ?? reasoning ?? refusal, layers - 1);
}

/** The reasoning of a delta or message. Gateways in series repeat it under two names, so the first one with text wins. */
export function reasoningOf(delta: JsonObject, onRepair: OnRepair): string {
  for (const name of ['reasoning_content', ...OTHER_REASONING_NAMES]) {
    const text = delta[name] == null ? '' : textWithin(delta[name]);
    if (text === '') continue;
    if (name !== 'reasoning_content') onRepair('reasoning_name', name);
    return text;
  }
  if (!Array.isArray(delta.reasoning_details)) return '';
  const text = delta.reasoning_details
    .filter(isJsonObject)
    .map((detail) => textFrom(detail.text) ?? textFrom(detail.summary) ?? '')
    .join('');
  if (text !== '') onRepair('reasoning_name');
  return text;
}
