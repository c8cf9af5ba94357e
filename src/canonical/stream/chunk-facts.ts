import type { Usage } from '../usage.ts';
import { usageBeside } from '../usage-beside.ts';
import { bodyOf, DELTA_MEMBERS } from './choice-body.ts';
import { readContentParts, textWithin } from './content-parts.ts';
import { meaningIfKnown } from './finish-reason.ts';
import { isJsonObject, type JsonObject, numberFrom, otherMembers, textFrom } from './json-object.ts';
import { readReasoning } from './reasoning-text.ts';
import { readToolFragments, type ToolFragment } from './tool-fragments.ts';
import { hasUnreadWords, hasWordsBesideChoices } from './unread-words.ts';

/** What one chunk or whole reply says, read leniently; the next stage decides what of it is new. */
export interface ChunkFacts {
  readonly id: unknown;
  readonly created: unknown;
  readonly model: unknown;
  readonly usage: unknown;
  /** Where there is no `usage`: what a vendor's member says of it. */
  readonly usageBeside: Usage | null;
  readonly choices: readonly ChoiceFacts[];
  /** Something was said in a way that nobody understands, and nothing in one that we do. */
  readonly hasUnreadWords: boolean;
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
  readonly hasUnreadWords: boolean;
  readonly extensions: JsonObject | null;
  readonly deltaExtensions: JsonObject | null;
}

/** `obfuscation` pads a chunk to a length that a rewritten one no longer has. */
const CHUNK_MEMBERS = new Set(
  'id object created model choices usage error obfuscation code msg message success base_resp'.split(' '),
);
const CHOICE_MEMBERS = new Set('index delta message text finish_reason logprobs usage'.split(' '));
/** Reads an object of OpenAI's shape: a chunk, a whole completion, a text completion. */
export function readChunk(chunk: JsonObject): ChunkFacts {
  const choices = Array.isArray(chunk.choices) ? chunk.choices.filter(isJsonObject) : [];
  // Moonshot puts it into the choice.
  const usage = chunk.usage ?? choices.find((choice) => isJsonObject(choice.usage))?.usage;
  const extensions = otherMembers(chunk, CHUNK_MEMBERS);
  const facts = choices.map(readChoice);
  const isBare = facts.every((choice) => !choice.hasDelta);
  return {
    id: chunk.id,
    created: chunk.created,
    model: chunk.model,
    usage,
    usageBeside: usage == null && extensions !== null ? usageBeside(extensions) : null,
    choices: facts,
    hasUnreadWords: facts.some((choice) => choice.hasUnreadWords) || (isBare && hasWordsBesideChoices(chunk)),
    extensions,
  };
}

function readChoice(choice: JsonObject): ChoiceFacts {
  const { body, isWhole } = bodyOf(choice);
  const delta = body ?? {};
  const parts = readContentParts(delta.content ?? delta.text ?? delta.output_text);
  const reasoning = parts.reasoning || readReasoning(delta);
  const refusal = textFrom(delta.refusal) ?? parts.refusal;
  const calls = readToolFragments(delta);
  const isSilent = reasoning === '' && parts.content === '' && refusal === '' && calls.length === 0;
  return {
    index: indexOf(choice.index),
    hasDelta: body !== null,
    isWhole,
    reasoning,
    content: parts.content,
    refusal,
    calls,
    finish: finishOf(choice.finish_reason) ?? finishOf(delta.finish_reason) ?? finishByOtherName(choice),
    logprobs: isJsonObject(choice.logprobs) ? choice.logprobs : null,
    isFiltered: hasFilterHit(choice.content_filter_results),
    hasUnreadWords: isSilent && hasUnreadWords(body ?? choice),
    extensions: otherMembers(choice, CHOICE_MEMBERS),
    deltaExtensions: otherMembers(delta, DELTA_MEMBERS),
  };
}

function indexOf(value: unknown): number | null {
  const index = numberFrom(value);
  return index !== null && Number.isInteger(index) && index >= 0 ? index : null;
}

/** Servers without null write "" or "null". */
function finishOf(value: unknown): string | null {
  const said = isJsonObject(value) ? (value.type ?? value.reason ?? value) : value;
  const reason = typeof value === 'number' ? null : (textFrom(textWithin(said))?.trim() ?? null);
  return reason === null || reason === '' || reason.toLowerCase() === 'null' ? null : reason;
}

/** Where nobody gave a `finish_reason`: other names, whose other meanings (vLLM's text that stopped it) are left alone. */
function finishByOtherName(choice: JsonObject): string | null {
  if (choice.finish_reason !== undefined) return null;
  const named = [choice.stop_reason, choice.done_reason, choice.finish, choice.finish_details]
    .map(finishOf)
    .find((one) => one !== null);
  return named != null && meaningIfKnown(named) !== null ? named : null;
}

/** Whether a content filter (Azure's) stopped a choice. */
export function hasFilterHit(results: unknown): boolean {
  if (!isJsonObject(results)) return false;
  return Object.values(results).some((result) => isJsonObject(result) && result.filtered === true);
}
