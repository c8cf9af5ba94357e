import {
  isJsonObject,
  type JsonObject,
  numberFrom,
  otherMembers,
  textFrom,
} from '../../../lib/json/json-object.ts';
import type { Usage } from '../../usage/usage.ts';
import { usageBeside } from '../../usage/vendor-usage.ts';
import { bodyBesideSilent, bodyOf, DELTA_MEMBERS } from './choice-body.ts';
import { readContentParts, textWithin } from './content-parts.ts';
import { meaningIfKnown } from './finish-reason.ts';
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
  /** An error of the chunk, of a choice or its delta; null when there is none. */
  readonly errorBeside: unknown;
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

/** Whether a choice has text of any kind or a tool call. */
export function saysAnything({ reasoning, content, refusal, calls }: ChoiceFacts): boolean {
  return reasoning + content + refusal !== '' || calls.length > 0;
}

/** `obfuscation` pads a chunk to a length that a rewritten one no longer has. */
const CHUNK_MEMBERS = new Set(
  'id object created model choices usage error obfuscation code msg message success base_resp'.split(' '),
);
const CHOICE_MEMBERS = new Set('index delta message text finish_reason logprobs usage'.split(' '));
/** Reads an object of OpenAI's shape: a chunk, a whole completion, a text completion. */
export function readChunk(chunk: JsonObject): ChunkFacts {
  const listed = Array.isArray(chunk.choices) ? chunk.choices.filter(isJsonObject) : [];
  const choices = listed.some(hasSeveralDeltas) ? listed.flatMap(withOneDelta) : listed;
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
    errorBeside: [chunk.error, ...choices.map(errorOf)].find(saysError) ?? null,
    hasUnreadWords: facts.some((choice) => choice.hasUnreadWords) || (isBare && hasWordsBesideChoices(chunk)),
    extensions,
  };
}

/** A choice whose delta is a list of several. */
function hasSeveralDeltas({ delta }: JsonObject): boolean {
  return Array.isArray(delta) && delta.length > 1 && delta.every(isJsonObject);
}

function withOneDelta(choice: JsonObject, position: number): readonly JsonObject[] {
  if (!hasSeveralDeltas(choice)) return [choice];
  const deltas = choice.delta as readonly JsonObject[];
  const last = { ...choice, index: choice.index ?? position };
  const earlier = { ...last, finish_reason: null };
  return deltas.map((delta, at) => ({ ...(at === deltas.length - 1 ? last : earlier), delta }));
}

/** The error that some put into the choice or its delta. */
function errorOf({ error, delta, message }: JsonObject): unknown {
  if (saysError(error)) return error;
  const body = isJsonObject(delta) ? delta : message;
  return isJsonObject(body) ? body.error : undefined;
}

function saysError(error: unknown): boolean {
  return isJsonObject(error) ? hasUnreadWords(error) : typeof error === 'string' && error !== '';
}

interface Said {
  readonly reasoning: string;
  readonly content: string;
  readonly refusal: string;
  readonly calls: readonly ToolFragment[];
  readonly isSilent: boolean;
}

function readBody(body: JsonObject): Said {
  const parts = readContentParts(body.content ?? body.text ?? body.output_text);
  const reasoning = parts.reasoning || readReasoning(body);
  const refusal = textFrom(body.refusal) ?? parts.refusal;
  const calls = readToolFragments(body);
  const isSilent = reasoning === '' && parts.content === '' && refusal === '' && calls.length === 0;
  return { reasoning, content: parts.content, refusal, calls, isSilent };
}

function readChoice(choice: JsonObject): ChoiceFacts {
  const found = bodyOf(choice);
  const inDelta = readBody(found.body ?? {});
  const beside = inDelta.isSilent ? bodyBesideSilent(choice) : null;
  const { body, isWhole } = beside ?? found;
  const delta = body ?? {};
  const { isSilent, ...said } = beside === null ? inDelta : readBody(delta);
  return {
    index: indexOf(choice.index),
    hasDelta: body !== null,
    isWhole,
    ...said,
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
