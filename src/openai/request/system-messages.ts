import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';

const SYSTEM_ROLES: ReadonlySet<unknown> = new Set(['system', 'developer']);

/** Between the texts of two system messages: each is a paragraph of its own. */
const SEPARATOR = '\n\n';

/** System messages that become one at the beginning. */
export interface SystemMerge {
  /** The positions of all of them, in their order. */
  readonly positions: readonly number[];
  readonly role: string;
  readonly content: unknown;
}

/** How a conversation with several system messages, or one behind others, gets a single leading one; null: it has. */
export function planSystemMerge(messages: readonly unknown[]): SystemMerge | null {
  const positions: number[] = [];
  for (const [position, message] of messages.entries())
    if (isJsonObject(message) && SYSTEM_ROLES.has(message.role)) positions.push(position);
  if (positions.length === 0 || (positions.length === 1 && positions[0] === 0)) return null;
  const merged = positions.map((position) => messages[position] as JsonObject);
  return {
    positions,
    role: merged.some(({ role }) => role === 'system') ? 'system' : 'developer',
    content: joinContents(merged.map(({ content }) => content)),
  };
}

/** One text when all are texts, else a list of the parts of all. */
export function joinContents(contents: readonly unknown[]): unknown {
  const given = contents.filter((content) => content !== null && content !== undefined && content !== '');
  if (given.every((content) => typeof content === 'string')) return given.join(SEPARATOR);
  return given.flatMap((content) =>
    typeof content === 'string' ? [{ type: 'text', text: content }] : content,
  );
}

const NAMES_SYSTEM =
  /\bsystem\b|系统|系統|システム|시스템|систем|\bsyst[eéè]m|\bsysteem|\bsistem|النظام|ระบบ|hệ thống/i;
const SAYS_PLACE =
  /begin|\bstart|\bfirst|leading|\btop of|only (?:one|a single|support)|\bsingle\b|multiple|more than one|several|at most (?:one|1)|\bone system|position|\border|index|duplicate|consecutive|in the middle|\blater|\bafter\b|prece|\bgot ['"`]?system|unexpected role|not (?:allowed|expected|permitted|supported) (?:here|at)|开头|起始|首|第一|一条|一个|最前|只能|多条|多个|位置|顺序|之后|anfang|erste|beginn|einzige|nur eine|mehrere|début|premi|seul|prim[eoi]|in[ií]ci|inizi|[uú]nic|pierwsz|eerst|först|først|první|ensimmäi|\bilk\b|đầu|先頭|最初|冒頭|一つ|맨 앞|처음|첫|하나|перв|начал|перш|одно|الأول|บรรทัดแรก|แรก/i;
const SAYS_ALTERNATE = /roles? must alternate|alternat\w* (?:between )?(?:the )?(?:roles?|user)|必须交替/i;

/** Whether the words are about the place or the number of system messages; they count where such are in the request. */
export function refusesSystemMessages(words: string, messages: unknown): boolean {
  if (!(NAMES_SYSTEM.test(words) && SAYS_PLACE.test(words)) && !SAYS_ALTERNATE.test(words)) return false;
  return Array.isArray(messages) && planSystemMerge(messages) !== null;
}
