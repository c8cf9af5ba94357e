import { isJsonObject, type JsonObject, textFrom } from '../../../lib/json/json-object.ts';
import { textWithin } from './content-parts.ts';

/** What vendors call it, beside `reasoning_content`. */
export const OTHER_REASONING_NAMES: readonly string[] = [
  'reasoning',
  'thinking',
  'reasoning_text',
  'thinking_content',
  'thought',
  'thoughts',
];

/** Several names for one text; gateways in series repeat it under two of them, so the first one with text wins. */
export function readReasoning(delta: JsonObject): string {
  for (const name of ['reasoning_content', ...OTHER_REASONING_NAMES]) {
    const text = delta[name] == null ? '' : textWithin(delta[name]);
    if (text !== '') return text;
  }
  if (!Array.isArray(delta.reasoning_details)) return '';
  return delta.reasoning_details
    .filter(isJsonObject)
    .map((detail) => textFrom(detail.text) ?? textFrom(detail.summary) ?? '')
    .join('');
}
