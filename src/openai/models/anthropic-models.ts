import type { JsonObject } from '../../lib/json/json-object.ts';
import type { ListedModel } from './models-response.ts';

/** The end of the year 9999: the last that a date of ISO 8601 can be. */
const MAX_SECONDS = 253_402_300_799;

/** A model as Anthropic's API lists it; what is not known of it is null. */
export function anthropicModel({ id, created, context_length, max_tokens }: ListedModel): JsonObject {
  return {
    type: 'model',
    id,
    display_name: id,
    created_at: new Date(Math.min(created, MAX_SECONDS) * 1000).toISOString(),
    max_input_tokens: context_length ?? null,
    max_tokens: max_tokens ?? null,
    capabilities: null,
    deprecated_at: null,
    lifecycle: 'active',
    line: null,
    retires_at: null,
  };
}

/** Anthropic's own number of models in a page of the list, and its limit. */
const PAGE_SIZE = 20;
const MAX_PAGE_SIZE = 1_000;

/** One page of the list, as the query (`limit`, `after_id`, `before_id`) selects it. */
export function anthropicModelPage(models: readonly ListedModel[], query: string): JsonObject {
  const parameters = new URLSearchParams(query);
  const limit = sizeOf(parameters.get('limit'));
  const after = models.findIndex(({ id }) => id === parameters.get('after_id'));
  const before = models.findIndex(({ id }) => id === parameters.get('before_id'));
  const end = before === -1 ? models.length : before;
  const start = before === -1 || after !== -1 ? after + 1 : Math.max(0, before - limit);
  const page = models.slice(start, Math.min(end, start + limit));
  const hasMore = before === -1 || after !== -1 ? start + limit < end : start > 0;
  return {
    data: page.map(anthropicModel),
    has_more: hasMore,
    first_id: page.at(0)?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  };
}

function sizeOf(limit: string | null): number {
  const size = limit === null ? PAGE_SIZE : Number(limit);
  return Number.isSafeInteger(size) && size >= 1 ? Math.min(size, MAX_PAGE_SIZE) : PAGE_SIZE;
}
