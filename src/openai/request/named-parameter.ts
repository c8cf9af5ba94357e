/** Names are repeated in a response header (`x-tokenferry-dropped`), so that invalid ones are not learned. */
export const PLAIN_NAME = /^[\w.-]{1,64}$/;

/**
 * The names that a text marks as names first and those listed behind the first one (`'a', 'b' and 'c' were unexpected`), in
 * their order. Names in a list of what is allowed, in a repetition of the request and in URLs do not count.
 */
export function listedNames(message: string, names: readonly string[]): readonly string[] {
  const text = withoutAllowed(withoutEcho(message, names));
  const found = names
    .map((name) => ({ name, at: markedMention(text, name) }))
    .filter(({ at }) => at >= 0)
    .sort((one, other) => one.at - other.at);
  const [first] = found;
  if (first === undefined) return [];
  const listed = [first.name];
  let end = first.at + first.name.length;
  for (const { name, at } of found.slice(1)) {
    if (at < end) continue;
    if (!isListSeparator(text.slice(end, at)) && !beginsEntry(text, at, name)) break;
    listed.push(name);
    end = at + name.length;
  }
  return listed;
}

const SEPARATOR =
  /^['"`”’»]?\)?\s*(?:[,、，;&]|and|or|und|oder|et|和|及|与|以及)\s*(?:and\s+|und\s+)?\(?['"`“‘„«]?$/i;

function isListSeparator(between: string): boolean {
  return between.length <= 16 && SEPARATOR.test(between);
}

/** Entries of a validation: `user: Extra inputs are not permitted; seed: Extra inputs are not permitted`. */
function beginsEntry(text: string, at: number, name: string): boolean {
  return (
    /(?:^|[;\n]\s*(?:body[. >-]+)?)$/.test(text.slice(Math.max(0, at - 16), at)) &&
    /^\s*[:\n]/.test(text.slice(at + name.length))
  );
}

/** "expected one of `model`, `messages`" lists what is allowed, not what is refused. */
const ALLOWED =
  /(?<!not |n't |不|nicht )\b(?:expected (?:one of)?|allowed(?: (?:parameters?|fields?|keys?|properties))?(?: are)?|supported (?:parameters?|fields?|keys?)(?: are)?|known (?:parameters?|fields?|properties)|valid (?:parameters?|fields?|keys?)(?: are)?|erlaubt(?:e Parameter)?(?: sind)?)\W{0,4}(?:["'`]?[a-z][\w.]*["'`]?\s*(?:[,、]|\band\b|\bor\b|\bund\b|和)\s*){2,}["'`]?[\w.]*/gi;

const URLS = /\bhttps?:\/\/\S+/gi;

function withoutAllowed(text: string): string {
  return text.replace(URLS, ' ').replace(ALLOWED, ' ');
}

/** A name with a value behind it, as a repetition of the request has them: `"user": "u-1"`, `seed=5`. */
const WITH_VALUE = /["']?([\w.-]{1,64})["']?\s*[:=]\s*(?:["'[{]|-?\d|true\b|false\b|null\b|None\b)/gi;

/** Without the repetition of the request, which names most of its members with their values. */
function withoutEcho(text: string, names: readonly string[]): string {
  const repeated = [...text.matchAll(WITH_VALUE)].filter(
    ({ 1: name = '' }) => names.includes(name) || name === 'model',
  );
  const [first] = repeated;
  const last = repeated.at(-1);
  if (first === undefined || last === undefined || new Set(repeated.map(({ 1: name }) => name)).size < 2)
    return text;
  const end = Math.max(last.index + last[0].length, text.lastIndexOf('}') + 1);
  return `${text.slice(0, first.index)} ${text.slice(end)}`;
}

/**
 * Where a text names a parameter; -1: nowhere. Words such as `user` and `store` occur in many sentences, so that
 * a name counts when it is marked as one: quoted, behind a colon or "parameter", before a colon, or with `_`.
 */
export function markedMention(message: string, name: string): number {
  if (!PLAIN_NAME.test(name)) return -1;
  for (let at = message.indexOf(name); at !== -1; at = message.indexOf(name, at + 1)) {
    const before = message.slice(Math.max(0, at - 24), at);
    const after = message.slice(at + name.length, at + name.length + 24);
    if (/[\w-]$/.test(before) || /^[\w-]/.test(after)) continue;
    if (name.includes('_') || isMarked(before, after)) return at;
  }
  return -1;
}

const KINDS_OF_NAME =
  /(?::|：|->|\bparameters?|\barguments?|\bfields?|\bpropert(?:y|ies)|\bkeys?|\boptions?|\binputs?|\bbody[.,]|参数|字段|属性|feld|eigenschaft|paramètre|champ|parámetro|campo)\s*$/i;

function isMarked(before: string, after: string): boolean {
  if (/['"`“‘„«「『(,[]\s*$/.test(before) && /^['"`”’“»」』).,\]]/.test(after)) return true;
  if (KINDS_OF_NAME.test(before)) return true;
  // The end of a place: messages[1].reasoning, messages.1.assistant.reasoning.
  if (/(?:\]|\.\d{1,5})\.(?:\w{1,12}\.)?$/.test(before) && !/^\.?\w/.test(after)) return true;
  // Beside signs of Chinese, which has no blanks.
  if (/\p{Script=Han}\s?$/u.test(before) && /^\s?\p{Script=Han}/u.test(after)) return true;
  if (/^\s+(?:extra (?:inputs?|fields?)|input should|field required|value error)/i.test(after)) return true;
  // At the start of a sentence: `user: Extra inputs…`, `metadata.id: …`, `logprobs is not supported`, a line of its own.
  if (!/(?:^|[.;,>\n]\s*)$/.test(before)) return false;
  return /^(?:\s?:|\.\w|\s?\n|\s(?:is|are|was|must|should|cannot|can't|has|ist|wird|muss|kann|n'est|parameter|field)\b|\s?\p{Script=Han})/iu.test(
    after,
  );
}
