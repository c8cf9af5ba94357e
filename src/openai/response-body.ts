import { isUtf8 } from 'node:buffer';
import { FerryError } from '../lib/errors/ferry-error.ts';
import { isHtml } from '../lib/text/sanitize.ts';
import { type ErrorContext, invalidBodyError } from './errors/upstream-error.ts';

/** The type of a response by its first bytes, with any content-type. */
export type ResponseShape = 'empty' | 'events' | 'json' | 'html' | 'text' | 'binary';

/** So many bytes show the shape of any response. */
export const SHAPE_BYTES = 64;

/** The shape of a response by its first bytes, `SHAPE_BYTES` unless it is shorter. */
export function shapeOf(head: Buffer, contentType: string | null): ResponseShape {
  if (head.length === 0) return 'empty';
  const start = head.subarray(0, 4 * SHAPE_BYTES);
  if (!isText(start)) return 'binary';
  const text = start
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart();
  if (text === '') return head.length < SHAPE_BYTES ? 'empty' : 'text';
  // A bracket before a word or a time of a recording begins no JSON.
  if (/^(?:\{\s*(?:["}]|$)|\[\s*(?:["{[\]]|$))/.test(text)) return 'json';
  if (text.startsWith('"') && /\bjson\b/i.test(contentType ?? '')) return 'json';
  if (isHtml(text)) return 'html';
  if (isEventStream(contentType) || /^(?:event: ?[\w.]+\r?\n)?data: ?[{[]/.test(text)) return 'events';
  return 'text';
}

export function isEventStream(contentType: string | null): boolean {
  return /^text\/event-stream\b/i.test(contentType ?? '');
}

/** Whether bytes that begin like this need not be looked at further: no text begins so. */
export function isClearlyBinary(head: Buffer): boolean {
  return head.length > 0 && !isText(head.subarray(0, 4 * SHAPE_BYTES));
}

/** UTF-8 without control characters; the last character may still be coming. */
function isText(bytes: Buffer): boolean {
  for (const byte of bytes) {
    if (byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return false;
  }
  return isUtf8(bytes.subarray(0, bytes.length - cutCharacter(bytes)));
}

/** How many bytes at the end are the beginning of a character. */
function cutCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const needed = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 0;
    return needed > back ? back : 0;
  }
  return 0;
}

/** The part of an unexpected body that is used for its excerpt. In UTF-16 units. */
const EXCERPT_SOURCE = 4000;

/** The JSON of a whole response; throws `disconnected` for one that is cut, `invalid_response` for invalid JSON. */
export function parseResponseJson(body: Buffer, context: ErrorContext): unknown {
  const text = textOf(body);
  try {
    return JSON.parse(text);
  } catch {
    throw notJson(text, context);
  }
}

/** `invalid_response` with an excerpt of an unexpected body. */
export function invalidResponseBody(body: Buffer, context: ErrorContext): FerryError {
  return invalidBodyError(textOf(body).slice(0, EXCERPT_SOURCE), context);
}

/** JSON that begins and does not end was cut on its way. */
function notJson(text: string, context: ErrorContext): FerryError {
  if (!/^[{[]/.test(text) || /[}\]]$/.test(text))
    return invalidBodyError(text.slice(0, EXCERPT_SOURCE), context);
  return new FerryError('disconnected', {
    message: 'The upstream closed the connection in the middle of its response.',
    upstreamStatus: 200,
  });
}

function textOf(body: Buffer): string {
  return body
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trim();
}
