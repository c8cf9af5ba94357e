import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { invalidResponseBody } from '../response-json.ts';
import { captionsOf } from './captions.ts';
import { nothingIn, otherThanAsked, refuseError } from './media-json.ts';
import type { MediaReading, MediaReply, MediaSource } from './media-request.ts';
import { findTranscript, holderOfTranscript } from './transcript-text.ts';

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const TEXT_FORMATS: ReadonlySet<string> = new Set(['text', 'srt', 'vtt']);

/**
 * A transcription or translation in the format that was asked for (Q161, S121): `{"text"}`, the verbose JSON
 * of the upstream, or text. What has that form already stays byte for byte.
 */
export function readTranscript(source: MediaSource, reading: MediaReading): MediaReply {
  const { wish, context } = reading;
  const format = wish.format ?? (wish.isFormatKnown ? 'json' : null);
  const { body, shape } = source;
  if (shape === 'html' || shape === 'binary') throw invalidResponseBody(body, context);
  if (shape === 'json') return fromJson(source, format, reading);
  // Silence, told by an upstream that speaks plain text.
  const isText = /^text\/plain\b/i.test(source.contentType ?? '') || TEXT_FORMATS.has(format ?? '');
  if (shape === 'empty' && !isText) throw invalidResponseBody(body, context);
  if (format === null || TEXT_FORMATS.has(format)) return asItIs(source, TEXT_TYPE);
  return jsonReply({
    text: body
      .toString('utf8')
      .replace(/^\ufeff/, '')
      .trim(),
  });
}

function fromJson(source: MediaSource, format: string | null, reading: MediaReading): MediaReply {
  const { json } = source;
  const hasText = isJsonObject(json) && typeof json.text === 'string';
  if (!hasText || json.text === '') refuseError(json, reading.context);
  if (format === null) return asItIs(source, JSON_TYPE);
  if (format === 'srt' || format === 'vtt') return captions(json, format);
  if (format === 'text') return textReply(textIn(json));
  if (hasText) return asItIs(source, JSON_TYPE);
  if (format === 'json') return jsonReply({ text: textIn(json), ...usageOf(json) });
  return jsonReply(verbose(json));
}

function textIn(json: unknown): string {
  const text = findTranscript(json);
  if (text === null) throw nothingIn('transcript');
  return text;
}

/** The object around the text with all that the upstream says of it (language, duration, segments). */
function verbose(json: unknown): JsonObject {
  return { ...holderOfTranscript(json), text: textIn(json) };
}

function captions(json: unknown, format: 'srt' | 'vtt'): MediaReply {
  const text = textIn(json);
  if (text.includes('-->')) return textReply(text);
  const made = captionsOf(json, format);
  if (made !== null) return textReply(made);
  if (text === '') return textReply(format === 'vtt' ? 'WEBVTT\n\n' : '');
  throw otherThanAsked(
    `The upstream answered without times, so that no response_format "${format}" can be made of it. Ask for json or text.`,
  );
}

function usageOf(json: unknown): JsonObject {
  return isJsonObject(json) && isJsonObject(json.usage) ? { usage: json.usage } : {};
}

function asItIs({ body, contentType }: MediaSource, type: string): MediaReply {
  const [kind = ''] = type.split(';');
  const isRight = contentType?.toLowerCase().startsWith(kind) === true;
  return { body, contentType: isRight ? contentType : type };
}

function jsonReply(json: JsonObject): MediaReply {
  return { body: Buffer.from(JSON.stringify(json)), contentType: JSON_TYPE };
}

function textReply(text: string): MediaReply {
  return { body: Buffer.from(text), contentType: TEXT_TYPE };
}
