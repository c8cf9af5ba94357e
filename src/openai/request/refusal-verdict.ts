/** What an upstream's words about one parameter ask for. */
type Verdict =
  /** `isCertain`: the words refuse it; else they only name it. */
  | { readonly kind: 'drop'; readonly isCertain: boolean }
  /** Only its value is refused, others are known to be accepted. */
  | { readonly kind: 'drop_value' }
  | { readonly kind: 'rename'; readonly to: string }
  /** `isForStream`: only in requests with the same `stream`. */
  | { readonly kind: 'set'; readonly json: string; readonly isForStream: boolean }
  /** The client's own: a value of the wrong type or out of range, or something is missing. */
  | { readonly kind: 'mistake' };

interface RefusalWords {
  readonly name: string;
  readonly value: unknown;
  readonly text: string;
  /** The upstream's code or its validator's type of the fault. */
  readonly code: string | null;
  readonly isStream: boolean;
}

/** Reads the words in which an upstream refuses a parameter that it names, in any language. */
export function readVerdict(words: RefusalWords): Verdict {
  const { name, value, code, isStream } = words;
  const text = words.text.replace(URLS, ' ');
  const to = otherName(text, name);
  if (to !== null) return { kind: 'rename', to };
  const json = statedValue(text, name);
  if (json === 'null') return { kind: 'drop', isCertain: true };
  if (json !== null) return { kind: 'set', json, isForStream: isAboutStream(text, isStream) };
  const type = (code ?? '').replaceAll('_', ' ');
  const isRefused = REFUSES.test(text) || REFUSES.test(type);
  if (isAboutValue(text, type, value, isRefused)) return { kind: 'drop_value' };
  if (typeof value === 'number' && SAYS_RANGE.test(text)) return { kind: 'mistake' };
  if (isRefused) return { kind: 'drop', isCertain: true };
  if (MISTAKE_TYPES.test(type) || SAYS_MISTAKE.test(text) || isAboutNumber(text, name, value))
    return { kind: 'mistake' };
  return { kind: 'drop', isCertain: SAYS_INVALID.test(text) };
}

/** Whether another value may be accepted; not where only the default is. */
function isAboutValue(text: string, type: string, value: unknown, isRefused: boolean): boolean {
  if (typeof value !== 'string' || SAYS_DEFAULT.test(text) || NAME_REFUSED.test(text)) return false;
  const isQuoted = [`'${value}'`, `"${value}"`, `\`${value}\``].some((quoted) => text.includes(quoted));
  return VALUE_TYPES.test(type) || SAYS_VALUES.test(text) || (isQuoted && isRefused);
}

const URLS = /\bhttps?:\/\/\S+/gi;

const QUOTE = `["'\`“‘„”’«「]?`;

/** "Use 'max_completion_tokens' instead", "请使用 max_completion_tokens", "wurde umbenannt in …". */
const OTHER_NAME = new RegExp(
  String.raw`(?:\buse|\busing|\brenamed (?:to|as)|\breplaced (?:by|with)|\bdid you mean|\bsuperseded by|\bin favou?r of|\bmoved to|\bswitch to|请(?:使用|改用)|改为|改用|替换为|已更名为|\bverwenden?(?: Sie)?|\bnutzen Sie|\bumbenannt in|\bersetzt durch|\butilisez|\bremplacé par|\butilice|\busa)(?![a-z_])\s*:?\s*(?:the (?:new )?|den |le |el )?(?:parameters?|fields?|参数|字段|Parameter|paramètre|parámetro)?\s*(${QUOTE})([a-z][\w.]{2,63})(${QUOTE})`,
  'gi',
);

function otherName(text: string, name: string): string | null {
  for (const [, before = '', found = '', after = ''] of text.matchAll(OTHER_NAME)) {
    const to = found.replace(/\.$/, '');
    const isName = to.includes('_') || to.includes('.') || (before !== '' && after !== '');
    if (isName && to !== name && /^[\w.-]{3,64}$/.test(to)) return to;
  }
  return null;
}

const LITERAL = String.raw`(true|false|null|none|-?\d+(?:\.\d+)?|"[\w.-]{1,40}"|'[\w.-]{1,40}'|\`[\w.-]{1,40}\`)`;
const NO_CHOICE = String.raw`(?![\w%]|\.\d|\s*(?:[-–~/|]|,\s*["'\`\d]|or\b|and\b|to\b|through\b|oder\b|bis\b|ou\b|或|和|到|至))`;

/** "must be set to false", "只能为 1", "muss auf false gesetzt werden"; not "must be 1 or 2", which is a choice. */
function statedValue(text: string, name: string): string | null {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const own = `(?<![\\w-])${escaped}(?![\\w-])${QUOTE}`;
  const patterns = [
    String.raw`${own}\W{0,3}(?:\w+\s+){0,2}?(?:must|should|has to|needs? to|can only|may only|must only|muss|darf nur|doit|debe|必须|只能|只支持|仅支持|需要?|应当?)\s*(?:only\s+)?(?:be\s+|être\s+|ser\s+|被)?(?:set\s+to\s+|set\s+as\s+|equal(?:s|\s+to)?\s+|auf\s+|à\s+|(?:设置?|指定)(?:为|成)|为|是|=)?\s*${LITERAL}${NO_CHOICE}`,
    String.raw`(?:\bset|\bsetze(?:n Sie)?|\bsetting|请?(?:将|把)|请?设置)\s*(?:the\s+)?(?:parameter\s+|参数\s*)?${QUOTE}${own}\s*(?:parameter\s+|参数\s*)?(?:to|as|=|auf|(?:设置?|指定|改)?(?:为|成)|设为)\s*${LITERAL}${NO_CHOICE}`,
    String.raw`${own}\s*=\s*${LITERAL}\s+(?:is\s+(?:required|mandatory|the only)|only\b|erforderlich)`,
    String.raw`${own}\W{0,3}(?:\w+\s+){0,2}?only\s+${LITERAL}\s+(?:is|was)\s+(?:allowed|supported|accepted|valid|permitted)`,
    String.raw`\bonly\s+(?:supports?\s+|accepts?\s+|allows?\s+)?${QUOTE}${own}\s*=\s*${LITERAL}${NO_CHOICE}`,
  ];
  for (const pattern of patterns) {
    const literal = new RegExp(pattern, 'i').exec(text)?.[1];
    if (literal !== undefined) return jsonOf(literal);
  }
  return new RegExp(`${own}\\W{0,3}${UNSET}`, 'i').test(text) ? 'null' : null;
}

/** "must not be set", "should be omitted", "不能设置". */
const UNSET = String.raw`(?:\w+\s+){0,2}?(?:(?:must|should|can|may|need)(?:\s?not|n't)\s+be\s+(?:set|sent|given|provided|specified|used|present|included|passed)|(?:must|should|has to|needs to)\s+be\s+(?:omitted|removed|unset|left out|absent|undefined|empty|dropped)|darf nicht (?:gesetzt|angegeben)|不能(?:设置|传|指定|使用)|不(?:应|可)(?:设置|传|指定)|请(?:移除|删除))`;

function jsonOf(literal: string): string {
  if (/^["'`]/.test(literal)) {
    const word = literal.slice(1, -1);
    return /^(?:true|false|null|none)$/i.test(word) ? jsonOf(word) : JSON.stringify(word);
  }
  const lower = literal.toLowerCase();
  return lower === 'none' ? 'null' : lower;
}

const NON_STREAM =
  /non[- _]?stream|not streaming|without stream|stream\s*[=:]\s*false|非流式|nicht[- ]?stream/i;
const STREAM =
  /(?:for|in|when|while|with|bei|im)\s+(?:\w+\s+)?stream(?:ing|s|-modus| mode)?\b|stream\s*[=:]\s*true|流式/i;

/** Whether the words hold only for requests with the `stream` of this one. */
function isAboutStream(text: string, isStream: boolean): boolean {
  return isStream ? STREAM.test(text) && !NON_STREAM.test(text) : NON_STREAM.test(text);
}

/** Words by which a parameter itself is refused. */
const REFUSES =
  /unsupported|not enabled|prohibited|disallowed|extraneous|should not exist|neither\b.*\bnor|not (?:be )?(?:currently |yet )?supported|support(?:s|ed)? only|only (?:permitted|allowed|supported|valid|available|the default)|not (?:yet |currently )?(?:permitted|allowed|available|recogni[sz]ed|implemented|accepted|enabled|known|applicable|compatible)|(?:does|do|can|is|are|will)(?: not|n't) (?:support|accept|allow|recogni[sz]e|know|understand|take|be used)|cannot be (?:used|combined|specified|set)|unrecogni[sz]ed|unknown|unexpected|extra[ _]forbidden|value[ _]error\.extra|extra (?:inputs?|fields?|parameters?)|additional ?propert|cannot find field|no such (?:field|parameter|argument)|deprecated|no longer|obsolete|removed|forbidden|disabled|incompatible|must (?:not|be (?:omitted|removed))|不(?:被)?支持|未知|非法(?:参数|字段)|无法识别|不识别|不允许|不存在|已(?:废弃|弃用|移除)|多余|不可用|nicht (?:unterstützt|erlaubt|bekannt|zulässig|verfügbar|gestattet|vorgesehen|erkannt)|unbekannt|unzulässig|veraltet|non pris en charge|pas (?:pris en charge|supporté|autorisé|reconnu)|inconnu|no (?:es compatible|soportado|admitido|permitido|reconocid)|desconocid|サポートされて|지원(?:되지|하지)/i;

/** The name is refused, with any value: unknown field `user`, expected one of `model`, `messages`. */
const NAME_REFUSED =
  /(?:unknown|unrecogni[sz]ed|unexpected|unsupported|extra|additional|invalid) (?:request )?(?:(?:keyword )?argument|field|parameter|propert|key|name|input|option)/i;

/** The same in words that are also used of values. */
const SAYS_INVALID = /invalid (?:parameter|argument|field|property|key)|(?:are|is) not valid/i;

/** A range of numbers. */
const SAYS_RANGE =
  /\bbetween\b|\bat (?:least|most)\b|out of range|\brange\b|\b(?:above|below)\b|(?:greater|less|larger|smaller|higher|lower) than|[<>]=?\s*-?\d|exceed|范围|之间|大于|小于|超过|zwischen|mindestens|höchstens|größer|kleiner/i;

/** The only value that is accepted is the one without the parameter. */
const SAYS_DEFAULT = /only the default|default (?:\S+ )?value is supported|仅支持默认|nur der Standardwert/i;

/** Words and types by which one of several values is refused. */
const SAYS_VALUES =
  /unsupported value|(?:supported|allowed|accepted|valid|possible|permitted) values?|(?:not|n't) (?:a valid|one of)|must be one of|should be one of|expected one of|one of the following|input should be ['"`]|does not support ['"`]|unknown variant|取值|可选值|有效值|之一|(?:erlaubte|gültige|mögliche|zulässige) Werte|eine[rs]? von|valeurs? (?:possibles|autorisées)|valores? (?:permitidos|válidos)/i;
const VALUE_TYPES =
  /^(?:literal error|enum|unsupported value|invalid enum value|type error\.enum|invalid value)$/i;

/** Types of validators and codes for a value of the wrong type or out of range, and for what is missing. */
const MISTAKE_TYPES =
  /^(?:(?:int|float|bool|string|str|list|dict|model|tuple|decimal|number|integer|boolean|object|array) (?:type|parsing|parsing size|from float|too long|too short|pattern mismatch|above max \w+|below min \w+|attributes type)|(?:greater|less) than(?: equal)?|multiple of|finite number|too (?:long|short|big|small|many|few)|missing|missing required parameter|required|value error\.(?:missing|number\S*|any str\S*|list\S*)|type error(?!\.enum)\S*|invalid type|(?:integer|decimal|number|string|array) (?:above|below)\b.*|min(?:imum|length|items)?|max(?:imum|length|items)?|range|type)$/i;

/** Words for the same. */
const SAYS_MISTAKE =
  /\b(?:between|at (?:least|most)|greater|less|larger|smaller|higher|lower|fewer|more) (?:than|or equal|and|\d)|\bbetween\b|\bat (?:least|most)\b|out of (?:range|bounds)|\brange\b|exceed|too (?:long|short|large|small|big|high|low|many|few)|(?:maximum|minimum|max|min)\b.{0,20}(?:value|length|is|of)|[<>]=?\s*-?\d|\bmust be (?:an?|of type|positive|negative|non-?negative|valid|strictly|finite)\b|\bshould be (?:an?|of type)\b|\b(?:expected|requires?|needs?) (?:an? )?(?:type )?(?:integer|int|number|float|bool|boolean|string|str|list|array|object|dict|map)\b|valid (?:integer|number|string|boolean|list|dictionary|object|json)|invalid type|wrong type|type error|not (?:an?|of type) (?:\w+ )?(?:integer|number|float|boolean|bool|string|list|array|object|dict)|is not of type|cannot (?:unmarshal|deserialize|parse|convert)|could not (?:parse|convert)|malformed|\bmissing\b|\brequired\b|must (?:be present|be provided|not be empty|be specified)|cannot be (?:empty|blank|null)|范围|之间|不能(?:大于|小于|超过|为空)|大于|小于|超过|超出|最大|最小|类型(?:错误|应|必须)|格式|必填|缺少|不能为空|整数|zwischen|mindestens|höchstens|größer|kleiner|überschreit|zu (?:lang|kurz|groß|klein)|muss eine?n? |erforderlich|fehlt|ungültiger Wert|entre\b|au (?:moins|plus)|supérieur|inférieur|doit être (?:un|compris)|obligatoire|entre|mayor|menor|debe ser (?:un|mayor|menor)|以上|以下/i;

/** A text about a number has numbers in it: the range. Those of statuses, lines and versions are not meant. */
function isAboutNumber(text: string, name: string, value: unknown): boolean {
  if (typeof value !== 'number') return false;
  const bare = text
    .replaceAll(name, ' ')
    .replace(/\b(?:status|code|line|column|error|version|v)\s*:?\s*\d+(?:\.\d+)*/gi, ' ');
  return /(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])/.test(bare.replaceAll(String(value), ' '));
}
