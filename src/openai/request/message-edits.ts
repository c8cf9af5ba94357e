import { FerryError } from '../../lib/errors/ferry-error.ts';
import { editElements, MemberEdits } from '../../lib/json/json-edits.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import type { Profile } from './profile.ts';
import {
  type ContentHolder,
  contentWithout,
  hasForm,
  REWRITE,
  type Rewrite,
  textOfPart,
} from './request-rewrites.ts';

/** What must change inside the messages of a request. */
interface MessageEdits {
  /** Positions of the messages that change. */
  readonly positions: ReadonlySet<number>;
  /** Members that messages lose. */
  readonly drops: readonly string[];
  /** The same, as the profile names them, where a message had one, and the forms that are said in another way. */
  readonly dropped: readonly string[];
  readonly roles: Readonly<Record<string, string>>;
  readonly forms: ReadonlySet<Rewrite>;
}

const PREFIX = 'messages.';
const FORMS_OF_CONTENT = [REWRITE.parts, REWRITE.nullContent, REWRITE.emptyContent] as const;

/** Of an upstream that nothing is known of. */
const NO_FORMS: ReadonlySet<Rewrite> = new Set();
/** What `message_content: text` makes of messages: each content is one text. */
const TEXT_ONLY: readonly Rewrite[] = [REWRITE.parts, REWRITE.nullContent];

/**
 * The edits that the profile asks for (roles, `message_content`, `drop_params: [messages.reasoning_content]`), those
 * that the upstream's refusals taught, and `index` out of the tool calls of the history: clients that replay stream
 * deltas leave it there, it means nothing in a request and strict upstreams refuse it (S78). Null: nothing
 * to edit. Throws FerryError `invalid_request` for parts that `message_content: text` has no text for.
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
  const forms = formsOf(profile, learned);
  const roles = learned.includes(REWRITE.developer)
    ? { developer: 'system', ...profile.roles }
    : profile.roles;
  const positions = new Set<number>();
  for (const [position, message] of messages.entries()) {
    if (needsEdit(message, { roles, drops, forms })) positions.add(position);
  }
  if (positions.size === 0) return null;
  const dropped = drops
    .filter((name) => messages.some((message) => has(message, name)))
    .map((name) => PREFIX + name);
  const said = [...forms].filter((form) =>
    messages.some((message) => isObject(message) && hasForm(message, form)),
  );
  return { positions, drops, dropped: [...dropped, ...said], roles, forms };
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
      isJsonObject(part) && typeof part.type === 'string' ? part.type.slice(0, 40) : 'of no known type';
    const place = `messages.${position}.content.${other}`;
    throw new FerryError('invalid_request', {
      message: `This model takes text only, and ${place} is ${type}.`,
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

function formsOf(profile: Pick<Profile, 'messageContent'>, learned: readonly string[]): ReadonlySet<Rewrite> {
  if (profile.messageContent === 'keep' && learned.length === 0) return NO_FORMS;
  const forms = new Set(profile.messageContent === 'text' ? TEXT_ONLY : []);
  for (const form of [...FORMS_OF_CONTENT, REWRITE.developer]) if (learned.includes(form)) forms.add(form);
  return forms;
}

function needsEdit(message: unknown, edits: Pick<MessageEdits, 'roles' | 'drops' | 'forms'>): boolean {
  if (!isObject(message)) return false;
  const { role, tool_calls: calls } = message as { role?: unknown; tool_calls?: unknown };
  if (typeof role === 'string' && Object.hasOwn(edits.roles, role)) return true;
  if (edits.drops.some((name) => Object.hasOwn(message, name))) return true;
  if (edits.forms.size > 0 && contentWithout(message, edits.forms) !== undefined) return true;
  return Array.isArray(calls) && calls.some((call) => has(call, 'index'));
}

function isObject(value: unknown): value is ContentHolder {
  return typeof value === 'object' && value !== null;
}

function has(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name);
}

function editOne(message: string, { drops, roles, forms }: MessageEdits): string {
  const edits = new MemberEdits(message);
  for (const name of drops) edits.remove(name);
  const role: unknown = JSON.parse(edits.valueOf('role') ?? 'null');
  if (typeof role === 'string' && Object.hasOwn(roles, role))
    edits.replace('role', JSON.stringify(roles[role]));
  if (forms.size > 0) {
    const content = contentWithout(JSON.parse(message) as ContentHolder, forms);
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
