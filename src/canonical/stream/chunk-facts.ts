import type { Usage } from '../usage.ts';
import { usageBeside } from '../usage-beside.ts';
import { readContentParts } from './content-parts.ts';
import { isJsonObject, type JsonObject, numberFrom, otherMembers, textFrom } from './json-object.ts';
import { readToolFragments, type ToolFragment } from './tool-fragments.ts';

/** What one chunk or whole reply says, read leniently; the next stage decides what of it is new. */
export interface ChunkFacts {
  readonly id: unknown;
  readonly created: unknown;
  readonly model: unknown;
  readonly usage: unknown;
  /** Where there is no `usage`: what a vendor's member says of it. */
  readonly usageBeside: Usage | null;
  readonly choices: readonly ChoiceFacts[];
  /** Members of the chunk that OpenAI does not know, or that need no change (`system_fingerprint`). */
  readonly extensions: JsonObject | null;
}

export interface ChoiceFacts {
  /** As the upstream numbered it; null when it did not. */
  readonly index: number | null;
  /** False: the choice carries no delta and no message at all (Azure's late filter results). */
  readonly hasDelta: boolean;
  /** A complete message and not a delta: it may end without a finish reason. */
  readonly isWhole: boolean;
  readonly reasoning: string;
  readonly content: string;
  readonly refusal: string;
  readonly calls: readonly ToolFragment[];
  readonly finish: string | null;
  readonly logprobs: unknown;
  /** A content filter hit this choice. */
  readonly isFiltered: boolean;
  readonly extensions: JsonObject | null;
  readonly deltaExtensions: JsonObject | null;
}

/** `obfuscation` pads a chunk to a length that a rewritten one no longer has. */
const CHUNK_MEMBERS = new Set(
  'id object created model choices usage error obfuscation code msg message success base_resp'.split(' '),
);
const CHOICE_MEMBERS = new Set('index delta message text finish_reason logprobs usage'.split(' '));
const DELTA_MEMBERS = new Set(
  'role content reasoning_content reasoning reasoning_details thinking refusal tool_calls function_call finish_reason'.split(
    ' ',
  ),
);

/** Reads an object of OpenAI's shape: a chunk, a whole completion, a text completion. */
export function readChunk(chunk: JsonObject): ChunkFacts {
  const choices = Array.isArray(chunk.choices) ? chunk.choices.filter(isJsonObject) : [];
  // Moonshot puts it into the choice.
  const usage = chunk.usage ?? choices.find((choice) => isJsonObject(choice.usage))?.usage;
  const extensions = otherMembers(chunk, CHUNK_MEMBERS);
  return {
    id: chunk.id,
    created: chunk.created,
    model: chunk.model,
    usage,
    usageBeside: usage == null && extensions !== null ? usageBeside(extensions) : null,
    choices: choices.map(readChoice),
    extensions,
  };
}

function readChoice(choice: JsonObject): ChoiceFacts {
  const { body, isWhole } = bodyOf(choice);
  const delta = body ?? {};
  const parts = readContentParts(delta.content);
  return {
    index: indexOf(choice.index),
    hasDelta: body !== null,
    isWhole,
    reasoning: parts.reasoning || readReasoning(delta),
    content: parts.content,
    refusal: textFrom(delta.refusal) ?? parts.refusal,
    calls: readToolFragments(delta),
    finish: finishOf(choice.finish_reason) ?? finishOf(delta.finish_reason),
    logprobs: choice.logprobs ?? null,
    isFiltered: hasFilterHit(choice.content_filter_results),
    extensions: otherMembers(choice, CHOICE_MEMBERS),
    deltaExtensions: otherMembers(delta, DELTA_MEMBERS),
  };
}

/** What a choice says, wherever it says it. A delta comes first: some send the whole message so far beside it. */
function bodyOf(choice: JsonObject): { readonly body: JsonObject | null; readonly isWhole: boolean } {
  const { delta, message, text } = choice;
  if (isJsonObject(delta)) return { body: delta, isWhole: false };
  if (typeof delta === 'string') return { body: { content: delta }, isWhole: false };
  if (isJsonObject(message)) return { body: message, isWhole: true };
  return { body: typeof text === 'string' ? { content: text } : null, isWhole: typeof text === 'string' };
}

/** Several names for one text; gateways in series repeat it under two of them, so the first one with text wins. */
function readReasoning(delta: JsonObject): string {
  const direct = [delta.reasoning_content, delta.reasoning, delta.thinking].map(textWithin).find(Boolean);
  if (direct !== undefined || !Array.isArray(delta.reasoning_details)) return direct ?? '';
  return delta.reasoning_details
    .filter(isJsonObject)
    .map((detail) => textFrom(detail.text) ?? textFrom(detail.summary) ?? '')
    .join('');
}

/** A text, or an object around one. */
function textWithin(value: unknown): string {
  const said = isJsonObject(value) ? (value.text ?? value.content ?? value.thinking) : value;
  return textFrom(said) ?? '';
}

function indexOf(value: unknown): number | null {
  const index = numberFrom(value);
  return index !== null && Number.isInteger(index) && index >= 0 ? index : null;
}

/** Servers without null write "" or "null". */
function finishOf(value: unknown): string | null {
  const said = isJsonObject(value) ? (value.type ?? value.reason) : Array.isArray(value) ? value[0] : value;
  const reason = textFrom(said)?.trim() ?? null;
  return reason === null || reason === '' || reason.toLowerCase() === 'null' ? null : reason;
}

/** Whether a content filter (Azure's) stopped a choice. */
export function hasFilterHit(results: unknown): boolean {
  if (!isJsonObject(results)) return false;
  return Object.values(results).some((result) => isJsonObject(result) && result.filtered === true);
}
