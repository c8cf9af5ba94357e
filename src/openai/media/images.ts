import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { throwVendorError } from '../errors/upstream-error.ts';
import { invalidResponseBody } from '../response-json.ts';
import { isWebAddress, pictureBase64, pictureTypeOf } from './media-bytes.ts';
import { type MediaReading, type MediaResponse, type MediaSource, nothingIn } from './media-request.ts';

const JSON_TYPE = 'application/json';

/** One picture as OpenAI tells it. */
interface Picture {
  readonly b64_json?: string;
  readonly url?: string;
  readonly revised_prompt?: string;
}

/** Members in which pictures stand, the surest first. */
const NAMES = [
  'b64_json',
  'base64',
  'b64',
  'image_base64',
  'image_b64',
  'bytesBase64Encoded',
  'url',
  'image_url',
  'image_urls',
  'urls',
  'image',
  'images',
  'data',
  'output',
  'outputs',
  'result',
  'results',
  'artifacts',
  'predictions',
];
/** What stands in these may be anything. */
const LOOSE: ReadonlySet<string> = new Set(['data', 'output', 'outputs', 'result', 'results']);
const DEEPEST = 6;

/** What OpenAI tells beside the pictures. */
const BESIDE = ['background', 'output_format', 'quality', 'size', 'usage'];

/**
 * Images as `data[]` with `b64_json` or `url` as asked for, and `created` (Q163, S123). Base64 becomes a
 * `data:` URI where `url` was asked for. An upstream that gives only an address is handed on with it whatever was
 * asked: it is never fetched, and a picture that was made and paid for is worth more than an error.
 */
export function readImages(source: MediaSource, reading: MediaReading): MediaResponse {
  const { body, shape, json } = source;
  const { wish, context } = reading;
  if (shape === 'binary') return fromBytes(source, reading);
  if (shape !== 'json') throw invalidResponseBody(body, context);
  if (isJsonObject(json) && hasPictures(json, wish.format)) {
    if (isSeconds(json.created)) return { body, contentType: jsonType(source.contentType) };
    return jsonResponse({ ...json, created: reading.nowSeconds() });
  }
  const found = picturesIn(json, false, DEEPEST);
  if (found.length === 0) {
    throwVendorError(json, context);
    throw nothingIn('image');
  }
  const data = found.map((picture) => asAsked(picture, wish.format));
  if (wish.format === 'b64_json' && data.some(({ b64_json: base64 }) => base64 === undefined)) {
    reading.onRepair('image_url_only');
  }
  return toResponse(data, isJsonObject(json) ? json : {}, reading);
}

/** Some servers answer with the picture itself. */
function fromBytes({ body }: MediaSource, reading: MediaReading): MediaResponse {
  if (pictureTypeOf(body) === null) throw invalidResponseBody(body, reading.context);
  return toResponse([asAsked({ b64_json: body.toString('base64') }, reading.wish.format)], {}, reading);
}

function toResponse(data: readonly Picture[], json: JsonObject, reading: MediaReading): MediaResponse {
  const beside = Object.fromEntries(
    BESIDE.filter((name) => Object.hasOwn(json, name)).map((name) => [name, json[name]]),
  );
  const created = isSeconds(json.created) ? json.created : reading.nowSeconds();
  return jsonResponse({ created, data, ...beside });
}

function jsonResponse(json: JsonObject): MediaResponse {
  return { body: Buffer.from(JSON.stringify(json)), contentType: JSON_TYPE };
}

function hasPictures({ data }: JsonObject, format: string | null): boolean {
  if (!Array.isArray(data) || data.length === 0) return false;
  return data.every((picture) => isJsonObject(picture) && hasForm(picture, format));
}

function hasForm({ b64_json: base64, url }: JsonObject, format: string | null): boolean {
  const hasBase64 = typeof base64 === 'string' && base64 !== '' && !base64.startsWith('data:');
  const hasUrl = typeof url === 'string' && url !== '';
  if (format === 'url') return hasUrl;
  if (format === 'b64_json') return hasBase64;
  return hasBase64 || (hasUrl && (base64 === undefined || base64 === null));
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value);
}

function jsonType(contentType: string | null): string {
  return /^application\/json\b/i.test(contentType ?? '') ? (contentType as string) : JSON_TYPE;
}

function picturesIn(value: unknown, isNamed: boolean, depth: number): Picture[] {
  if (typeof value === 'string') return pictureFrom(value, isNamed);
  if (depth === 0) return [];
  if (Array.isArray(value)) return value.flatMap((entry) => picturesIn(entry, isNamed, depth - 1));
  if (!isJsonObject(value)) return [];
  for (const name of NAMES) {
    const found = picturesIn(value[name], !LOOSE.has(name), depth - 1);
    if (found.length > 0) return found.length === 1 ? [{ ...found[0], ...promptOf(value) }] : found;
  }
  return [];
}

function pictureFrom(text: string, isNamed: boolean): Picture[] {
  if (isWebAddress(text)) return [{ url: text.trim() }];
  const picture = pictureBase64(text, isNamed);
  if (picture === null) return [];
  return [{ b64_json: picture.base64 }];
}

function promptOf({ revised_prompt: prompt }: JsonObject): Picture {
  return typeof prompt === 'string' ? { revised_prompt: prompt } : {};
}

function asAsked(picture: Picture, format: string | null): Picture {
  const { b64_json: base64, url, ...others } = picture;
  if (format === 'url' && base64 !== undefined) return { url: asUri(base64), ...others };
  return picture;
}

function asUri(base64: string): string {
  const type = pictureTypeOf(Buffer.from(base64.slice(0, 32), 'base64')) ?? 'image/png';
  return `data:${type};base64,${base64}`;
}
