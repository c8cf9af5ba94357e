import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';

/** Members that are a transcript, or a list of its pieces. */
const NAMES = [
  'text',
  'transcript',
  'transcription',
  'transcripts',
  'segments',
  'sentences',
  'sentence',
  'utterances',
  'chunks',
];
/** Members that are one when nothing else is: they may also be a word about the call. */
const LOOSE_NAMES = [...NAMES, 'result', 'results', 'output', 'data', 'response', 'content', 'payload'];
/** Lists of which each entry tells the same. */
const CHOICES: ReadonlySet<string> = new Set(['alternatives', 'choices', 'candidates']);
/** How deep a transcript is looked for. */
const DEEPEST = 6;

/**
 * The transcript in the JSON of an upstream, wherever it stands; '' for silence, null when there is none. Pieces are
 * joined in their order.
 */
export function findTranscript(json: unknown): string | null {
  if (typeof json === 'string') return json;
  const found = textWithin(json, NAMES, DEEPEST) ?? textWithin(json, LOOSE_NAMES, DEEPEST);
  if (found !== null) return found.trim();
  return isJsonObject(json) && json.text === null ? '' : null;
}

/** The object that the transcript stands in; empty when it stands in none. */
export function holderOfTranscript(json: unknown): JsonObject {
  let holder = isJsonObject(json) ? json : {};
  for (let depth = 0; depth < DEEPEST; depth++) {
    if (NAMES.some((name) => Object.hasOwn(holder, name))) return holder;
    const inner = Object.values(holder).filter(isJsonObject);
    const next = inner.find((one) => textWithin(one, NAMES, DEEPEST) !== null);
    if (next === undefined) return {};
    holder = next;
  }
  return {};
}

function textWithin(value: unknown, names: readonly string[], depth: number): string | null {
  if (depth === 0) return null;
  if (Array.isArray(value)) {
    const pieces = value
      .map((entry) => textWithin(entry, names, depth - 1))
      .filter((piece) => piece !== null);
    return pieces.length === 0 ? null : joined(pieces);
  }
  if (!isJsonObject(value)) return null;
  for (const name of names) {
    const text = textOf(value[name], names, depth);
    if (text !== null) return text;
  }
  for (const [name, member] of Object.entries(value)) {
    const within = CHOICES.has(name) && Array.isArray(member) ? member[0] : member;
    const text = textWithin(within, names, depth - 1);
    if (text !== null) return text;
  }
  return null;
}

/** The text of a member that is named as one. */
function textOf(value: unknown, names: readonly string[], depth: number): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return textWithin(value, names, depth - 1);
  if (value.length === 0) return '';
  const pieces = value.map((entry) =>
    typeof entry === 'string' ? entry : textWithin(entry, names, depth - 1),
  );
  const told = pieces.filter((piece) => piece !== null);
  return told.length === 0 ? null : joined(told);
}

/** With a space where neither side has one, unless both are of a script that does without. */
function joined(pieces: readonly string[]): string {
  let text = '';
  for (const piece of pieces) {
    const sides = text.slice(-1) + piece.charAt(0);
    text += sides.length < 2 || NEEDS_NO_SPACE.test(sides) ? piece : ` ${piece}`;
  }
  return text;
}

const NEEDS_NO_SPACE =
  /\s|^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\u3000-\u303f\uff00-\uffef]{2}/u;
