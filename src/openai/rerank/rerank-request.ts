import { FerryError } from '../../lib/errors/ferry-error.ts';

/** What the reply to a rerank request must fit. */
export interface RerankRequest {
  readonly documents: number;
  /** How many results the client wants; all by default, never more than there are documents. */
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

/** The reply to an empty list of documents; no upstream needs to be asked (S118). */
export function emptyRerankReply(id: string, model: string): Buffer {
  return Buffer.from(
    JSON.stringify({ id, model, results: [], usage: { prompt_tokens: 0, total_tokens: 0 } }),
  );
}
