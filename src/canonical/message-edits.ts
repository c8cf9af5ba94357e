import { MemberEdits, readElements } from './json-members.ts';
import type { Profile } from './profile.ts';

/** What must change inside the messages of a request. */
export interface MessageEdits {
  /** Positions of the messages that change. */
  readonly positions: ReadonlySet<number>;
  /** Members that messages lose. */
  readonly drops: readonly string[];
  /** The same, as the profile names them, where a message had one. */
  readonly dropped: readonly string[];
  readonly roles: Readonly<Record<string, string>>;
}

const PREFIX = 'messages.';

/**
 * The edits that the profile asks for (roles, `drop_params: [messages.reasoning_content]`), and `index` out of the
 * tool calls of the history: clients that replay stream deltas leave it there, it means nothing in a request and
 * strict upstreams refuse it (clients.md 78). Null: nothing to edit.
 */
export function editsOf(
  messages: unknown,
  profile: Pick<Profile, 'dropParams' | 'roles'>,
): MessageEdits | null {
  if (!Array.isArray(messages)) return null;
  const drops = profile.dropParams
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length));
  const positions = new Set<number>();
  for (const [position, message] of messages.entries()) {
    if (needsEdit(message, profile.roles, drops)) positions.add(position);
  }
  if (positions.size === 0) return null;
  const dropped = drops
    .filter((name) => messages.some((message) => has(message, name)))
    .map((name) => PREFIX + name);
  return { positions, drops, dropped, roles: profile.roles };
}

/** The text of the messages with the edits made, everything else byte for byte. */
export function editMessages(text: string, edits: MessageEdits): string {
  return editElements(text, (message, position) =>
    edits.positions.has(position) ? editOne(message, edits) : message,
  );
}

function needsEdit(message: unknown, roles: MessageEdits['roles'], drops: readonly string[]): boolean {
  if (typeof message !== 'object' || message === null) return false;
  const { role, tool_calls: calls } = message as { role?: unknown; tool_calls?: unknown };
  if (typeof role === 'string' && Object.hasOwn(roles, role)) return true;
  if (drops.some((name) => Object.hasOwn(message, name))) return true;
  return Array.isArray(calls) && calls.some((call) => has(call, 'index'));
}

function has(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name);
}

function editOne(message: string, { drops, roles }: MessageEdits): string {
  const edits = new MemberEdits(message);
  for (const name of drops) edits.remove(name);
  const role: unknown = JSON.parse(edits.valueOf('role') ?? 'null');
  if (typeof role === 'string' && Object.hasOwn(roles, role))
    edits.replace('role', JSON.stringify(roles[role]));
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

/** The array with each element's text put through `edit`, and all between them as it was. */
function editElements(array: string, edit: (element: string, position: number) => string): string {
  const parts: string[] = [];
  let copiedTo = 0;
  for (const [position, { start, end }] of readElements(array).entries()) {
    parts.push(array.slice(copiedTo, start), edit(array.slice(start, end), position));
    copiedTo = end;
  }
  parts.push(array.slice(copiedTo));
  return parts.join('');
}
