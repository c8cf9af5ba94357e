import { isJsonObject, type JsonObject, numberFrom } from '../../lib/json/json-object.ts';
import { throwVendorError } from '../errors/upstream-error.ts';
import { invalidResponseBody } from '../response-body.ts';
import {
  type MediaReadOptions,
  type MediaResponse,
  type MediaSource,
  missingMedia,
  unusableMedia,
} from './media-request.ts';

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const TEXT_FORMATS: ReadonlySet<string> = new Set(['text', 'srt', 'vtt']);

/**
 * A transcription or translation in the requested format (Q161, S121): `{"text"}`, the verbose JSON
 * of the upstream, or text. What has that form already stays byte for byte.
 */
export function readTranscript(source: MediaSource, options: MediaReadOptions): MediaResponse {
  const { request, context } = options;
  const format = request.format ?? (request.isFormatKnown ? 'json' : null);
  const { body, shape } = source;
  if (shape === 'html' || shape === 'binary') throw invalidResponseBody(body, context);
  if (shape === 'json') return fromJson(source, format, options);
  // An empty plain text is silence.
  const isText = /^text\/plain\b/i.test(source.contentType ?? '') || TEXT_FORMATS.has(format ?? '');
  if (shape === 'empty' && !isText) throw invalidResponseBody(body, context);
  if (format === null || TEXT_FORMATS.has(format)) return unchanged(source, TEXT_TYPE);
  options.onRepair('transcript_format');
  return jsonResponse({
    text: body
      .toString('utf8')
      .replace(/^\ufeff/, '')
      .trim(),
  });
}

function fromJson(source: MediaSource, format: string | null, options: MediaReadOptions): MediaResponse {
  const { json } = source;
  const hasText = isJsonObject(json) && typeof json.text === 'string';
  if (!hasText || json.text === '') throwVendorError(json, options.context);
  if (format === null) return unchanged(source, JSON_TYPE);
  if (format === 'srt' || format === 'vtt') return captions(json, format, options);
  if (hasText) return format === 'text' ? textResponse(textIn(json)) : unchanged(source, JSON_TYPE);
  options.onRepair('transcript_format');
  if (format === 'text') return textResponse(textIn(json));
  if (format === 'json') return jsonResponse({ text: textIn(json), ...usageOf(json) });
  return jsonResponse(verbose(json));
}

function textIn(json: unknown): string {
  const text = findTranscript(json);
  if (text === null) throw missingMedia('a transcript');
  return text;
}

/** The object around the text with all its members (language, duration, segments). */
function verbose(json: unknown): JsonObject {
  return { ...holderOfTranscript(json), text: textIn(json) };
}

function captions(json: unknown, format: 'srt' | 'vtt', { onRepair }: MediaReadOptions): MediaResponse {
  const text = textIn(json);
  if (text.includes('-->')) return textResponse(text);
  const made = captionsOf(json, format);
  if (made !== null) {
    onRepair('captions_from_segments');
    return textResponse(made);
  }
  if (text === '') return textResponse(format === 'vtt' ? 'WEBVTT\n\n' : '');
  throw unusableMedia(
    `The upstream returned a transcript without times: response_format "${format}" is not possible. Request json or text.`,
  );
}

function usageOf(json: unknown): JsonObject {
  return isJsonObject(json) && isJsonObject(json.usage) ? { usage: json.usage } : {};
}

function unchanged({ body, contentType }: MediaSource, type: string): MediaResponse {
  const [kind = ''] = type.split(';');
  const isRight = contentType?.toLowerCase().startsWith(kind) === true;
  return { body, contentType: isRight ? contentType : type };
}

function jsonResponse(json: JsonObject): MediaResponse {
  return { body: Buffer.from(JSON.stringify(json)), contentType: JSON_TYPE };
}

function textResponse(text: string): MediaResponse {
  return { body: Buffer.from(text), contentType: TEXT_TYPE };
}

/** Members that are a transcript, or a list of its pieces (Q161); those without a vendor have no recorded one. */
const NAMES = [
  'text',
  'transcript',
  'transcription',
  'transcripts',
  // Whisper servers that return segments only (Q161).
  'segments',
  'sentences',
  'sentence',
  'utterances',
  'chunks',
];
/** Members that are a transcript when nothing else is: `result` and `data` of Whisper servers (Q161), `content` of chats. */
const LOOSE_NAMES = [...NAMES, 'result', 'results', 'output', 'data', 'response', 'content', 'payload'];
/** Lists of alternatives, of which the first is used. */
const CHOICES: ReadonlySet<string> = new Set(['alternatives', 'choices', 'candidates']);
/** How deep a transcript is looked for. */
const MAX_DEPTH = 6;

/**
 * The transcript in the JSON of an upstream, in any member; '' for silence, null when there is none. Pieces are
 * joined in their order.
 */
function findTranscript(json: unknown): string | null {
  if (typeof json === 'string') return json;
  const found = textWithin(json, NAMES, MAX_DEPTH) ?? textWithin(json, LOOSE_NAMES, MAX_DEPTH);
  if (found !== null) return found.trim();
  return isJsonObject(json) && json.text === null ? '' : null;
}

/** The object that contains the transcript; empty when there is none. */
function holderOfTranscript(json: unknown): JsonObject {
  let holder = isJsonObject(json) ? json : {};
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    if (NAMES.some((name) => Object.hasOwn(holder, name))) return holder;
    const inner = Object.values(holder).filter(isJsonObject);
    const next = inner.find((one) => textWithin(one, NAMES, MAX_DEPTH) !== null);
    if (next === undefined) return {};
    holder = next;
  }
  return {};
}

function textWithin(value: unknown, names: readonly string[], depth: number): string | null {
  if (depth === 0) return null;
  if (Array.isArray(value)) {
    const pieces = value
      .map((entry) => textWithin(entry, names, depth - 1))
      .filter((piece) => piece !== null);
    return pieces.length === 0 ? null : joined(pieces);
  }
  if (!isJsonObject(value)) return null;
  for (const name of names) {
    const text = textOf(value[name], names, depth);
    if (text !== null) return text;
  }
  for (const [name, member] of Object.entries(value)) {
    const within = CHOICES.has(name) && Array.isArray(member) ? member[0] : member;
    const text = textWithin(within, names, depth - 1);
    if (text !== null) return text;
  }
  return null;
}

/** The text of a member that is named as one. */
function textOf(value: unknown, names: readonly string[], depth: number): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return textWithin(value, names, depth - 1);
  if (value.length === 0) return '';
  const pieces = value.map((entry) =>
    typeof entry === 'string' ? entry : textWithin(entry, names, depth - 1),
  );
  const found = pieces.filter((piece) => piece !== null);
  return found.length === 0 ? null : joined(found);
}

/** With a space where neither side has one, unless both are of a script that does without. */
function joined(pieces: readonly string[]): string {
  let text = '';
  for (const piece of pieces) {
    const sides = text.slice(-1) + piece.charAt(0);
    text += sides.length < 2 || NEEDS_NO_SPACE.test(sides) ? piece : ` ${piece}`;
  }
  return text;
}

const NEEDS_NO_SPACE =
  /\s|^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\u3000-\u303f\uff00-\uffef]{2}/u;

interface Cue {
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly text: string;
}

/** SubRip or WebVTT of segments with times in seconds (`start`, `end`, `text`); null when there are none. */
function captionsOf(json: unknown, format: 'srt' | 'vtt'): string | null {
  const cues = findCues(json, 4);
  if (cues === null) return null;
  const mark = format === 'srt' ? ',' : '.';
  const blocks = cues.map(({ startSeconds, endSeconds, text }, position) => {
    const number = format === 'srt' ? `${position + 1}\n` : '';
    return `${number}${clock(startSeconds, mark)} --> ${clock(endSeconds, mark)}\n${text.trim()}\n`;
  });
  return `${format === 'vtt' ? 'WEBVTT\n\n' : ''}${blocks.join('\n')}`;
}

function findCues(json: unknown, depth: number): readonly Cue[] | null {
  if (depth === 0 || typeof json !== 'object' || json === null) return null;
  if (Array.isArray(json)) {
    const cues = json.map(readCue);
    return cues.length > 0 && cues.every((cue) => cue !== null) ? cues : null;
  }
  // Words have times as well, but sentences make captions.
  const { words: _words, ...others } = json as Record<string, unknown>;
  for (const member of Object.values(others)) {
    const cues = findCues(member, depth - 1);
    if (cues !== null) return cues;
  }
  return null;
}

function readCue(entry: unknown): Cue | null {
  if (!isJsonObject(entry) || typeof entry.text !== 'string') return null;
  const startSeconds = numberFrom(entry.start);
  const endSeconds = numberFrom(entry.end);
  if (startSeconds === null || endSeconds === null || startSeconds < 0) return null;
  return { startSeconds, endSeconds, text: entry.text };
}

/** `00:01:02,345` */
function clock(seconds: number, mark: string): string {
  const totalMs = Math.round(seconds * 1000);
  const parts = [
    Math.floor(totalMs / 3_600_000),
    Math.floor(totalMs / 60_000) % 60,
    Math.floor(totalMs / 1000) % 60,
  ];
  const whole = parts.map((part) => String(part).padStart(2, '0')).join(':');
  return `${whole}${mark}${String(totalMs % 1000).padStart(3, '0')}`;
}
