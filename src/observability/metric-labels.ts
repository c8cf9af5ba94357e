import { endpointOf } from '../endpoints.ts';
import type { RequestRecord } from '../lib/request-record.ts';

/** What stands in a label for everything that has no label of its own. */
const OTHER = 'other';
export const NONE = 'none';

/** Also a configured pattern such as `*` makes a model known: beyond so many names they are `other`. */
const MOST_MODELS = 500;

/** The path itself for endpoints that have a label: the set is closed, since a client may ask for any path. */
export function pathLabel(path: string): string {
  return endpointOf(path).hasMetricLabel ? path : OTHER;
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
