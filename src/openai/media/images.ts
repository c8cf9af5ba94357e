import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { throwVendorError } from '../errors/upstream-error.ts';
import { invalidResponseBody } from '../response-body.ts';
import { isWebAddress, pictureBase64, pictureTypeOf } from './media-bytes.ts';
import {
  type MediaReadOptions,
  type MediaResponse,
  type MediaSource,
  missingMedia,
} from './media-request.ts';

const JSON_TYPE = 'application/json';

/** One image as OpenAI returns it. */
interface Picture {
  readonly b64_json?: string;
  readonly url?: string;
  readonly revised_prompt?: string;
}

/**
 * Members that hold images, the most specific first (Q163). All but OpenAI's are in pass-through-images.test.ts, as
 * `artifacts[].base64` and `predictions[].bytesBase64Encoded`, and have no recorded vendor.
 */
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
/** These may hold anything. */
const LOOSE: ReadonlySet<string> = new Set(['data', 'output', 'outputs', 'result', 'results']);
const MAX_DEPTH = 6;

/** Members of OpenAI's response beside the images. */
const BESIDE = ['background', 'output_format', 'quality', 'size', 'usage'];

/**
 * Images as `data[]` with `b64_json` or `url` as requested, and `created` (Q163, S123). Base64 becomes a
 * `data:` URI where `url` was requested. A URL alone is passed on with any requested format: it is never fetched, and an
 * image that was generated and paid for is more useful than an error.
 */
export function readImages(source: MediaSource, options: MediaReadOptions): MediaResponse {
  const { body, shape, json } = source;
  const { request, context } = options;
  if (shape === 'binary') return fromBytes(source, options);
  if (shape !== 'json') throw invalidResponseBody(body, context);
  if (isJsonObject(json) && hasPictures(json, request.format)) {
    if (isSeconds(json.created)) return { body, contentType: jsonType(source.contentType) };
    return jsonResponse({ ...json, created: options.nowSeconds() });
  }
  const found = picturesIn(json, false, MAX_DEPTH);
  if (found.length === 0) {
    throwVendorError(json, context);
    throw missingMedia('an image');
  }
  if (!isJsonObject(json) || !hasPictures(json, null)) options.onRepair('image_format');
  const data = found.map((picture) => inFormat(picture, request.format));
  if (request.format === 'b64_json' && data.some(({ b64_json: base64 }) => base64 === undefined)) {
    options.onRepair('image_url_only');
  }
  return toResponse(data, isJsonObject(json) ? json : {}, options);
}

/** A body that is the image itself (text-generation servers of diffusers, Hugging Face's inference API). */
function fromBytes({ body }: MediaSource, options: MediaReadOptions): MediaResponse {
  if (pictureTypeOf(body) === null) throw invalidResponseBody(body, options.context);
  options.onRepair('image_format');
  return toResponse([inFormat({ b64_json: body.toString('base64') }, options.request.format)], {}, options);
}

function toResponse(data: readonly Picture[], json: JsonObject, options: MediaReadOptions): MediaResponse {
  const beside = Object.fromEntries(
    BESIDE.filter((name) => Object.hasOwn(json, name)).map((name) => [name, json[name]]),
  );
  const created = isSeconds(json.created) ? json.created : options.nowSeconds();
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

function inFormat(picture: Picture, format: string | null): Picture {
  const { b64_json: base64, url, ...others } = picture;
  if (format === 'url' && base64 !== undefined) return { url: dataUriOf(base64), ...others };
  return picture;
}

function dataUriOf(base64: string): string {
  const type = pictureTypeOf(Buffer.from(base64.slice(0, 32), 'base64')) ?? 'image/png';
  return `data:${type};base64,${base64}`;
}
