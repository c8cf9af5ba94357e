import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { estimateTokens, loadTokenCounter } from '../usage/token-count.ts';

/** Anthropic counts an image of 1092 x 1092 pixels, the largest that it does not shrink, as so many (documentation of vision, 2025). */
const IMAGE_TOKENS = 1_600;
/** A page of a PDF is 1,500 to 3,000 tokens (documentation of PDF support, 2025) and in base64 some 100,000 characters. */
const CHARACTERS_PER_FILE_TOKEN = 50;
/** What the template of a chat adds to each message. */
const MESSAGE_TOKENS = 4;

/**
 * About how many tokens the messages and tools of a chat are, by the tokenizer of OpenAI's current models: no chat upstream
 * counts them. Images and files are not decoded.
 */
export async function estimatePromptTokens(chat: JsonObject): Promise<number> {
  await loadTokenCounter();
  const { messages, tools } = chat;
  const list: readonly unknown[] = Array.isArray(messages) ? messages : [];
  let tokens = tools === undefined ? 0 : estimateTokens(JSON.stringify(tools));
  for (const message of list) if (isJsonObject(message)) tokens += MESSAGE_TOKENS + messageTokens(message);
  return tokens;
}

function messageTokens({ content, reasoning_content: reasoning, tool_calls: calls }: JsonObject): number {
  const others = [reasoning, calls === undefined ? '' : JSON.stringify(calls)];
  const text = others.filter((one) => typeof one === 'string' && one !== '').join('\n');
  const parts: readonly unknown[] = Array.isArray(content) ? content : [{ text: content }];
  return parts.reduce((sum: number, part) => sum + partTokens(part), estimateTokens(text));
}

function partTokens(part: unknown): number {
  if (!isJsonObject(part)) return 0;
  if (typeof part.text === 'string') return estimateTokens(part.text);
  if (part.type === 'image_url') return IMAGE_TOKENS;
  const data = isJsonObject(part.file) ? part.file.file_data : undefined;
  return typeof data === 'string' ? Math.ceil(data.length / CHARACTERS_PER_FILE_TOKEN) : 0;
}
