import { isJsonObject } from './json-object.ts';

export interface ContentTexts {
  readonly content: string;
  readonly reasoning: string;
  readonly refusal: string;
}

/** The texts of a `content`: a string, or an array of parts (text, thinking, refusal) as Mistral and others send it. */
export function readContentParts(content: unknown): ContentTexts {
  if (typeof content === 'string') return { content, reasoning: '', refusal: '' };
  // Servers that build JSON by hand send the token `5` as a number.
  if (typeof content === 'number') return { content: String(content), reasoning: '', refusal: '' };
  const texts = { content: '', reasoning: '', refusal: '' };
  const parts = Array.isArray(content) ? content : isJsonObject(content) ? [content] : [];
  for (const part of parts) {
    if (typeof part === 'string') texts.content += part;
    if (!isJsonObject(part)) continue;
    if (part.type === 'thinking' || part.type === 'reasoning') {
      texts.reasoning += readContentParts(part.thinking ?? part.reasoning ?? part.text).content;
    } else if (part.type === 'refusal') {
      texts.refusal += typeof part.refusal === 'string' ? part.refusal : '';
    } else if (typeof part.text === 'string') {
      texts.content += part.text;
    }
  }
  return texts;
}
