import { isJsonObject, listFrom } from '../../../lib/json/json-object.ts';

interface ContentTexts {
  readonly content: string;
  readonly reasoning: string;
  readonly refusal: string;
}

/** Objects within objects around one text; more is no way of writing it. */
const MOST_LAYERS = 4;

/** The texts of a `content`: a string, or parts (text, thinking, refusal) as Mistral and others send it. */
export function readContentParts(content: unknown): ContentTexts {
  if (typeof content === 'string') return { content, reasoning: '', refusal: '' };
  const texts = { content: '', reasoning: '', refusal: '' };
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
export function textWithin(value: unknown, layers = MOST_LAYERS): string {
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
