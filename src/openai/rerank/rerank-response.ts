import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { findErrorInBody } from '../errors/error-shapes.ts';
import { type ErrorContext, readBodyError } from '../errors/upstream-error.ts';
import { invalidResponseBody, parseResponseJson } from '../response-json.ts';
import { readUsage, type Usage } from '../usage/usage.ts';
import type { RerankRequest } from './rerank-request.ts';

interface RerankReplyOptions extends Omit<ErrorContext, 'model' | 'path'> {
  readonly request: RerankRequest;
  readonly requestedModel: string;
  readonly replyModel: 'upstream' | 'requested';
  /** True: scores that are logits are put through the logistic function (S119). Default false. */
  readonly normaliseScores?: boolean;
  newId(): string;
}

export interface RerankReply {
  readonly body: Buffer;
  /** Null: the upstream counted nothing. */
  readonly usage: Usage | null;
  readonly upstreamModel: string | null;
}

interface Result {
  readonly index: number;
  readonly relevance_score: number;
  readonly document?: unknown;
}

const LIST_NAMES = ['results', 'data', 'output', 'rankings', 'result', 'scores'];
const SCORE_NAMES = ['relevance_score', 'score', 'relevanceScore', 'logit', 'similarity'];
const INDEX_NAMES = ['index', 'corpus_id', 'document_index', 'position'];

/**
 * The canonical rerank reply from any shape of upstream (Q159): `results` with `index` and `relevance_score`, the
 * best first, at most `top_n`. Throws FerryError: the error inside the body, `invalid_response`, `mismatch`.
 */
export function readRerankReply(body: Buffer, options: RerankReplyOptions): RerankReply {
  const context: ErrorContext = { ...options, model: options.requestedModel, path: '/v1/rerank' };
  const json = parseResponseJson(body, context);
  const error = findErrorInBody(json);
  if (error !== null) throw readBodyError(error, context);
  const list = findList(json, 3);
  if (list === null) throw invalidResponseBody(body, context);
  const holder = isJsonObject(json) ? json : {};
  const upstreamModel = typeof holder.model === 'string' && holder.model !== '' ? holder.model : null;
  const usage = usageOf(holder);
  const answer = {
    id: typeof holder.id === 'string' && holder.id !== '' ? holder.id : options.newId(),
    model:
      options.replyModel === 'requested' ? options.requestedModel : (upstreamModel ?? options.requestedModel),
    results: resultsOf(list, options),
    usage: { prompt_tokens: usage?.promptTokens ?? 0, total_tokens: usage?.totalTokens ?? 0 },
    ...(isJsonObject(holder.meta) && { meta: holder.meta }),
  };
  return { body: Buffer.from(JSON.stringify(answer)), usage, upstreamModel };
}

function findList(json: unknown, depth: number): readonly unknown[] | null {
  if (Array.isArray(json)) return json;
  if (!isJsonObject(json) || depth === 0) return null;
  for (const name of LIST_NAMES) {
    const list = findList(json[name], depth - 1);
    if (list !== null) return list;
  }
  return null;
}

function resultsOf(list: readonly unknown[], options: RerankReplyOptions): Result[] {
  const { request } = options;
  const quoted = new Set<number>();
  const results = list.map((entry, position) => readResult(entry, position, request, quoted));
  if (new Set(results.map((result) => result.index)).size !== results.length) {
    throw new FerryError('mismatch', {
      message: 'The upstream ranked one document twice.',
      upstreamStatus: 200,
    });
  }
  if (results.length === 0 && request.documents > 0) {
    throw new FerryError('mismatch', {
      message: `The upstream ranked none of ${request.documents} documents.`,
      upstreamStatus: 200,
    });
  }
  const scaled = options.normaliseScores ? withoutLogits(results) : results;
  return scaled.sort((left, right) => right.relevance_score - left.relevance_score).slice(0, request.topN);
}

/** A bare number is the score of the document at its place. `quoted`: documents that results without an index had. */
function readResult(entry: unknown, position: number, request: RerankRequest, quoted: Set<number>): Result {
  const json: JsonObject = isJsonObject(entry) ? entry : { score: entry };
  const score = numberOf(json, SCORE_NAMES);
  const index = numberOf(json, INDEX_NAMES) ?? placeOf(json, request, quoted) ?? position;
  if (score === null) {
    throw new FerryError('invalid_response', {
      message: 'The upstream answered with a result that has no score.',
      upstreamStatus: 200,
    });
  }
  if (!Number.isInteger(index) || index < 0 || index >= request.documents) {
    throw new FerryError('mismatch', {
      message: `The upstream ranked a document ${index} of ${request.documents}.`,
      upstreamStatus: 200,
    });
  }
  const document = request.returnDocuments
    ? asDocument(json.document ?? json.text ?? request.documentAt(index))
    : null;
  return { index, relevance_score: score, ...(document !== null && { document }) };
}

/** The place of the document that a result quotes; null: it quotes none of ours. Of equal ones the next. */
function placeOf(json: JsonObject, request: RerankRequest, quoted: Set<number>): number | null {
  const text = textOf(json.document ?? json.text);
  if (text === null) return null;
  for (let index = 0; index < request.documents; index++) {
    if (quoted.has(index) || textOf(request.documentAt(index)) !== text) continue;
    quoted.add(index);
    return index;
  }
  return null;
}

function textOf(document: unknown): string | null {
  const text = isJsonObject(document) ? document.text : document;
  return typeof text === 'string' ? text : null;
}

/** Clients expect `{text}`; servers send the text alone as well. */
function asDocument(document: unknown): unknown {
  return typeof document === 'string' ? { text: document } : (document ?? null);
}

function numberOf(json: JsonObject, names: readonly string[]): number | null {
  for (const name of names) {
    const value = json[name];
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
  }
  return null;
}

/** Scores outside of [0, 1] are logits; then all of them are, so that the order stays. */
function withoutLogits(results: Result[]): Result[] {
  const areLogits = results.some((result) => result.relevance_score < 0 || result.relevance_score > 1);
  if (!areLogits) return results;
  return results.map((result) => ({
    ...result,
    relevance_score: 1 / (1 + Math.exp(-result.relevance_score)),
  }));
}

function usageOf(holder: JsonObject): Usage | null {
  const meta = isJsonObject(holder.meta) ? (holder.meta.tokens ?? holder.meta.billed_units) : undefined;
  const usage = readUsage([holder.usage, meta].find(isJsonObject));
  // Jina and vLLM count the total only; in a ranking nothing is completed.
  return usage && { promptTokens: usage.totalTokens, completionTokens: 0, totalTokens: usage.totalTokens };
}
