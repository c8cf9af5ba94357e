import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import { FILLED } from '../embeddings/empty-text.ts';
import { FORM, type RequestForm } from './rewrite-names.ts';

/** A message of a parsed request, as far as its content matters. */
export interface ContentHolder {
  readonly role?: unknown;
  readonly content?: unknown;
  readonly tool_calls?: unknown;
}

/**
 * Text parts are joined as vLLM joins them: each is a paragraph of its own (a document, a question), and words of two
 * must not run together.
 */
const SEPARATOR = '\n';

/** Whether a message says its content in this form. */
export function hasForm(message: ContentHolder, form: RequestForm): boolean {
  const { content, role } = message;
  switch (form) {
    case FORM.parts:
      return textOfParts(content) !== null;
    case FORM.nullContent:
      return content === null || content === undefined;
    case FORM.emptyContent:
      // An empty question is the client's own and gets the upstream's answer; an empty answer or result is history.
      return content === '' && role !== 'user';
    case FORM.developer:
      return role === 'developer';
    default:
      return false;
  }
}

/** The content of a message without the forms that are refused; undefined: it stays as it is. */
export function contentWithout(
  message: ContentHolder,
  refused: ReadonlySet<RequestForm>,
): string | null | undefined {
  const isRefused = (form: RequestForm): boolean => refused.has(form) && hasForm(message, form);
  if (isRefused(FORM.parts)) return textOfParts(message.content) ?? undefined;
  const takesEmpty = message.role === 'user' || !refused.has(FORM.emptyContent);
  if (isRefused(FORM.nullContent)) return takesEmpty ? '' : FILLED;
  if (!isRefused(FORM.emptyContent)) return undefined;
  const canBeNull = hasCalls(message) && !refused.has(FORM.nullContent);
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

/** Throws FerryError 400 that names the first part which is no text (S102). */
export function refuseOtherParts(messages: readonly unknown[]): void {
  for (const [position, message] of messages.entries()) {
    const content: unknown = isJsonObject(message) ? message.content : undefined;
    if (!Array.isArray(content)) continue;
    const other = content.findIndex((part) => typeof part !== 'string' && textOfPart(part) === null);
    if (other === -1) continue;
    const part: unknown = content[other];
    const type =
      isJsonObject(part) && typeof part.type === 'string' ? part.type.slice(0, 40) : 'of no known type';
    const place = `messages.${position}.content.${other}`;
    throw new FerryError('invalid_request', {
      message: `This model takes text only, and ${place} is ${type}.`,
      param: place,
    });
  }
}

function textOfPart(part: unknown): string | null {
  return isJsonObject(part) && part.type === 'text' && typeof part.text === 'string' ? part.text : null;
}

function hasCalls({ tool_calls: calls }: ContentHolder): boolean {
  return Array.isArray(calls) && calls.length > 0;
}
