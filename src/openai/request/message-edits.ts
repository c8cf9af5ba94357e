import { FerryError } from '../../lib/errors/ferry-error.ts';
import { editAt, editElements, MemberEdits, removeAt } from '../../lib/json/json-edits.ts';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { readElements } from '../../lib/json/json-scanner.ts';
import { parseChange } from './learned-change.ts';
import type { Profile } from './profile.ts';
import {
  type ContentHolder,
  needsRewrite,
  REWRITE,
  type Rewrite,
  rewrittenContent,
  textOfPart,
} from './request-rewrites.ts';
import { planSystemMerge, type SystemMerge } from './system-messages.ts';
import { type MapToolCallId, toolCallIdMapOf } from './tool-call-ids.ts';

/** What must change inside the messages of a request. */
export interface MessageEdits extends WantedEdits {
  /** Positions of the messages that change. */
  readonly positions: ReadonlySet<number>;
  readonly merge: SystemMerge | null;
  /** What was left out or rewritten, by the names of `learned-change.ts`, where a message had it. */
  readonly dropped: readonly string[];
  /** What was sent under another name. */
  readonly renamed: readonly string[];
}

/** A member of messages that is left out or renamed. */
interface MemberChange {
  /** Names from the message down. */
  readonly path: readonly string[];
  readonly text: string;
  readonly renamedTo: string | null;
  /** True: only where it is null. */
  readonly isForNull: boolean;
}

interface WantedEdits {
  readonly roles: Readonly<Record<string, string>>;
  /** Renames come first, so that what has its new name may be left out. */
  readonly members: readonly MemberChange[];
  readonly rewrites: ReadonlySet<Rewrite>;
  readonly mapId: MapToolCallId | null;
  readonly keepsNullRefusal: boolean;
}

/** What decides over the edits. */
interface MessageEditFacts {
  readonly profile: Pick<Profile, 'dropParams' | 'roles' | 'messageContent' | 'system'>;
  readonly learned: readonly string[];
  /** False: `refusal: null` in the history is what the gateway has added to responses of this upstream. */
  readonly sendsRefusal: boolean;
}

const PREFIX = 'messages.';
const CONTENT_REWRITES = [REWRITE.parts, REWRITE.nullContent, REWRITE.emptyContent] as const;
const HISTORY_REWRITES = [REWRITE.missingReasoning, REWRITE.missingSignature] as const;
const LEARNED_REWRITES: readonly Rewrite[] = [...CONTENT_REWRITES, REWRITE.developer, ...HISTORY_REWRITES];

const NO_MEMBERS: readonly MemberChange[] = [];
const NO_REWRITES: ReadonlySet<Rewrite> = new Set();
/** `message_content: text`: each content is one text. */
const TEXT_ONLY: readonly Rewrite[] = [REWRITE.parts, REWRITE.nullContent];

/**
 * The edits that the profile asks for (roles, `system`, `message_content`, `drop_params: [messages.reasoning_content]`), those
 * learned from the upstream's errors and responses, and the removal of what clients replay and strict upstreams refuse:
 * `index` of tool calls in stream deltas (S78), the `refusal: null` that only the gateway sends (opencode#23193). Null:
 * nothing to edit. Throws FerryError `invalid_request` for parts other than text under `message_content: text`.
 */
export function planMessageEdits(
  messages: unknown,
  { profile, learned, sendsRefusal }: MessageEditFacts,
): MessageEdits | null {
  if (!Array.isArray(messages)) return null;
  if (profile.messageContent === 'text') refuseOtherParts(messages);
  const isPlain = learned.length === 0;
  const wanted: WantedEdits = {
    roles: learned.includes(REWRITE.developer) ? { developer: 'system', ...profile.roles } : profile.roles,
    members: isPlain && profile.dropParams.length === 0 ? NO_MEMBERS : membersOf(profile.dropParams, learned),
    rewrites: isPlain && profile.messageContent === 'keep' ? NO_REWRITES : rewritesOf(profile, learned),
    mapId: isPlain ? null : toolCallIdMapOf(learned),
    keepsNullRefusal: sendsRefusal,
  };
  const isMerging = profile.system === 'merge' || learned.includes(REWRITE.system);
  const merge = isMerging ? planSystemMerge(messages) : null;
  let positions: Set<number> | null = null;
  for (let position = 0; position < messages.length; position++) {
    if (!needsEdit(messages[position], wanted)) continue;
    positions ??= new Set();
    positions.add(position);
  }
  if (positions === null && merge === null) return null;
  return {
    ...wanted,
    ...namesOf(messages, wanted, merge, learned),
    positions: positions ?? new Set(),
    merge,
  };
}

function namesOf(
  messages: readonly unknown[],
  { members, rewrites, mapId }: WantedEdits,
  merge: SystemMerge | null,
  learned: readonly string[],
): Pick<MessageEdits, 'dropped' | 'renamed'> {
  const done = members.filter((member) => messages.some((message) => isChangedBy(message, member)));
  const renames = done.filter(({ renamedTo }) => renamedTo !== null);
  const isDropped = (name: string | null): boolean =>
    members.some(({ path, renamedTo }) => renamedTo === null && path.length === 1 && path[0] === name);
  const dropped = done.filter(({ renamedTo }) => renamedTo === null).map(({ text }) => text);
  // Renamed, and left out under the new name: what the client wrote is named.
  for (const { path, renamedTo } of renames) if (isDropped(renamedTo)) dropped.push(PREFIX + path.join('.'));
  for (const rewrite of rewrites)
    if (messages.some((message) => isJsonObject(message) && needsRewrite(message, rewrite)))
      dropped.push(rewrite);
  if (merge !== null) dropped.push(REWRITE.system);
  if (mapId !== null && messages.some((message) => hasOtherId(message, mapId)))
    dropped.push(...learned.filter((text) => toolCallIdMapOf([text]) !== null));
  const renamed = renames.filter(({ renamedTo }) => !isDropped(renamedTo)).map(({ text }) => text);
  return { dropped, renamed };
}

/** The members of messages that `drop_params` and learned texts name, renames first. */
function membersOf(dropParams: readonly string[], learned: readonly string[]): readonly MemberChange[] {
  const changes: MemberChange[] = [];
  for (const text of [...dropParams, ...learned]) {
    const change = text.startsWith(PREFIX) ? parseChange(text) : null;
    if (change === null) continue;
    const path = change.name.slice(PREFIX.length).split('.');
    const { renamedTo, onlyValue } = change;
    const member = { path, text, renamedTo, isForNull: onlyValue === 'null' };
    if (renamedTo === null) changes.push(member);
    else changes.unshift(member);
  }
  return changes;
}

/** Throws FerryError 400 that names the first part which is no text (S102). */
function refuseOtherParts(messages: readonly unknown[]): void {
  for (const [position, message] of messages.entries()) {
    const content: unknown = isJsonObject(message) ? message.content : undefined;
    if (!Array.isArray(content)) continue;
    const other = content.findIndex((part) => typeof part !== 'string' && textOfPart(part) === null);
    if (other === -1) continue;
    const part: unknown = content[other];
    const type =
      isJsonObject(part) && typeof part.type === 'string' ? part.type.slice(0, 40) : 'of an unknown type';
    const place = `messages.${position}.content.${other}`;
    throw new FerryError('invalid_request', {
      message: `This model accepts text only, and ${place} is ${type}. Leave it out.`,
      param: place,
    });
  }
}

function rewritesOf(
  profile: Pick<Profile, 'messageContent'>,
  learned: readonly string[],
): ReadonlySet<Rewrite> {
  const rewrites = new Set(profile.messageContent === 'text' ? TEXT_ONLY : []);
  for (const rewrite of LEARNED_REWRITES) if (learned.includes(rewrite)) rewrites.add(rewrite);
  return rewrites;
}

function needsEdit(message: unknown, edits: WantedEdits): boolean {
  if (!isJsonObject(message)) return false;
  const { role, tool_calls: calls } = message;
  if (message.refusal === null && role === 'assistant' && !edits.keepsNullRefusal) return true;
  if (typeof role === 'string' && Object.hasOwn(edits.roles, role)) return true;
  if (edits.members.length > 0 && edits.members.some((member) => isChangedBy(message, member))) return true;
  if (edits.rewrites.size > 0 && isRewritten(message, edits.rewrites)) return true;
  if (edits.mapId !== null && hasOtherId(message, edits.mapId)) return true;
  return Array.isArray(calls) && calls.some((call) => has(call, 'index'));
}

function isRewritten(message: JsonObject, rewrites: ReadonlySet<Rewrite>): boolean {
  if (rewrittenContent(message, rewrites) !== undefined) return true;
  return HISTORY_REWRITES.some((rewrite) => rewrites.has(rewrite) && needsRewrite(message, rewrite));
}

function has(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name);
}

function isChangedBy(message: unknown, { path, isForNull }: MemberChange): boolean {
  return hasAt(message, path, isForNull);
}

function hasAt(value: unknown, path: readonly string[], isForNull: boolean): boolean {
  if (Array.isArray(value)) return value.some((element) => hasAt(element, path, isForNull));
  const [name, ...rest] = path;
  if (name === undefined || !isJsonObject(value) || !Object.hasOwn(value, name)) return false;
  return rest.length > 0 ? hasAt(value[name], rest, isForNull) : !isForNull || value[name] === null;
}

function hasOtherId(message: unknown, mapId: MapToolCallId): boolean {
  if (!isJsonObject(message)) return false;
  const { tool_call_id: id, tool_calls: calls } = message;
  if (typeof id === 'string' && mapId(id) !== id) return true;
  return Array.isArray(calls) && calls.some((call) => isOtherId(isJsonObject(call) ? call.id : null, mapId));
}

function isOtherId(id: unknown, mapId: MapToolCallId): boolean {
  return typeof id === 'string' && mapId(id) !== id;
}

/** The text of the messages with the edits made, everything else byte for byte. */
export function editMessages(text: string, edits: MessageEdits): string {
  const { merge, positions } = edits;
  const edited = (message: string, position: number): string =>
    positions.has(position) ? editOne(message, edits) : message;
  if (merge === null) return editElements(text, edited);
  const messages = readElements(text).map(({ start, end }) => text.slice(start, end));
  const others = messages.map(edited).filter((_message, position) => !merge.positions.includes(position));
  return `[${[leadingMessage(messages[merge.positions[0] ?? 0] ?? '{}', merge, edits), ...others].join(',')}]`;
}

/** The first system message with the content of all. */
function leadingMessage(first: string, { role, content }: SystemMerge, edits: MessageEdits): string {
  const message = new MemberEdits(first);
  message.set('role', JSON.stringify(role));
  message.set('content', JSON.stringify(content));
  const merged = message.toString();
  return needsEdit(JSON.parse(merged), edits) ? editOne(merged, edits) : merged;
}

function editOne(text: string, { members, roles, rewrites, mapId, keepsNullRefusal }: MessageEdits): string {
  const message = members.reduce(changeMember, text);
  const edits = new MemberEdits(message);
  const role: unknown = JSON.parse(edits.valueOf('role') ?? 'null');
  if (!keepsNullRefusal && role === 'assistant' && edits.valueOf('refusal') === 'null')
    edits.remove('refusal');
  if (typeof role === 'string' && Object.hasOwn(roles, role))
    edits.replace('role', JSON.stringify(roles[role]));
  const parsed = rewrites.size > 0 ? (JSON.parse(message) as ContentHolder) : {};
  if (rewrites.size > 0) {
    const content = rewrittenContent(parsed, rewrites);
    if (content !== undefined) edits.set('content', JSON.stringify(content));
    if (rewrites.has(REWRITE.missingReasoning) && needsRewrite(parsed, REWRITE.missingReasoning))
      edits.set('reasoning_content', '""');
  }
  const calls = edits.valueOf('tool_calls');
  const isSigning = rewrites.has(REWRITE.missingSignature) && needsRewrite(parsed, REWRITE.missingSignature);
  if (calls?.startsWith('['))
    edits.replace(
      'tool_calls',
      editElements(calls, (call, position) => editCall(call, mapId, isSigning && position === 0)),
    );
  const id: unknown = mapId === null ? null : JSON.parse(edits.valueOf('tool_call_id') ?? 'null');
  if (mapId !== null && typeof id === 'string') edits.replace('tool_call_id', JSON.stringify(mapId(id)));
  return edits.toString();
}

function changeMember(message: string, { path, renamedTo, isForNull }: MemberChange): string {
  if (renamedTo === null && !isForNull) return removeAt(message, path);
  return editAt(message, path, (edits, name) => {
    if (isForNull && edits.valueOf(name) !== 'null') return;
    if (renamedTo === null || edits.valueOf(renamedTo) !== undefined) edits.remove(name);
    else edits.rename(name, renamedTo);
  });
}

/** What Gemini's documentation gives for calls that it has not written ("Thought signatures", 2025-11). */
const ANY_SIGNATURE = '{"google":{"thought_signature":"skip_thought_signature_validator"}}';

function editCall(call: string, mapId: MapToolCallId | null, isSigning: boolean): string {
  if (!call.startsWith('{')) return call;
  const edits = new MemberEdits(call);
  edits.remove('index');
  const id: unknown = mapId === null ? null : JSON.parse(edits.valueOf('id') ?? 'null');
  if (mapId !== null && typeof id === 'string') edits.replace('id', JSON.stringify(mapId(id)));
  if (isSigning) edits.set('extra_content', ANY_SIGNATURE);
  return edits.toString();
}
