import type { ToolFragment } from '../shapes/tool-fragments.ts';

/** What some upstreams send before the real arguments come, and what a call without any has. */
export const NO_ARGUMENTS = '{}';

/** Whether a text begins an object or array. */
export function restarts(text: string): boolean {
  return /^\s*[{[]/.test(text);
}

/** What is known of a call that a fragment may continue. */
export interface CallSoFar {
  readonly upstreamId: string | null;
  readonly name: string | null;
  /** All arguments so far, as they came. */
  readonly received: string;
  /** The arguments are a whole JSON value. */
  readonly isComplete: boolean;
  /** The name came once more after the arguments, without any of its own. */
  readonly isNamedAgain: boolean;
}

/**
 * Whether a fragment begins a new call although it matches a known one by index or order. Only a name can begin a
 * call, if only one that came before. Another id does, but not in the middle of the arguments; the same one continues
 * the call unless it turns out to be one for all calls; without ids a repeated name continues a call until its arguments
 * are complete.
 */
export function isAnotherCall(fragment: ToolFragment, known: CallSoFar, isInSameDelta: boolean): boolean {
  const { id, name, arguments: args } = fragment;
  if (name === null) return known.isNamedAgain && restarts(args);
  if (known.name === null) return false;
  const isRepeated = name === known.name && isSameText(args, known.received);
  if (id !== null && known.upstreamId !== null) {
    if (id !== known.upstreamId) return name !== known.name || !isRestOfArguments(args, known);
    if (name !== known.name) return known.isComplete;
    return known.isComplete && restarts(args) && !isRepeated && known.received !== NO_ARGUMENTS;
  }
  if (isInSameDelta || name !== known.name) return true;
  // Gateways in series send a call in the newer and in the legacy form, of which only one has an id.
  if (isRepeated && (id === null) !== (known.upstreamId === null)) return false;
  return known.isComplete && args !== '';
}

/** Whether a fragment only names a complete call once more: a repetition, or the start of another call. */
export function namesAgain({ name, arguments: args }: ToolFragment, known: CallSoFar): boolean {
  return known.isComplete && args === '' && name !== null && name === known.name;
}

/** Whether a text can only be the rest of arguments that are still open: nothing begins with it. */
export function isRestOfArguments(args: string, known: CallSoFar): boolean {
  return known.received !== '' && !known.isComplete && args !== '' && !restarts(args);
}

/** White space around one of two equal texts; no known upstream writes more. UTF-16 units. */
const MAX_SPACE = 64;

/** By their lengths first: every piece of long arguments is compared with all that came before it. */
function isSameText(one: string, other: string): boolean {
  return Math.abs(one.length - other.length) <= MAX_SPACE && one.trim() === other.trim();
}

/**
 * Whether a fragment continues the name of a known call, by the same index or id and before any
 * arguments. Names are written whole (S70), and where one ends cannot be seen.
 */
export function isPieceOfName(fragment: ToolFragment, known: CallSoFar, isInSameDelta: boolean): boolean {
  const { id, name } = fragment;
  if (name === null || known.name === null || name === known.name || known.isComplete) return false;
  if (id !== null) return id === known.upstreamId;
  return fragment.index !== null && known.received === '' && !isInSameDelta;
}

/** Whether all arguments so far are still held: of `{` and `}` in two pieces the first was written. */
export function isUnwritten(call: { readonly held: readonly string[]; readonly received: string }): boolean {
  return call.held.join('') === call.received;
}
