import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { brokenVector, type Vector, vectorFromBase64 } from './vector.ts';

interface FoundVectors {
  readonly vectors: readonly Vector[];
  readonly model: string | null;
  /** The object that may hold token counts. */
  readonly usage: unknown;
}

/** Where vectors may stand: OpenAI and envelopes, Ollama, TEI, DashScope, Cohere. */
const LIST_NAMES = [
  'data',
  'embeddings',
  'embedding',
  'vectors',
  'output',
  'result',
  'results',
  'predictions',
];
const VECTOR_NAMES = ['embedding', 'vector', 'values', 'embeddings', 'dense'];
const INDEX_NAMES = ['index', 'text_index'];

/**
 * The vectors of a parsed reply, whatever its shape (Q149-Q156), in the order of the inputs; null when
 * there are none in it. Throws FerryError `invalid_response` for vectors that are no lists of finite numbers.
 */
export function findVectors(json: unknown): FoundVectors | null {
  const list = findList(json, 4);
  if (list === null) return null;
  const holder = isJsonObject(json) ? json : {};
  const model = [holder.model, isJsonObject(holder.data) ? holder.data.model : null].find(isText) ?? null;
  return { vectors: readList(list), model, usage: usageOf(holder) };
}

/** `usage` of the reply, of its envelope's inside, Cohere's `meta`, or Ollama's counts beside the vectors. */
function usageOf(holder: JsonObject): unknown {
  const inside = isJsonObject(holder.data) ? holder.data : isJsonObject(holder.output) ? holder.output : {};
  const meta = isJsonObject(holder.meta) ? (holder.meta.tokens ?? holder.meta.billed_units) : undefined;
  return [holder.usage, inside.usage, meta].find(isJsonObject) ?? holder;
}

function findList(json: unknown, depth: number): readonly unknown[] | null {
  if (Array.isArray(json)) return typeof json[0] === 'number' ? [json] : json;
  if (!isJsonObject(json) || depth === 0) return null;
  for (const name of LIST_NAMES) {
    const list = findList(json[name], depth - 1);
    if (list !== null) return list;
  }
  // Cohere: { embeddings: { float: [[…]] } }
  return Array.isArray(json.float) ? findList(json.float, depth - 1) : null;
}

function readList(list: readonly unknown[]): Vector[] {
  const items = list.map((entry) => ({ index: positionOf(entry), vector: readVector(vectorOf(entry)) }));
  const indexes = new Set(items.map((item) => item.index));
  // Indexes that are missing, all 0 or doubled say nothing: then the order of arrival holds (Q150).
  const isOrdered = indexes.size === items.length && !indexes.has(null);
  if (isOrdered) items.sort((left, right) => (left.index ?? 0) - (right.index ?? 0));
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

function readVector(value: unknown): Vector {
  if (typeof value === 'string') {
    const floats = vectorFromBase64(value);
    if (floats !== null) return floats;
  }
  let flat = value;
  // `[[…]]` around one vector (llama.cpp); several inside would be vectors of tokens, which have no one meaning.
  while (Array.isArray(flat) && flat.length === 1 && Array.isArray(flat[0])) flat = flat[0];
  if (!Array.isArray(flat) || flat.length === 0 || !flat.every(Number.isFinite)) {
    throw brokenVector(undefined);
  }
  return flat as number[];
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
