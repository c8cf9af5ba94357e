import { FerryError } from '../../lib/errors/ferry-error.ts';
import { findList, firstNumber, isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { type ErrorContext, throwVendorError } from '../errors/upstream-error.ts';
import { invalidResponseBody, parseResponseJson } from '../response-body.ts';
import { readUsage, type Usage } from '../usage/usage.ts';
import type { OnRepair } from '../vendors/repairs.ts';

/** What the response to a rerank request must fit. */
interface RerankRequest {
  readonly documents: number;
  /** The number of requested results; all by default, never more than there are documents. */
  readonly topN: number;
  readonly returnDocuments: boolean;
  /** The documents as the client sent them, for `return_documents`. */
  readonly documentAt: (index: number) => unknown;
}

/** Reads the parsed request (Jina's and Cohere's convention); throws FerryError `invalid_request`. */
export function readRerankRequest(json: Readonly<Record<string, unknown>>): RerankRequest {
  const { query, documents } = json;
  if (query === undefined || query === null) throw invalid('query', 'The request has no query: set "query".');
  if (!Array.isArray(documents))
    throw invalid('documents', 'The request has no list of documents: set "documents".');
  const asked = typeof json.top_n === 'number' && json.top_n >= 1 ? Math.floor(json.top_n) : documents.length;
  return {
    documents: documents.length,
    topN: Math.min(asked, documents.length),
    returnDocuments: json.return_documents === true,
    documentAt: (index) => documents[index] as unknown,
  };
}

function invalid(param: string, message: string): FerryError {
  return new FerryError('invalid_request', { message, param });
}

/** The response to an empty list of documents; no upstream is called (S118). */
export function emptyRerankResponse(id: string, model: string): Buffer {
  return Buffer.from(
    JSON.stringify({ id, model, results: [], usage: { prompt_tokens: 0, total_tokens: 0 } }),
  );
}

interface RerankResponseOptions extends Omit<ErrorContext, 'model' | 'path'> {
  readonly request: RerankRequest;
  readonly requestedModel: string;
  readonly onRepair?: OnRepair;
  readonly replyModel: 'upstream' | 'requested';
  newId(): string;
}

interface RerankResponse {
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

/** Members that hold results (Q159: Xinference, vLLM, TEI); those without a vendor are in rerank.test.ts and have no recorded one. */
const LIST_NAMES = [
  // Jina's and Cohere's convention.
  'results',
  'data',
  'output',
  'rankings',
  // Gateways of companies, as they wrap other responses (Q42).
  'result',
  // One bare number per document.
  'scores',
];
const SCORE_NAMES = [
  'relevance_score',
  // Xinference, vLLM, TEI (Q159).
  'score',
  'relevanceScore',
  'logit',
  'similarity',
];
const INDEX_NAMES = [
  'index',
  // The following are in rerank.test.ts and have no recorded vendor.
  'corpus_id',
  'document_index',
  'position',
];

/**
 * The canonical rerank response from any shape of upstream (Q159): `results` with `index` and `relevance_score`, the
 * best first, at most `top_n`. Throws FerryError: the error inside the body, `invalid_response`, `mismatch`.
 */
export function readRerankResponse(body: Buffer, options: RerankResponseOptions): RerankResponse {
  const context: ErrorContext = { ...options, model: options.requestedModel, path: '/v1/rerank' };
  const json = parseResponseJson(body, context);
  throwVendorError(json, context);
  const list = findList(json, LIST_NAMES, 3);
  if (list === null) throw invalidResponseBody(body, context);
  const holder = isJsonObject(json) ? json : {};
  const [first] = list;
  const isUsual = holder.results === list && (!isJsonObject(first) || 'relevance_score' in first);
  if (!isUsual) options.onRepair?.('rerank_format');
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

function resultsOf(list: readonly unknown[], options: RerankResponseOptions): Result[] {
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
  const sorted = results.toSorted((left, right) => right.relevance_score - left.relevance_score);
  if (sorted.some((result, place) => result !== results[place])) options.onRepair?.('rerank_order');
  return sorted.slice(0, request.topN);
}

/** A bare number is the score of the document at its place. `quoted`: documents that results without an index had. */
function readResult(entry: unknown, position: number, request: RerankRequest, quoted: Set<number>): Result {
  const json: JsonObject = isJsonObject(entry) ? entry : { score: entry };
  const score = firstNumber(json, SCORE_NAMES);
  const index = firstNumber(json, INDEX_NAMES) ?? placeOf(json, request, quoted) ?? position;
  if (score === null) {
    throw new FerryError('invalid_response', {
      message: 'The upstream returned a result that has no score.',
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

function usageOf(holder: JsonObject): Usage | null {
  const meta = isJsonObject(holder.meta) ? (holder.meta.tokens ?? holder.meta.billed_units) : undefined;
  const usage = readUsage([holder.usage, meta].find(isJsonObject));
  // Some count the total only; in a ranking nothing is completed.
  return usage && { promptTokens: usage.totalTokens, completionTokens: 0, totalTokens: usage.totalTokens };
}
