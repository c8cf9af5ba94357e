import type { RequestRecord } from '../lib/request-record.ts';

/** What stands in a label for everything that has no label of its own. */
const OTHER = 'other';
export const NONE = 'none';

/** The paths that have a label; the set is closed, since a client may ask for any path. */
const PATHS: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/rerank',
  '/v1/models',
  '/v1/responses',
  '/v1/moderations',
  '/v1/images/generations',
  '/v1/images/edits',
  '/v1/audio/speech',
  '/v1/audio/transcriptions',
  '/v1/audio/translations',
  '/v1/files',
  '/v1/batches',
  '/v1/messages',
]);

/** Also a configured pattern such as `*` makes a model known: beyond so many names they are `other`. */
const MOST_MODELS = 500;

export function pathLabel(path: string): string {
  return PATHS.has(path) ? path : OTHER;
}

/** Labels of models: known names, as long as they stay few enough for a time series each. */
export class ModelLabels {
  readonly #seen = new Set<string>();

  of(record: Pick<RequestRecord, 'model' | 'isKnownModel'>): string {
    if (record.model === null) return NONE;
    if (!record.isKnownModel) return OTHER;
    if (this.#seen.has(record.model)) return record.model;
    if (this.#seen.size >= MOST_MODELS) return OTHER;
    this.#seen.add(record.model);
    return record.model;
  }
}
