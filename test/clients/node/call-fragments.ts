import type { Reading } from '../protocol.ts';

/** A piece of a tool call in a chunk of a chat's stream. */
export interface CallFragment {
  readonly id?: string | null;
  readonly function?: { readonly name?: string | null; readonly arguments?: string | null } | null;
}

/** As applications do it by hand: whatever is there is appended to the call of that index. */
export function joinFragment(index: number, fragment: CallFragment, reading: Reading): void {
  reading.calls[index] ??= { id: '', name: '', arguments: '' };
  const known = reading.calls[index] as Reading['calls'][number];
  known.id += fragment.id ?? '';
  known.name += fragment.function?.name ?? '';
  known.arguments += fragment.function?.arguments ?? '';
}
