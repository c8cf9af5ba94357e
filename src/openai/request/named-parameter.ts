/** Names are repeated in a response header (`x-tokenferry-dropped`), so that invalid ones are not learned. */
export const PLAIN_NAME = /^[\w.-]{1,64}$/;

/** Where a text has a name, in any of its spellings. */
interface Mention {
  readonly name: string;
  readonly at: number;
  readonly end: number;
  /** The spelling is no word of a language: `top_p`, `topP`, `"user"`. */
  readonly isDistinct: boolean;
}

/** Mentions with nothing but commas, "and" and the like between them. */
type Chain = readonly [Mention, ...Mention[]];

/**
 * The names that a text marks as names first, those listed with them (`'a', 'b' and 'c' were unexpected`), and those of further
 * entries with the same words, in their order. Names in a list of what is allowed, in a repetition of the request and in
 * URLs do not count.
 */
export function listedNames(message: string, names: readonly string[]): readonly string[] {
  const text = withoutAllowed(withoutEcho(message, names));
  const [first, ...others] = chainsIn(text, names).filter((chain) => isMarkedChain(text, chain));
  if (first === undefined) return [];
  const entries = others.filter((chain) => isSameEntry(text, first, chain));
  return [...new Set([first, ...entries].flat().map(({ name }) => name))];
}

/**
 * The position at which a text names a parameter; -1: nowhere. Words such as `user` and `store` occur in many sentences, so
 * that a name counts when it is marked as one: quoted, behind a colon or "parameter", before a colon, or with `_`.
 */
export function markedMention(message: string, name: string): number {
  const chain = chainsIn(message, [name]).find((one) => isMarkedChain(message, one));
  return chain?.[0].at ?? -1;
}

/** The name of a request's own spelling: `presencePenalty` and `PresencePenalty` are `presence_penalty`; null: none is. */
export function ownSpelling(name: string, names: readonly string[]): string | null {
  if (names.includes(name)) return name;
  const bare = name.replace(/[_\s-]/g, '').toLowerCase();
  return names.find((own) => own.replace(/[_\s-]/g, '').toLowerCase() === bare) ?? null;
}

/** Parts of a text that are longer are not searched. UTF-16 units. */
const MAX_TEXT_LENGTH = 16_384;

function chainsIn(message: string, names: readonly string[]): readonly Chain[] {
  const text = message.slice(0, MAX_TEXT_LENGTH);
  const found = names
    .flatMap((name) => mentionsOf(text, name))
    .sort((one, other) => one.at - other.at || other.end - one.end);
  const chains: [Mention, ...Mention[]][] = [];
  let end = -1;
  for (const mention of found) {
    // Within a longer name.
    if (mention.at < end) continue;
    const chain = chains.at(-1);
    if (chain !== undefined && joins(text, chain, mention.at)) chain.push(mention);
    else chains.push([mention]);
    end = mention.end;
  }
  return chains;
}

function mentionsOf(text: string, name: string): Mention[] {
  if (!PLAIN_NAME.test(name)) return [];
  return [...text.matchAll(spellings(name))].map((match) => {
    const [spelling] = match;
    const at = match.index;
    const end = at + spelling.length;
    const isWord = /^[a-z]+$/i.test(spelling) ? !/[a-z][A-Z]/.test(spelling) : /\s/.test(spelling);
    return { name, at, end, isDistinct: !isWord };
  });
}

/** `presence_penalty`, also as `presencePenalty`, `presence-penalty` and `presence penalty`; `user` and `User`. */
function spellings(name: string): RegExp {
  const words = name.split(/[_-]|(?<=[a-z])(?=[A-Z])/).map(escaped);
  const [first = ''] = words;
  const capital = first.charAt(0);
  const isLetter = /[a-z]/.test(capital);
  const own =
    words.length > 1
      ? words.map(anyCase).join('[_\\s-]?')
      : isLetter
        ? `[${capital}${capital.toUpperCase()}]${escaped(name).slice(1)}`
        : escaped(name);
  return new RegExp(`(?<![\\w-])${own}(?![\\w-])`, 'g');
}

function anyCase(word: string): string {
  return word.replace(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

const CONJUNCTIONS =
  'and|or|nor|und|oder|et|ou|y|e|o|i|a|u|en|of|och|eller|og|ja|tai|ve|veya|dan|atau|và|hoặc|και|ή|и|или|та|або|és|vagy|și|sau|和|及|与|以及|或|と|や|及び|または|및|와|과|또는|และ|หรือ|و|أو|ו|או|और|या';

const SEPARATOR = new RegExp(
  `^['"\`”’»」\\]]?\\)?\\s*(?:[,、，;；&+/|・]\\s*(?:(?:${CONJUNCTIONS})\\s+)?|(?:${CONJUNCTIONS})\\s*)\\(?['"\`“‘„«「\\[]?$`,
  'iu',
);

function joins(text: string, chain: readonly Mention[], at: number): boolean {
  const [first] = chain;
  const last = chain.at(-1) ?? first;
  const between = text.slice(last?.end, at);
  if (between.length > 16) return false;
  // "unsupported parameters user seed", but not "user seed" in a sentence.
  return SEPARATOR.test(between) || (/^\s$/.test(between) && KINDS_OF_NAME.test(beforeOf(text, chain)));
}

/** So much around a name is looked at. UTF-16 units. */
const AROUND = 32;

function beforeOf(text: string, [first]: readonly Mention[]): string {
  const at = first?.at ?? 0;
  return text.slice(Math.max(0, at - AROUND), at);
}

function afterOf(text: string, chain: readonly Mention[]): string {
  const end = chain.at(-1)?.end ?? 0;
  return text.slice(end, end + AROUND);
}

function isMarkedChain(text: string, chain: Chain): boolean {
  if (chain.some(({ isDistinct }) => isDistinct)) return true;
  // Each may be quoted on its own.
  return isMarked(beforeOf(text, chain), afterOf(text, chain)) || isQuoted(text, chain[0]);
}

function isQuoted(text: string, { at, end }: Mention): boolean {
  return QUOTE_BEFORE.test(text.slice(Math.max(0, at - 2), at)) && QUOTE_AFTER.test(text.slice(end, end + 1));
}

/**
 * Entries of a validation: `user: Extra inputs are not permitted; seed: Extra inputs are not permitted`, `property user should
 * not exist, property seed should not exist`.
 */
function isSameEntry(text: string, first: Chain, chain: Chain): boolean {
  const after = afterOf(text, chain);
  if (after.length >= 4 && after.slice(0, 12) === afterOf(text, first).slice(0, 12)) return true;
  return /(?:^|[;\n]\s*(?:body[. >-]+)?)$/.test(beforeOf(text, chain)) && /^\s*[:\n]/.test(after);
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

/** Words for a parameter; "parameter" has one stem in most languages of Europe. */
const KINDS_OF_NAME =
  /(?::|：|->|\bpar[aáâà]m[eéèê]?t\p{L}*|\bargum[eé]n\p{L}*|\bfields?|\bpropert(?:y|ies)|\bkeys?|\boptions?|\binputs?|\belements?|\battributes?|\bmembers?|\bbody[.,]|参数|字段|属性|字段名|項目|\bfeld(?:er)?|\beigenschaft(?:en)?|\bchamps?|\bcampos?|\bcampi|\bveld(?:en)?|\bpol[ea]|\bfält(?:et|en)?|\bfelt(?:et)?|\bkenttä|\bmező|\bcâmp(?:ul)?|\bopção|\bopción|\bopzione|tham số|trường)\s*$/iu;

/** Words for a parameter behind its name: "the user field is prohibited", "user alanı desteklenmiyor". */
const KIND_BEHIND =
  /^['"`”’»]?\s(?:par[aáâà]m[eéèê]?t\p{L}*|fields?|arguments?|property|option|attribute|alan(?:ı|lar\p{L}*)?)(?!\p{L})/iu;

const QUOTE_BEFORE = /['"`“‘„«「『(,[]\s*$/;
const QUOTE_AFTER = /^['"`”’“»」』).,\]]/;

/** Words that refuse what follows them: "does not support user or seed", "neither user nor seed". */
const REFUSING_BEFORE =
  /(?:\b(?:not|n['’]t|cannot|never)\s+(?:yet\s+|currently\s+)?(?:support|accept|allow|permit|recogni[sz]e|understand|take|know|use|include|send|specify|set|pass|provide)|\b(?:unsupported|unknown|unrecogni[sz]ed|unexpected|invalid|extraneous|extra|forbidden|prohibited|disallowed|without|remove|omit|drop|neither|unbekannt\p{L}*|use of|support for|specifying|setting|sending|passing|providing))\s+$/iu;

/** What may follow a name there: not "invalid user input". */
const ENDS_PHRASE =
  /^(?:\s*(?:$|[\p{P}<>=\n])|\s(?:is|are|was|in|for|with|on|at|by|here|when|while|as|together|because|since|and|or|to|yet|anymore)\b)/u;

/** The verbs of a sentence whose subject is a name. */
const VERB_BEHIND =
  /^(?:\s?:|\.\w|\s?\n|\s(?:is|are|was|were|must|should|cannot|can't|does|do|has|have|not|isn['’]t|aren['’]t|ist|sind|wird|werden|muss|müssen|kann|n['’]est|ne|no|non|nie|není|não|wordt|worden|unsupported|unknown|parameter|field)(?!\p{L})|\s?\p{Script=Han})/iu;

/** A letter of another script than the one of names, which has no words that are taken for one. */
const FOREIGN = String.raw`(?!\p{Script=Latin})\p{L}`;
const FOREIGN_BEFORE = new RegExp(`(?:${FOREIGN})\\p{M}*\\s?$`, 'u');
const FOREIGN_AFTER = new RegExp(`^\\s?(?:${FOREIGN})`, 'u');
const NOTHING_BEFORE = /(?:^|[\p{P}\n]\s*)$/u;
const NOTHING_AFTER = /^\s*(?:$|[\p{P}\n])/u;

function isMarked(before: string, after: string): boolean {
  if (QUOTE_BEFORE.test(before) && QUOTE_AFTER.test(after)) return true;
  if (KINDS_OF_NAME.test(before) || KIND_BEHIND.test(after)) return true;
  if (REFUSING_BEFORE.test(before) && ENDS_PHRASE.test(after)) return true;
  // The end of a place: messages[1].reasoning, messages.1.assistant.reasoning.
  if (/(?:\]|\.\d{1,5})\.(?:\w{1,12}\.)?$/.test(before) && !/^\.?\w/.test(after)) return true;
  const isForeignBefore = FOREIGN_BEFORE.test(before);
  const isForeignAfter = FOREIGN_AFTER.test(after);
  if (isForeignBefore && (isForeignAfter || NOTHING_AFTER.test(after))) return true;
  if (isForeignAfter && NOTHING_BEFORE.test(before)) return true;
  if (/^\s+(?:extra (?:inputs?|fields?)|input should|field required|value error)/i.test(after)) return true;
  // At the start of a sentence: `user: Extra inputs…`, `metadata.id: …`, `logprobs is not supported`, a line of its own.
  return /(?:^|[.;,>\n]\s*)$/.test(before) && VERB_BEHIND.test(after);
}
