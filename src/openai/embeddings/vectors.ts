import { endianness } from 'node:os';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { findList, isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import type { OnRepair } from '../vendors/repairs.ts';

/**
 * One embedding: its JSON text as the upstream wrote it (`[0.1,…]`, or `"…"` with base64 that was checked), or its
 * numbers. Text that only passes through is never turned into numbers. A Buffer is a view on the whole response: copy
 * it before keeping it.
 */
export type Vector = Buffer | Float32Array | readonly number[];

const isBigEndian = endianness() === 'BE';

const COMMA = 0x2c;
const QUOTE = 0x22;

/** How many numbers a vector has; those of an array's text are counted by its commas, 40 µs for 1536 numbers. */
export function vectorLength(vector: Vector): number {
  if (!Buffer.isBuffer(vector)) return vector.length;
  if (isBase64Text(vector)) return base64Bytes(vector) / 4;
  let commas = 0;
  // An index and not `for…of`, whose iterator costs four times as much on a Buffer.
  for (let at = 0; at < vector.length; at++) if (vector[at] === COMMA) commas++;
  return commas + 1;
}

/** The JSON text that clients get for `encoding_format: float`. */
export function vectorToJson(vector: Vector): Buffer {
  if (Buffer.isBuffer(vector) && !isBase64Text(vector)) return vector;
  const numbers = Buffer.isBuffer(vector) ? floatsOf(vector) : vector;
  return Buffer.from(`[${numbers.join(',')}]`, 'latin1');
}

/**
 * The JSON text that clients get for `encoding_format: base64`: base64 of little-endian float32, as OpenAI has it and
 * every SDK decodes it. Throws FerryError `invalid_response` when the upstream's text is no array of numbers.
 */
export function vectorToBase64Json(vector: Vector): Buffer {
  if (Buffer.isBuffer(vector) && isBase64Text(vector)) return vector;
  const floats = Buffer.isBuffer(vector) ? parseFloats(vector) : new Float32Array(vector);
  const bytes = Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
  if (isBigEndian) bytes.swap32();
  return Buffer.from(`"${bytes.toString('base64')}"`, 'latin1');
}

/** The little-endian float32 of a vector that came as base64; null for one that came as text or numbers. */
export function float32Bytes(vector: Vector): Buffer | null {
  if (vector instanceof Float32Array) {
    const floats = new Float32Array(vector);
    const bytes = Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
    return isBigEndian ? bytes.swap32() : bytes;
  }
  if (!Buffer.isBuffer(vector) || !isBase64Text(vector)) return null;
  return Buffer.from(vector.toString('latin1', 1, vector.length - 1), 'base64');
}

/** How much of each vector but the first is decoded to check it: 12 numbers. A multiple of four characters. */
const CHECKED_CHARACTERS = 64;

/**
 * Whether the texts are JSON strings with padded base64 of vectors of float32, all of one length. The first is decoded
 * whole, since a wrong type of number is wrong in all of them, and the beginning of the others, since a model that
 * overflows gives NaN throughout a vector: 10 µs for 16 x 1536 numbers, where decoding them all costs 110.
 */
export function areFloat32(texts: readonly Buffer[]): boolean {
  const [first] = texts;
  if (first === undefined || (first.length - 2) % 4 !== 0) return false;
  const floats = floatsOf(first);
  // Characters that are not base64 are skipped by the decoder.
  if (floats.length * 4 !== base64Bytes(first) || !isPlausible(floats)) return false;
  return texts.every((text) => {
    // Node decodes base64url as well, which clients do not.
    if (text.length !== first.length || text.includes(0x2d) || text.includes(0x5f)) return false;
    return isPlausible(
      decodeFloats(Buffer.from(text.toString('latin1', 1, 1 + CHECKED_CHARACTERS), 'base64')),
    );
  });
}

function isBase64Text(vector: Buffer): boolean {
  return vector[0] === QUOTE;
}

/** How many bytes the padded base64 between the quotes of a JSON string encodes. */
function base64Bytes(text: Buffer): number {
  const characters = text.length - 2;
  const padding = text[characters] === 0x3d ? (text[characters - 1] === 0x3d ? 2 : 1) : 0;
  return (characters / 4) * 3 - padding;
}

function floatsOf(text: Buffer): Float32Array {
  return decodeFloats(Buffer.from(text.toString('latin1', 1, text.length - 1), 'base64'));
}

/** The numbers of a base64 vector; null when it is none. */
function vectorFromBase64(base64: string): Float32Array | null {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(base64)) return null;
  const floats = decodeFloats(Buffer.from(base64, 'base64'));
  return floats.length > 0 && isPlausible(floats) ? floats : null;
}

/** The numbers of little-endian float32, as a view on `bytes` where that is possible; empty for no whole number of them. */
export function decodeFloats(littleEndian: Buffer): Float32Array {
  if (littleEndian.length % 4 !== 0) return new Float32Array();
  const bytes = isBigEndian ? Buffer.from(littleEndian).swap32() : littleEndian;
  // A small buffer lies anywhere in Node's pool: its offset need not be a multiple of four.
  if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** No embedding has such numbers. */
const IMPLAUSIBLE = 1e15;

/**
 * False for NaN, Infinity, numbers beyond any embedding, and zeros in every other place: so are bytes of float64 (vLLM
 * 0.5.3, vllm#6744: vectors of twice the length) or of big-endian numbers read as float32.
 */
function isPlausible(floats: Float32Array): boolean {
  let zeros = 0;
  for (let at = 0; at < floats.length; at++) {
    const size = Math.abs(floats[at] ?? 0);
    if (!(size < IMPLAUSIBLE)) return false;
    if (size === 0 && at % 2 === 0) zeros++;
  }
  const isWide = floats.length > 2 && floats.length % 2 === 0 && zeros === floats.length / 2;
  return !isWide || floats.every((value) => value === 0);
}

/**
 * The numbers of a JSON array's text as float32. V8's JSON.parse reads numbers faster (70 µs for 1536) than a loop
 * over the bytes does (90 µs).
 */
function parseFloats(text: Buffer): Float32Array {
  let floats: Float32Array;
  try {
    floats = new Float32Array(JSON.parse(text.toString('latin1')) as number[]);
  } catch (cause) {
    throw brokenVector(cause);
  }
  if (!hasOnlyFinite(floats)) throw brokenVector(undefined);
  return floats;
}

const BROKEN = 'The upstream returned a vector that is not a list of finite numbers.';

/** FerryError `invalid_response`: what should be a vector is no list of finite numbers. */
function brokenVector(cause: unknown): FerryError {
  return new FerryError('invalid_response', {
    message: BROKEN,
    upstreamStatus: 200,
    cause,
  });
}

/** Whether an error is `brokenVector`. */
export function isBrokenVector(error: FerryError): boolean {
  return error.kind === 'invalid_response' && error.message === BROKEN;
}

/** Zero times NaN or Infinity is NaN, which stays in the sum: a tenth of what `every` costs. */
function hasOnlyFinite(floats: Float32Array): boolean {
  let sum = 0;
  for (const value of floats) sum += value * 0;
  return sum === 0;
}

interface FoundVectors {
  readonly vectors: readonly Vector[];
  readonly model: string | null;
  /** The object that may hold token counts. */
  readonly usage: unknown;
}

/** Members that hold vectors (Q149 to Q156). */
const LIST_NAMES = [
  // OpenAI, and envelopes around it.
  'data',
  // Ollama's /api/embed (Q153), Cohere; DashScope within `output`.
  'embeddings',
  // The following are in embeddings-response.test.ts and have no recorded vendor, except `float`.
  'embedding',
  'vectors',
  'output',
  'result',
  'results',
  'predictions',
  // Cohere within `embeddings`.
  'float',
];
const VECTOR_NAMES = [
  'embedding',
  'vector',
  // The following have no recorded vendor.
  'values',
  'embeddings',
  'dense',
];
const INDEX_NAMES = [
  'index',
  // No recorded vendor.
  'text_index',
];

/**
 * The vectors of a parsed response, in any shape (Q149-Q156), in the order of the inputs; null when
 * there are none in it. Throws FerryError `invalid_response` for vectors that are no lists of finite numbers.
 */
export function findVectors(json: unknown, onRepair: OnRepair): FoundVectors | null {
  const list = findList(json, LIST_NAMES, 4);
  if (list === null) return null;
  const holder = isJsonObject(json) ? json : {};
  const model = [holder.model, isJsonObject(holder.data) ? holder.data.model : null].find(isText) ?? null;
  const [first] = list;
  const isUsual = holder.data === list && isJsonObject(first) && Array.isArray(first.embedding);
  if (list.length > 0 && !isUsual) onRepair('embeddings_format');
  const isOneVector = typeof first === 'number' || isNumberText(first);
  const vectors = readList(isOneVector ? [list] : list, onRepair);
  return { vectors, model, usage: usageOf(holder) };
}

/** `usage` of the response, of its envelope's inside, Cohere's `meta`, or Ollama's counts beside the vectors. */
function usageOf(holder: JsonObject): unknown {
  const inside = isJsonObject(holder.data) ? holder.data : isJsonObject(holder.output) ? holder.output : {};
  const meta = isJsonObject(holder.meta) ? (holder.meta.tokens ?? holder.meta.billed_units) : undefined;
  return [holder.usage, inside.usage, meta].find(isJsonObject) ?? holder;
}

function readList(list: readonly unknown[], onRepair: OnRepair): Vector[] {
  const items = list.map((entry) => ({
    index: positionOf(entry),
    vector: readVector(vectorOf(entry), onRepair),
  }));
  const indexes = new Set(items.map((item) => item.index));
  // Indexes that are missing, all 0 or doubled are ignored: then the order of arrival counts (Q150).
  const isOrdered = indexes.size === items.length && !indexes.has(null);
  const isSorted = items.every(({ index }, at) => at === 0 || (index ?? 0) > (items[at - 1]?.index ?? 0));
  if (isOrdered && !isSorted) {
    onRepair('embeddings_order');
    items.sort((left, right) => (left.index ?? 0) - (right.index ?? 0));
  }
  return items.map((item) => item.vector);
}

function positionOf(entry: unknown): number | null {
  if (!isJsonObject(entry)) return null;
  const index = INDEX_NAMES.map((name) => entry[name]).find((value) => value !== undefined);
  const number = typeof index === 'string' && index !== '' ? Number(index) : index;
  return typeof number === 'number' && Number.isInteger(number) ? number : null;
}

function vectorOf(entry: unknown): unknown {
  if (!isJsonObject(entry)) return entry;
  return VECTOR_NAMES.map((name) => entry[name]).find((value) => value !== undefined);
}

function readVector(value: unknown, onRepair: OnRepair): Vector {
  if (typeof value === 'string') {
    const floats = vectorFromBase64(value);
    if (floats !== null) return floats;
  }
  let flat = value;
  // `[[…]]` around one vector (llama.cpp); several inside would be vectors of tokens, which have no one meaning.
  while (Array.isArray(flat) && flat.length === 1 && Array.isArray(flat[0])) flat = flat[0];
  if (Array.isArray(flat) && flat.length > 0 && flat.every(isNumberText)) {
    onRepair('embeddings_number_texts');
    flat = flat.map(Number);
  }
  if (!Array.isArray(flat) || flat.length === 0 || !flat.every(Number.isFinite)) {
    throw brokenVector(undefined);
  }
  return flat as number[];
}

function isNumberText(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= 40 &&
    /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(value)
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
