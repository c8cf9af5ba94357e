/**
 * Edits of JSON text that leave everything else byte for byte: 12345678901234567890 and 1.0 do not survive JSON.parse
 * and JSON.stringify, and clients are promised that they do.
 */

import { isJsonObject, parseJson } from './json-object.ts';
import { type Member, readElements, readMembers } from './json-scanner.ts';

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

/** The JSON without the member at `path`: names of members, and lists on the way are gone through element by element. */
export function removeAt(json: string, path: readonly string[]): string {
  return editAt(json, path, (edits, name) => edits.remove(name));
}

/** The JSON with an edit made to the object that has the member at `path`, in each element of lists on the way. */
export function editAt(
  json: string,
  path: readonly string[],
  edit: (edits: MemberEdits, name: string) => void,
): string {
  if (json.startsWith('[')) return editElements(json, (element) => editAt(element, path, edit));
  const [name, ...rest] = path;
  if (!json.startsWith('{') || name === undefined) return json;
  const edits = new MemberEdits(json);
  const inside = edits.valueOf(name);
  if (inside === undefined) return json;
  if (rest.length === 0) edit(edits, name);
  else edits.replace(name, editAt(inside, rest, edit));
  return edits.toString();
}

/** What becomes of one member; nothing: it stays. */
interface Edit {
  readonly isRemoved?: true;
  /** JSON text in place of the value. */
  readonly json?: string;
  readonly newKey?: string;
}

/** A set of edits to the members of one object, applied in one pass by `toString`. */
export class MemberEdits {
  readonly #text: string;
  readonly #members: readonly Member[];
  /** By the member's position. */
  readonly #edits: (Edit | undefined)[] = [];
  #inserted = '';

  /** `members`: those of the text, where they are known. */
  constructor(text: string, members: readonly Member[] = readMembers(text)) {
    this.#text = text;
    this.#members = members;
  }

  /** The text of the member's value (the last one, as in JSON.parse), without pending edits. */
  valueOf(key: string): string | undefined {
    for (let position = this.#members.length - 1; position >= 0; position--) {
      const member = this.#members[position];
      if (member?.key === key) return this.#text.slice(member.valueStart, member.valueEnd);
    }
    return undefined;
  }

  /** Puts JSON text in place of the value of each member of that name. */
  replace(key: string, json: string): void {
    this.#edit(key, { json });
  }

  remove(key: string): void {
    this.#edit(key, { isRemoved: true });
  }

  rename(key: string, newKey: string): void {
    this.#edit(key, { newKey });
  }

  /** Adds a member behind the others. */
  insert(key: string, json: string): void {
    this.#inserted += `${this.#inserted === '' ? '' : ','}${JSON.stringify(key)}:${json}`;
  }

  /** Replaces the value, or adds the member when there is none. */
  set(key: string, json: string): void {
    if (this.valueOf(key) === undefined) this.insert(key, json);
    else this.replace(key, json);
  }

  #edit(key: string, edit: Edit): void {
    for (let position = 0; position < this.#members.length; position++) {
      if (this.#members[position]?.key === key) this.#edits[position] = { ...this.#edits[position], ...edit };
    }
  }

  /** The text with all edits made, from left to right; behind the last member that stays come the inserted ones. */
  toString(): string {
    if (this.#edits.length === 0 && this.#inserted === '') return this.#text;
    const [text, members, edits] = [this.#text, this.#members, this.#edits];
    let lastKept = members.length - 1;
    while (lastKept >= 0 && edits[lastKept]?.isRemoved === true) lastKept--;
    let edited = '';
    let copiedTo = 0;
    for (let position = 0; position <= lastKept; position++) {
      const edit = edits[position];
      if (edit === undefined) continue;
      const { keyStart, keyEnd, valueStart, valueEnd } = members[position] as Member;
      if (edit.isRemoved) {
        // It takes the comma behind it along, which is there because a kept member follows.
        edited += text.slice(copiedTo, keyStart);
        copiedTo = (members[position + 1] as Member).keyStart;
        continue;
      }
      if (edit.newKey !== undefined) {
        edited += text.slice(copiedTo, keyStart) + JSON.stringify(edit.newKey);
        copiedTo = keyEnd;
      }
      if (edit.json !== undefined) {
        edited += text.slice(copiedTo, valueStart) + edit.json;
        copiedTo = valueEnd;
      }
    }
    const afterBrace = text.indexOf('{') + 1;
    const end = members[lastKept]?.valueEnd ?? members[0]?.keyStart ?? afterBrace;
    const comma = lastKept >= 0 && this.#inserted !== '' ? ',' : '';
    edited += text.slice(copiedTo, end) + comma + this.#inserted;
    return edited + text.slice(members.at(-1)?.valueEnd ?? afterBrace);
  }
}

const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

/**
 * `body`, a JSON object, with its top-level member `name` set to the JSON text `json`, before the others when it is new;
 * null when it is no object. Each byte is one character: in UTF-8 no byte of a longer character looks like JSON's signs.
 */
export function setJsonMember(body: Buffer | string, name: string, json: string): Buffer | null {
  const latin1 = latin1Of(body);
  const mark = latin1.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
  const text = latin1.slice(mark.length);
  if (!isJsonObject(parseJson(text))) return null;
  const members = readMembers(text);
  const [latin1Name, latin1Json] = [latin1Of(name), latin1Of(json)];
  const edits = new MemberEdits(text, members);
  const names = [...new Set([name, latin1Name])].filter((one) => members.some(({ key }) => key === one));
  for (const one of names) edits.replace(one, latin1Json);
  if (names.length > 0) return Buffer.from(mark + edits.toString(), 'latin1');
  const inside = text.indexOf('{') + 1;
  const member = `${JSON.stringify(latin1Name)}:${latin1Json}${members.length === 0 ? '' : ','}`;
  return Buffer.from(mark + text.slice(0, inside) + member + text.slice(inside), 'latin1');
}

function latin1Of(text: Buffer | string): string {
  return (typeof text === 'string' ? Buffer.from(text) : text).toString('latin1');
}
