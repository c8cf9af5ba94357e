import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';

/** Members whose texts are no words of an answer. */
const ABOUT_THE_ANSWER: ReadonlySet<string> = new Set(
  (
    'role type id object index name model provider created status phase finish_reason stop_reason done_reason stop ' +
    'matched_stop finish_details stop_sequence logprobs content_filter_results content_filter_result ' +
    'content_filter_offsets content_filter_raw system_fingerprint service_tier signature encrypted_content format ' +
    'annotations usage request_id trace_id timestamp native_finish_reason'
  ).split(' '),
);

/** Members in which an answer could be when no choice holds anything: beside them, or in choices that are no objects. */
const BESIDE_CHOICES = 'delta message content text answer output output_text response choices'.split(' ');

/** Whether an object that said nothing to any reader has words in a place that none of them knows. */
export function hasUnreadWords(object: JsonObject): boolean {
  return Object.keys(object).some((name) => !ABOUT_THE_ANSWER.has(name) && hasWords(object[name]));
}

/** The same of a chunk whose choices hold nothing at all. */
export function hasWordsBesideChoices(chunk: JsonObject): boolean {
  return BESIDE_CHOICES.some((name) => hasWords(chunk[name]));
}

function hasWords(value: unknown): boolean {
  if (typeof value === 'string') return /\S/.test(value);
  if (Array.isArray(value)) return value.some(hasWords);
  return isJsonObject(value) && hasUnreadWords(value);
}
