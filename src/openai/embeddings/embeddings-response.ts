import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';
import { cutLongStrings, cutNumberArrays } from '../../lib/json/json-scanner.ts';
import { counted } from '../../lib/text/format.ts';
import { type ErrorContext, invalidBodyError, throwVendorError } from '../errors/upstream-error.ts';
import { parseResponseJson } from '../response-body.ts';
import { estimateTokens } from '../usage/token-count.ts';
import { isCanonicalUsage, readUsage, type Usage } from '../usage/usage.ts';
import type { OnRepair } from '../vendors/repairs.ts';
import type { VectorEncoding } from './embeddings-request.ts';
import {
  areFloat32,
  findVectors,
  type Vector,
  vectorLength,
  vectorToBase64Json,
  vectorToJson,
} from './vectors.ts';

export interface EmbeddingsResponseOptions extends Omit<ErrorContext, 'model' | 'path'> {
  /** `dimensions` of the request; null: absent, or no valid length. */
  readonly dimensions?: number | null;
  readonly onRepair?: OnRepair;
  /** The upstream's name, for errors. */
  readonly upstream?: string;
  /** How many vectors this call must give. */
  readonly inputs: number;
  /** What the client requested. */
  readonly encoding: VectorEncoding;
  readonly requestedModel: string;
  readonly replyModel: 'upstream' | 'requested';
  /** The inputs' text, called only when usage must be estimated. */
  readonly promptForEstimate?: () => string;
  /** True: the inputs are token ids, which errors mention. */
  readonly hasTokenIds?: boolean;
}

/** The vectors of one upstream call, in the order of its inputs. */
export interface VectorResponse {
  readonly vectors: readonly Vector[];
  readonly usage: Usage;
  readonly isUsageEstimated: boolean;
  /** Null: the upstream named none. */
  readonly upstreamModel: string | null;
  /** The encoding in which the body is the canonical response already; null: it must be written. */
  readonly canonicalEncoding: VectorEncoding | null;
}

export interface EmbeddingsResponse {
  /** In pieces: those of the upstream when they are relayed. */
  readonly body: readonly Buffer[];
  readonly usage: Usage;
  readonly isUsageEstimated: boolean;
  readonly upstreamModel: string | null;
  /** True: `body` has the upstream's own buffers. */
  readonly isRelayed: boolean;
}

/**
 * The canonical response for the client from an upstream's body: exactly one vector an input, in order, floats or
 * base64 as asked. Throws FerryError: the error inside the body, `mismatch`, `invalid_response`, `disconnected`, and
 * `client_fault` for vectors of another length than the requested `dimensions`.
 */
export function readEmbeddingsResponse(
  pieces: readonly Buffer[],
  options: EmbeddingsResponseOptions,
): EmbeddingsResponse {
  const response = readWholeResponse(joinInScratch(pieces), options);
  const { usage, isUsageEstimated, upstreamModel } = response;
  const model = responseModelOf(upstreamModel, options);
  const isRelayed = response.canonicalEncoding === options.encoding && model === upstreamModel;
  const body = isRelayed ? pieces : [writeEmbeddingsResponse(response.vectors, { ...options, model, usage })];
  return { body, usage, isUsageEstimated, upstreamModel, isRelayed };
}

/** Larger responses get a buffer of their own. */
const MAX_SCRATCH_BYTES = 4 * 1024 * 1024;
let scratch: Buffer = Buffer.alloc(0);

/**
 * The pieces as one buffer, which is valid until the next call: a new one for 130 KB costs more than the check of what
 * is in it (page faults, and the garbage collections that memory outside of the heap leads to).
 */
function joinInScratch(pieces: readonly Buffer[]): Buffer {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (size > MAX_SCRATCH_BYTES) return Buffer.concat(pieces, size);
  if (scratch.length < size) scratch = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(size)));
  let at = 0;
  for (const piece of pieces) at += piece.copy(scratch, at);
  return scratch.subarray(0, size);
}

/**
 * One response from those of several calls for parts of the inputs, in their order; usage is summed. All must come
 * from the same upstream model, else FerryError `mismatch`: vectors of different models must not be compared.
 */
export function joinVectorResponses(
  responses: readonly VectorResponse[],
  options: EmbeddingsResponseOptions,
): EmbeddingsResponse {
  const joined = joinedUsage(responses);
  const vectors = responses.flatMap((response) => response.vectors);
  if (vectors.length !== options.inputs) throw wrongCount(vectors.length, options);
  const body = [writeVectors(vectors, joined.upstreamModel, joined.usage, options)];
  return { ...joined, body, isRelayed: false };
}

/** What several calls for parts of the inputs have cost together, and their one model; throws as `joinVectorResponses` does. */
export function joinedUsage(
  responses: readonly VectorResponse[],
): Pick<EmbeddingsResponse, 'usage' | 'isUsageEstimated' | 'upstreamModel'> {
  const models = new Set(responses.map((response) => response.upstreamModel));
  if (models.size > 1) {
    throw new FerryError('mismatch', {
      message: 'The upstream used different models for parts of one request.',
    });
  }
  return {
    usage: sumOf(responses.map((response) => response.usage)),
    isUsageEstimated: responses.some((response) => response.isUsageEstimated),
    upstreamModel: responses[0]?.upstreamModel ?? null,
  };
}

/** The body of the canonical response with these vectors of one upstream model; null: it has no name. */
export function writeVectors(
  vectors: readonly Vector[],
  upstreamModel: string | null,
  usage: Usage,
  form: Pick<EmbeddingsResponseOptions, 'encoding' | 'replyModel' | 'requestedModel'>,
): Buffer {
  const model = responseModelOf(upstreamModel, form);
  return writeEmbeddingsResponse(vectors, { encoding: form.encoding, model, usage });
}

/** Reads the vectors of one upstream call, to be joined with others; throws as `readEmbeddingsResponse` does. */
export function readVectors(pieces: readonly Buffer[], options: EmbeddingsResponseOptions): VectorResponse {
  return readWholeResponse(Buffer.concat(pieces), options);
}

function readWholeResponse(body: Buffer, options: EmbeddingsResponseOptions): VectorResponse {
  const response = readResponse(body, options);
  checkDimensions(response.vectors, response.upstreamModel, options);
  return response;
}

function readResponse(body: Buffer, options: EmbeddingsResponseOptions): VectorResponse {
  const skeleton = readSkeleton(body, options.inputs);
  if (skeleton !== null) {
    const { vectors, encoding, usage, model } = skeleton;
    return { vectors, usage, upstreamModel: model, isUsageEstimated: false, canonicalEncoding: encoding };
  }
  const json = parse(body, options);
  throwVendorError(json, contextOf(options));
  const onRepair = options.onRepair ?? (() => undefined);
  const found = findVectors(json, onRepair);
  if (found === null) throw invalidBodyError(excerptSource(body), contextOf(options));
  if (found.vectors.length !== options.inputs) throw wrongCount(found.vectors.length, options);
  const usage = readUsage(found.usage);
  if (usage === null) onRepair('usage_estimated');
  return {
    vectors: found.vectors,
    usage: usage ?? estimate(options),
    isUsageEstimated: usage === null,
    upstreamModel: found.model,
    canonicalEncoding: null,
  };
}

interface ResponseFacts {
  readonly encoding: VectorEncoding;
  readonly model: string;
  readonly usage: Usage;
}

/** The canonical response's bytes (OpenAI's CreateEmbeddingResponse). */
function writeEmbeddingsResponse(vectors: readonly Vector[], facts: ResponseFacts): Buffer {
  const parts: Buffer[] = [Buffer.from('{"object":"list","data":[')];
  for (const [index, vector] of vectors.entries()) {
    const head = `${index === 0 ? '' : ','}{"object":"embedding","index":${index},"embedding":`;
    const text = facts.encoding === 'base64' ? vectorToBase64Json(vector) : vectorToJson(vector);
    parts.push(Buffer.from(head, 'latin1'), text, Buffer.from('}'));
  }
  const usage = { prompt_tokens: facts.usage.promptTokens, total_tokens: facts.usage.totalTokens };
  parts.push(Buffer.from(`],"model":${JSON.stringify(facts.model)},"usage":${JSON.stringify(usage)}}`));
  return Buffer.concat(parts);
}

function responseModelOf(
  upstreamModel: string | null,
  { replyModel, requestedModel }: Pick<EmbeddingsResponseOptions, 'replyModel' | 'requestedModel'>,
): string {
  return replyModel === 'requested' ? requestedModel : (upstreamModel ?? requestedModel);
}

function sumOf(usages: readonly Usage[]): Usage {
  const promptTokens = usages.reduce((sum, usage) => sum + usage.promptTokens, 0);
  return {
    promptTokens,
    completionTokens: 0,
    totalTokens: usages.reduce((sum, usage) => sum + usage.totalTokens, 0),
  };
}

function estimate(options: EmbeddingsResponseOptions): Usage {
  const tokens = estimateTokens(options.promptForEstimate?.() ?? '');
  return { promptTokens: tokens, completionTokens: 0, totalTokens: tokens };
}

function parse(body: Buffer, options: EmbeddingsResponseOptions): unknown {
  try {
    return parseResponseJson(body, contextOf(options));
  } catch (error) {
    throw error instanceof FerryError && error.kind === 'invalid_response' && holdsNonNumbers(body)
      ? new FerryError('invalid_response', {
          message: 'The upstream returned vectors that hold NaN or Infinity.',
          upstreamStatus: 200,
        })
      : error;
  }
}

/** Whether a body is JSON as Python's `json.dumps` writes NaN. */
function holdsNonNumbers(body: Buffer): boolean {
  const text = body.toString('utf8');
  return /^\s*\ufeff?\s*[{[]/.test(text) && /\b(?:NaN|Infinity)\b/.test(text);
}

/** Without the numbers, which would fill the excerpt. */
function excerptSource(body: Buffer): string {
  return body.toString('utf8', 0, 4000).replace(/\[[-\d.,eE+\s]{40,}\]?/g, '[…]');
}

function wrongCount(found: number, options: EmbeddingsResponseOptions): FerryError {
  const hint = options.hasTokenIds
    ? ' The inputs are token ids, which it may not support: set check_embedding_ctx_length=False in LangChain.'
    : '';
  return new FerryError('mismatch', {
    message: `The upstream returned ${counted(found, 'vector')} for ${counted(options.inputs, 'input')}.${hint}`,
    upstreamStatus: 200,
  });
}

function contextOf(options: EmbeddingsResponseOptions): ErrorContext {
  return { ...options, model: options.requestedModel, path: '/v1/embeddings' };
}

/** What was read of a canonical response without reading its numbers. */
interface EmbeddingsSkeleton {
  /** The JSON text of each vector, in order, as views on the body. */
  readonly vectors: readonly Buffer[];
  readonly encoding: VectorEncoding;
  readonly model: string;
  readonly usage: Usage;
}

/**
 * Checks that a body is the canonical response for `inputs` inputs, as floats or base64, in microseconds: the vectors,
 * 99 % of it, are stepped over with the native search, and what is left (about 60 bytes an item) is parsed as JSON
 * with a position in place of each vector. Null: not canonical, or not surely so; then it must be parsed.
 *
 * JSON.parse of 16 x 1536 floats (300 KB) costs 1.5 ms, which is three times all other work of such a request.
 */
export function readSkeleton(body: Buffer, inputs: number): EmbeddingsSkeleton | null {
  const arrays = cutNumberArrays(body, inputs);
  const found = arrays ?? cutLongStrings(body, inputs);
  if (found === null) return null;
  const encoding = arrays === null ? 'base64' : 'float';
  // Escapes and non-ASCII text could hide anything; they are rare in responses and cost a parse.
  if (/[\\\u0080-\u00ff]/.test(found.rest)) return null;
  const json = parseJson(found.rest);
  if (!isJsonObject(json) || json.object !== 'list' || !Array.isArray(json.data)) return null;
  if (typeof json.model !== 'string' || json.model === '' || json.model.includes('[')) return null;
  if (json.data.length !== inputs || ('error' in json && json.error !== null)) return null;
  const isInPlace = encoding === 'float' ? isArrayInPlace : isStringInPlace;
  if (!json.data.every(isInPlace)) return null;
  const usage = canonicalUsage(json.usage);
  if (usage === null || (encoding === 'base64' && !areFloat32(found.values))) return null;
  return { vectors: found.values, encoding, model: json.model, usage };
}

function isArrayInPlace(item: unknown, position: number): boolean {
  if (!isItem(item, position)) return false;
  return Array.isArray(item.embedding) && item.embedding.length === 1 && item.embedding[0] === position;
}

function isStringInPlace(item: unknown, position: number): boolean {
  return isItem(item, position) && item.embedding === String(position);
}

function isItem(item: unknown, position: number): item is JsonObject {
  return isJsonObject(item) && item.object === 'embedding' && item.index === position;
}

/** Clients read prompt_tokens and total_tokens; OpenAI's embeddings have no completion_tokens. */
function canonicalUsage(raw: unknown): Usage | null {
  if (!isJsonObject(raw)) return null;
  const isWhole = Number.isSafeInteger(raw.prompt_tokens) && Number.isSafeInteger(raw.total_tokens);
  if (!isWhole) return null;
  return isCanonicalUsage(raw) || raw.total_tokens === raw.prompt_tokens ? readUsage(raw) : null;
}

/**
 * Throws FerryError 400 when an upstream returned vectors of another length than requested: some servers ignore
 * `dimensions`, and an index filled with vectors of two lengths is broken for good (S115). Text that is
 * only relayed is counted in its first vector alone: the vectors of one response come from one model.
 */
function checkDimensions(
  vectors: readonly Vector[],
  model: string | null,
  { dimensions = null, upstream }: EmbeddingsResponseOptions,
): void {
  if (dimensions === null) return;
  const counted = Buffer.isBuffer(vectors[0]) ? vectors.slice(0, 1) : vectors;
  const found = counted.map(vectorLength).find((length) => length !== dimensions);
  if (found === undefined) return;
  const whose = [
    model === null ? 'The model' : `The model "${model}"`,
    upstream === undefined ? '' : ` of upstream "${upstream}"`,
  ].join('');
  throw new FerryError('client_fault', {
    message:
      `${whose} returned vectors of ${found} numbers where "dimensions" asks for ${dimensions}: ` +
      `it cannot shorten them. Leave "dimensions" out or set it to ${found}.`,
    status: 400,
    upstreamStatus: 200,
    code: 'unsupported_dimensions',
    param: 'dimensions',
  });
}
