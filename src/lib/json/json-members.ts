/**
 * Edits of a JSON object's text that leave everything else byte for byte: 12345678901234567890 and 1.0 do not
 * survive JSON.parse and JSON.stringify, and clients are promised that they do.
 */

import { type Member, readElements, readMembers } from './json-text.ts';

/** The array with each element's text put through `edit`, and all between them as it was. */
export function editElements(array: string, edit: (element: string, position: number) => string): string {
  const parts: string[] = [];
  let copiedTo = 0;
  for (const [position, { start, end }] of readElements(array).entries()) {
    parts.push(array.slice(copiedTo, start), edit(array.slice(start, end), position));
    copiedTo = end;
  }
  parts.push(array.slice(copiedTo));
  return parts.join('');
}

/** A set of edits to the members of one object, applied in one pass by `toString`. */
export class MemberEdits {
  readonly #text: string;
  readonly #members: readonly Member[];
  readonly #removed = new Set<Member>();
  readonly #replaced = new Map<Member, string>();
  readonly #renamed = new Map<Member, string>();
  readonly #inserted: string[] = [];

  constructor(text: string) {
    this.#text = text;
    this.#members = readMembers(text);
  }

  /** False: `toString` gives the text as it was. */
  get hasChanges(): boolean {
    return (
      this.#removed.size > 0 || this.#replaced.size > 0 || this.#renamed.size > 0 || this.#inserted.length > 0
    );
  }

  /** The text of the member's value as it stands (the last one, as JSON.parse takes it), without pending edits. */
  valueOf(key: string): string | undefined {
    const member = this.#members.findLast((candidate) => candidate.key === key);
    return member === undefined ? undefined : this.#text.slice(member.valueStart, member.valueEnd);
  }

  /** Puts JSON text in place of the value of each member of that name. */
  replace(key: string, json: string): void {
    for (const member of this.#named(key)) this.#replaced.set(member, json);
  }

  remove(key: string): void {
    for (const member of this.#named(key)) this.#removed.add(member);
  }

  rename(key: string, newKey: string): void {
    for (const member of this.#named(key)) this.#renamed.set(member, newKey);
  }

  /** Adds a member behind the others. */
  insert(key: string, json: string): void {
    this.#inserted.push(`${JSON.stringify(key)}:${json}`);
  }

  /** Replaces the value, or adds the member when there is none. */
  set(key: string, json: string): void {
    if (this.#named(key).length > 0) this.replace(key, json);
    else this.insert(key, json);
  }

  #named(key: string): Member[] {
    return this.#members.filter((member) => member.key === key);
  }

  toString(): string {
    if (!this.hasChanges) return this.#text;
    const parts: string[] = [];
    let copiedTo = 0;
    for (const splice of this.#splices()) {
      parts.push(this.#text.slice(copiedTo, splice.from), splice.put);
      copiedTo = splice.to;
    }
    parts.push(this.#text.slice(copiedTo));
    return parts.join('');
  }

  /** All edits as splices from left to right; the last one ends the object: trailing removals and insertions. */
  #splices(): Splice[] {
    const splices: Splice[] = [];
    const lastKept = this.#members.findLastIndex((member) => !this.#removed.has(member));
    for (let position = 0; position <= lastKept; position++) {
      const member = this.#members[position] as Member;
      if (this.#removed.has(member)) {
        // It takes the comma behind it along, which is there because a kept member follows.
        const next = this.#members[position + 1] as Member;
        splices.push({ from: member.keyStart, to: next.keyStart, put: '' });
        continue;
      }
      const { keyStart, keyEnd, valueStart, valueEnd } = member;
      const newKey = this.#renamed.get(member);
      if (newKey !== undefined) splices.push({ from: keyStart, to: keyEnd, put: JSON.stringify(newKey) });
      const json = this.#replaced.get(member);
      if (json !== undefined) splices.push({ from: valueStart, to: valueEnd, put: json });
    }
    const afterBrace = this.#text.indexOf('{') + 1;
    const from = this.#members[lastKept]?.valueEnd ?? this.#members[0]?.keyStart ?? afterBrace;
    const to = this.#members.at(-1)?.valueEnd ?? afterBrace;
    const comma = lastKept >= 0 && this.#inserted.length > 0 ? ',' : '';
    splices.push({ from, to, put: comma + this.#inserted.join(',') });
    return splices;
  }
}

interface Splice {
  readonly from: number;
  readonly to: number;
  readonly put: string;
}
