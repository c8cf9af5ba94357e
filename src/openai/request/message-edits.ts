import { FerryError } from '../../lib/errors/ferry-error.ts';
import { editElements, MemberEdits } from '../../lib/json/json-edits.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import type { Profile } from './profile.ts';
import {
  type ContentHolder,
  needsRewrite,
  REWRITE,
  type Rewrite,
  rewrittenContent,
  textOfPart,
} from './request-rewrites.ts';

/** What must change inside the messages of a request. */
interface MessageEdits {
  /** Positions of the messages that change. */
  readonly positions: ReadonlySet<number>;
  /** Members that messages lose. */
  readonly drops: readonly string[];
  /** The same, as the profile names them, where a message had one, and the rewrites that were applied. */
  readonly dropped: readonly string[];
  readonly roles: Readonly<Record<string, string>>;
  readonly rewrites: ReadonlySet<Rewrite>;
}

const PREFIX = 'messages.';
const CONTENT_REWRITES = [REWRITE.parts, REWRITE.nullContent, REWRITE.emptyContent] as const;

const NO_REWRITES: ReadonlySet<Rewrite> = new Set();
/** `message_content: text`: each content is one text. */
const TEXT_ONLY: readonly Rewrite[] = [REWRITE.parts, REWRITE.nullContent];

/**
 * The edits that the profile asks for (roles, `message_content`, `drop_params: [messages.reasoning_content]`), those
 * learned from the upstream's errors, and the removal of `index` from tool calls in the history: clients that replay
 * stream deltas send it, and strict upstreams refuse it (S78). Null: nothing to edit. Throws FerryError
 * `invalid_request` for parts other than text under `message_content: text`.
 */
export function editsOf(
  messages: unknown,
  profile: Pick<Profile, 'dropParams' | 'roles' | 'messageContent'>,
  learned: readonly string[] = [],
): MessageEdits | null {
  if (!Array.isArray(messages)) return null;
  const drops = profile.dropParams
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length));
  if (profile.messageContent === 'text') refuseOtherParts(messages);
  const rewrites = rewritesOf(profile, learned);
  const roles = learned.includes(REWRITE.developer)
    ? { developer: 'system', ...profile.roles }
    : profile.roles;
  const positions = new Set<number>();
  for (const [position, message] of messages.entries()) {
    if (needsEdit(message, { roles, drops, rewrites })) positions.add(position);
  }
  if (positions.size === 0) return null;
  const dropped = drops
    .filter((name) => messages.some((message) => has(message, name)))
    .map((name) => PREFIX + name);
  const applied = [...rewrites].filter((rewrite) =>
    messages.some((message) => isObject(message) && needsRewrite(message, rewrite)),
  );
  return { positions, drops, dropped: [...dropped, ...applied], roles, rewrites };
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

/** The text of the messages with the edits made, everything else byte for byte. */
export function editMessages(text: string, edits: MessageEdits): string {
  return editElements(text, (message, position) =>
    edits.positions.has(position) ? editOne(message, edits) : message,
  );
}

function rewritesOf(
  profile: Pick<Profile, 'messageContent'>,
  learned: readonly string[],
): ReadonlySet<Rewrite> {
  if (profile.messageContent === 'keep' && learned.length === 0) return NO_REWRITES;
  const rewrites = new Set(profile.messageContent === 'text' ? TEXT_ONLY : []);
  for (const rewrite of [...CONTENT_REWRITES, REWRITE.developer])
    if (learned.includes(rewrite)) rewrites.add(rewrite);
  return rewrites;
}

function needsEdit(message: unknown, edits: Pick<MessageEdits, 'roles' | 'drops' | 'rewrites'>): boolean {
  if (!isObject(message)) return false;
  const { role, tool_calls: calls } = message as { role?: unknown; tool_calls?: unknown };
  if (typeof role === 'string' && Object.hasOwn(edits.roles, role)) return true;
  if (edits.drops.some((name) => Object.hasOwn(message, name))) return true;
  if (edits.rewrites.size > 0 && rewrittenContent(message, edits.rewrites) !== undefined) return true;
  return Array.isArray(calls) && calls.some((call) => has(call, 'index'));
}

function isObject(value: unknown): value is ContentHolder {
  return typeof value === 'object' && value !== null;
}

function has(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name);
}

function editOne(message: string, { drops, roles, rewrites }: MessageEdits): string {
  const edits = new MemberEdits(message);
  for (const name of drops) edits.remove(name);
  const role: unknown = JSON.parse(edits.valueOf('role') ?? 'null');
  if (typeof role === 'string' && Object.hasOwn(roles, role))
    edits.replace('role', JSON.stringify(roles[role]));
  if (rewrites.size > 0) {
    const content = rewrittenContent(JSON.parse(message) as ContentHolder, rewrites);
    if (content !== undefined) edits.set('content', JSON.stringify(content));
  }
  const calls = edits.valueOf('tool_calls');
  if (calls?.startsWith('[')) edits.replace('tool_calls', editElements(calls, withoutIndex));
  return edits.toString();
}

function withoutIndex(call: string): string {
  if (!call.startsWith('{')) return call;
  const edits = new MemberEdits(call);
  edits.remove('index');
  return edits.toString();
}
