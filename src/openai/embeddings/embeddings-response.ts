import { FerryError } from '../../lib/errors/ferry-error.ts';
import { counted } from '../../lib/text/format.ts';
import { findErrorInBody } from '../errors/error-shapes.ts';
import { type ErrorContext, invalidBodyError, readBodyError } from '../errors/upstream-error.ts';
import { parseResponseJson } from '../response-json.ts';
import { estimateTokens } from '../usage/token-count.ts';
import { readUsage, type Usage } from '../usage/usage.ts';
import { checkDimensions, type WantedDimensions } from './dimensions.ts';
import type { VectorEncoding } from './embeddings-request.ts';
import { findVectors } from './embeddings-shapes.ts';
import { readSkeleton } from './embeddings-skeleton.ts';
import { type Vector, vectorToBase64, vectorToJson } from './vector.ts';

export interface EmbeddingsReplyOptions extends Omit<ErrorContext, 'model' | 'path'>, WantedDimensions {
  /** How many vectors this call must give. */
  readonly inputs: number;
  /** What the client asked for. */
  readonly encoding: VectorEncoding;
  readonly requestedModel: string;
  readonly replyModel: 'upstream' | 'requested';
  /** The inputs' text, asked for only when usage must be estimated. */
  readonly promptForEstimate?: () => string;
  /** True: the inputs are token ids; an upstream that does not know them is told from by the hint. */
  readonly hasTokenIds?: boolean;
}

/** The vectors of one upstream call, in the order of its inputs. */
export interface VectorReply {
  readonly vectors: readonly Vector[];
  readonly usage: Usage;
  readonly isUsageEstimated: boolean;
  /** Null: the upstream named none. */
  readonly upstreamModel: string | null;
  /** True: the body is the canonical float reply as it stands. */
  readonly isCanonical: boolean;
}

export interface EmbeddingsReply {
  readonly body: Buffer;
  readonly usage: Usage;
  readonly isUsageEstimated: boolean;
  readonly upstreamModel: string | null;
  /** True: `body` is the upstream's own buffer. */
  readonly isRelayed: boolean;
}

/**
 * The canonical reply for the client from an upstream's body: exactly one vector an input, in order, floats or
 * base64 as asked. Throws FerryError: the error inside the body, `mismatch`, `invalid_response`, `disconnected`, and
 * `client_fault` for vectors of another length than `dimensions` asked for.
 */
export function readEmbeddingsReply(body: Buffer, options: EmbeddingsReplyOptions): EmbeddingsReply {
  const reply = readVectors(body, options);
  const { usage, isUsageEstimated, upstreamModel } = reply;
  const model = replyModelOf(upstreamModel, options);
  const isRelayed = reply.isCanonical && options.encoding === 'float' && model === upstreamModel;
  const written = isRelayed ? body : writeEmbeddingsReply(reply.vectors, { ...options, model, usage });
  return { body: written, usage, isUsageEstimated, upstreamModel, isRelayed };
}

/**
 * One reply from those of several calls for parts of the inputs, in their order; usage is summed. All must come
 * from the same upstream model, else FerryError `mismatch`: vectors of different models must not be compared.
 */
export function joinVectorReplies(
  replies: readonly VectorReply[],
  options: EmbeddingsReplyOptions,
): EmbeddingsReply {
  const models = new Set(replies.map((reply) => reply.upstreamModel));
  if (models.size > 1) {
    throw new FerryError('mismatch', {
      message: 'The upstream answered parts of one request with different models.',
    });
  }
  const vectors = replies.flatMap((reply) => reply.vectors);
  if (vectors.length !== options.inputs) throw wrongCount(vectors.length, options);
  const upstreamModel = replies[0]?.upstreamModel ?? null;
  const usage = sumOf(replies.map((reply) => reply.usage));
  const model = replyModelOf(upstreamModel, options);
  return {
    body: writeEmbeddingsReply(vectors, { encoding: options.encoding, model, usage }),
    usage,
    isUsageEstimated: replies.some((reply) => reply.isUsageEstimated),
    upstreamModel,
    isRelayed: false,
  };
}

/** Reads the vectors of one upstream call; throws as `readEmbeddingsReply` does. */
export function readVectors(body: Buffer, options: EmbeddingsReplyOptions): VectorReply {
  const reply = readReply(body, options);
  checkDimensions(reply.vectors, reply.upstreamModel, options);
  return reply;
}

function readReply(body: Buffer, options: EmbeddingsReplyOptions): VectorReply {
  const skeleton = readSkeleton(body, options.inputs);
  if (skeleton !== null) {
    const { vectors, usage, model } = skeleton;
    return { vectors, usage, upstreamModel: model, isUsageEstimated: false, isCanonical: true };
  }
  const json = parse(body, options);
  const error = findErrorInBody(json);
  if (error !== null) throw readBodyError(error, contextOf(options));
  const found = findVectors(json);
  if (found === null) throw invalidBodyError(excerptSource(body), contextOf(options));
  if (found.vectors.length !== options.inputs) throw wrongCount(found.vectors.length, options);
  const usage = readUsage(found.usage);
  return {
    vectors: found.vectors,
    usage: usage ?? estimate(options),
    isUsageEstimated: usage === null,
    upstreamModel: found.model,
    isCanonical: false,
  };
}

interface ReplyFacts {
  readonly encoding: VectorEncoding;
  readonly model: string;
  readonly usage: Usage;
}

/** The canonical reply's bytes (OpenAI's CreateEmbeddingResponse). */
function writeEmbeddingsReply(vectors: readonly Vector[], facts: ReplyFacts): Buffer {
  const parts: Buffer[] = [Buffer.from('{"object":"list","data":[')];
  for (const [index, vector] of vectors.entries()) {
    const head = `${index === 0 ? '' : ','}{"object":"embedding","index":${index},"embedding":`;
    if (facts.encoding === 'base64') {
      parts.push(Buffer.from(`${head}"${vectorToBase64(vector)}"}`, 'latin1'));
    } else {
      parts.push(Buffer.from(head, 'latin1'), vectorToJson(vector), Buffer.from('}'));
    }
  }
  const usage = { prompt_tokens: facts.usage.promptTokens, total_tokens: facts.usage.totalTokens };
  parts.push(Buffer.from(`],"model":${JSON.stringify(facts.model)},"usage":${JSON.stringify(usage)}}`));
  return Buffer.concat(parts);
}

function replyModelOf(upstreamModel: string | null, options: EmbeddingsReplyOptions): string {
  return options.replyModel === 'requested'
    ? options.requestedModel
    : (upstreamModel ?? options.requestedModel);
}

function sumOf(usages: readonly Usage[]): Usage {
  const promptTokens = usages.reduce((sum, usage) => sum + usage.promptTokens, 0);
  return {
    promptTokens,
    completionTokens: 0,
    totalTokens: usages.reduce((sum, usage) => sum + usage.totalTokens, 0),
  };
}

function estimate(options: EmbeddingsReplyOptions): Usage {
  const tokens = estimateTokens(options.promptForEstimate?.() ?? '');
  return { promptTokens: tokens, completionTokens: 0, totalTokens: tokens };
}

function parse(body: Buffer, options: EmbeddingsReplyOptions): unknown {
  try {
    return parseResponseJson(body, contextOf(options));
  } catch (error) {
    throw error instanceof FerryError && error.kind === 'invalid_response' && holdsNonNumbers(body)
      ? new FerryError('invalid_response', {
          message: 'The upstream answered with vectors that hold NaN or Infinity.',
          upstreamStatus: 200,
        })
      : error;
  }
}

/** JSON as Python writes it. */
function holdsNonNumbers(body: Buffer): boolean {
  const text = body.toString('utf8');
  return /^\s*\ufeff?\s*[{[]/.test(text) && /\b(?:NaN|Infinity)\b/.test(text);
}

/** An excerpt of numbers helps nobody; the names around them do. */
function excerptSource(body: Buffer): string {
  return body.toString('utf8', 0, 4000).replace(/\[[-\d.,eE+\s]{40,}\]?/g, '[…]');
}

function wrongCount(found: number, options: EmbeddingsReplyOptions): FerryError {
  const hint = options.hasTokenIds
    ? ' The inputs are token ids, which it may not know: set check_embedding_ctx_length=False in LangChain.'
    : '';
  return new FerryError('mismatch', {
    message: `The upstream answered with ${counted(found, 'vector')} for ${counted(options.inputs, 'input')}.${hint}`,
    upstreamStatus: 200,
  });
}

function contextOf(options: EmbeddingsReplyOptions): ErrorContext {
  return { ...options, model: options.requestedModel, path: '/v1/embeddings' };
}
