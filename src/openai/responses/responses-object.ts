import { isJsonObject, type JsonObject, numberFrom } from '../../lib/json/json-object.ts';
import type { Usage } from '../usage/usage.ts';

/** What every Response object of one answer says. */
export interface ResponseHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  /** The members that repeat the request. */
  readonly echo: JsonObject;
}

/** How far an answer is. */
export interface ResponseProgress {
  readonly status: 'in_progress' | 'completed' | 'incomplete';
  readonly output: readonly JsonObject[];
  readonly usage: Usage | null;
  /** Why it is incomplete; null when it is not. */
  readonly reason: 'max_output_tokens' | 'content_filter' | null;
}

/** The Response object of OpenAI's specification, complete also while the answer is not. */
export function responseObject(head: ResponseHead, progress: ResponseProgress): JsonObject {
  const { status, output, usage, reason } = progress;
  return {
    id: head.id,
    object: 'response',
    created_at: head.created,
    status,
    error: null,
    incomplete_details: reason === null ? null : { reason },
    model: head.model,
    output,
    ...head.echo,
    usage: usage === null ? null : responsesUsage(usage),
  };
}

/** Usage under the names that the Responses API has for it. */
function responsesUsage({ promptTokens, completionTokens, totalTokens, extensions }: Usage): JsonObject {
  return {
    input_tokens: promptTokens,
    input_tokens_details: {
      cached_tokens: detailOf(extensions, 'prompt', 'input', 'cached_tokens'),
      cache_write_tokens: detailOf(extensions, 'prompt', 'input', 'cache_write_tokens'),
    },
    output_tokens: completionTokens,
    output_tokens_details: {
      reasoning_tokens: detailOf(extensions, 'completion', 'output', 'reasoning_tokens'),
    },
    total_tokens: totalTokens,
  };
}

function detailOf(extensions: JsonObject | undefined, chat: string, responses: string, name: string): number {
  const details = extensions?.[`${chat}_tokens_details`] ?? extensions?.[`${responses}_tokens_details`];
  const count = isJsonObject(details) ? numberFrom(details[name]) : null;
  return count === null || count < 0 ? 0 : Math.round(count);
}
