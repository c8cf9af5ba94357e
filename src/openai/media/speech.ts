import { isJsonObject } from '../../lib/json/json-object.ts';
import { throwVendorError } from '../errors/upstream-error.ts';
import { invalidResponseBody, type ResponseShape } from '../response-body.ts';
import { containerTypeOf, type DecodedMedia, decodeSound, isWebAddress, soundTypeOf } from './media-bytes.ts';
import {
  type MediaReadOptions,
  type MediaResponse,
  type MediaSource,
  missingMedia,
  unusableMedia,
} from './media-request.ts';

/** `response_format` → the type of what it names. */
const TYPES: ReadonlyMap<string | null, string> = new Map([
  ['mp3', 'audio/mpeg'],
  ['wav', 'audio/wav'],
  ['opus', 'audio/ogg'],
  ['ogg', 'audio/ogg'],
  ['aac', 'audio/aac'],
  ['flac', 'audio/flac'],
  ['pcm', 'audio/pcm'],
]);

/** Members that hold audio by their names: `audio` (most), `data.audio` in hexadecimal (MiniMax, Q162), `b64`. */
const NAMED = /audio|speech|sound|b64|base64|^(?:wav|mp3|pcm)$/i;
/** Members that describe audio. */
const NO_SOUND = /(?:id|format|type|name|length|size|duration|rate|model|codec|encoding|status)$/i;
/** Members that may hold anything. */
const LOOSE = /^(?:data|result|output|content|bytes|payload|response)$/i;
const MAX_DEPTH = 5;

/** Whether the response is the audio itself, to be streamed, by its first bytes. */
export function isSound(shape: ResponseShape, contentType: string | null): boolean {
  return shape === 'binary' || (shape === 'text' && isSoundType(contentType));
}

/** The content-type of audio: the upstream's own when it names one, else by the bytes, else by the requested format. */
export function soundTypeFor(head: Buffer, contentType: string | null, format: string | null): string {
  if (contentType !== null && isSoundType(contentType)) return contentType;
  // Samples may begin like anything, also like a frame of MP3.
  const byBytes = format === 'pcm' ? containerTypeOf(head) : soundTypeOf(head);
  return byBytes ?? TYPES.get(format) ?? 'audio/mpeg';
}

function isSoundType(contentType: string | null): boolean {
  return /^\s*(?:audio|video)\/|^\s*application\/ogg\b/i.test(contentType ?? '');
}

/**
 * The audio within a response that is text (Q162, S122): base64, hexadecimal or a `data:` URI, bare or in
 * JSON. A URL is never fetched: it would let an upstream send requests inside this network.
 */
export function readSpeech(
  source: MediaSource,
  { request, context, onRepair }: MediaReadOptions,
): MediaResponse {
  const { body, shape, json } = source;
  if (shape === 'text') {
    const sound = decodeSound(body.toString('latin1'), false);
    if (sound === null || sound.type === null) throw invalidResponseBody(body, context);
    onRepair('speech_as_text');
    return toResponse(sound, request.format);
  }
  if (shape !== 'json') throw invalidResponseBody(body, context);
  const sound = findSound(json, typeof json === 'string', MAX_DEPTH);
  if (sound !== null) {
    onRepair('speech_as_text');
    return toResponse(sound, request.format);
  }
  throwVendorError(json, context);
  if (hasAddress(json, MAX_DEPTH)) {
    throw unusableMedia(
      'The upstream returned a URL instead of audio. URLs in responses are not fetched: let the upstream return the audio itself (base64 or binary).',
    );
  }
  throw missingMedia('audio');
}

function toResponse({ bytes, type }: DecodedMedia, format: string | null): MediaResponse {
  return { body: bytes, contentType: soundTypeFor(bytes, type, format) };
}

function findSound(value: unknown, isNamed: boolean, depth: number): DecodedMedia | null {
  if (typeof value === 'string') return isWebAddress(value) ? null : decodeSound(value, isNamed);
  if (depth === 0 || typeof value !== 'object' || value === null) return null;
  if (Array.isArray(value)) return firstOf(value, (entry) => findSound(entry, isNamed, depth - 1));
  const members = Object.entries(value);
  const named = firstOf(members, ([name, member]) =>
    NAMED.test(name) && !NO_SOUND.test(name) ? findSound(member, true, depth - 1) : null,
  );
  if (named !== null) return named;
  return firstOf(members, ([name, member]) =>
    LOOSE.test(name) || typeof member === 'object' ? findSound(member, isNamed, depth - 1) : null,
  );
}

function hasAddress(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return isWebAddress(value);
  if (depth === 0 || !(Array.isArray(value) || isJsonObject(value))) return false;
  return Object.values(value).some((member) => hasAddress(member, depth - 1));
}

function firstOf<Entry, Found>(list: readonly Entry[], find: (entry: Entry) => Found | null): Found | null {
  for (const entry of list) {
    const found = find(entry);
    if (found !== null) return found;
  }
  return null;
}
