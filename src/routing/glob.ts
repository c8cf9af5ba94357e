/** Whether a name or path matches. */
export type Matcher = (text: string) => boolean;

/**
 * A pattern of `allow`, `deny`, `models` or `paths`: `?` is one character, `*` any run. In a path (a pattern that
 * begins with `/`) a single `*` stays within one segment and `**` crosses them, as in every other gateway.
 */
export function globMatcher(pattern: string): Matcher {
  if (isExact(pattern)) return (text) => text === pattern;
  if (pattern === '*' || pattern === '**') return () => true;
  const isPath = pattern.startsWith('/');
  const source = pattern.replace(/\*\*|\*|\?|[\\^$.+()[\]{}|]/g, (part) => {
    if (part === '**') return '.*';
    if (part === '*') return isPath ? '[^/]*' : '.*';
    if (part === '?') return isPath ? '[^/]' : '.';
    return `\\${part}`;
  });
  const expression = new RegExp(`^${source}$`, 's');
  const stars = pattern.match(/\*{1,2}/g)?.length ?? 0;
  if (stars < 2) return (text) => expression.test(text);
  const followed = starMatcher(pattern);
  if (stars > 2) return followed;
  return (text) => (text.length <= MAX_REGEXP_LENGTH ? expression.test(text) : followed(text));
}

/** A name without wildcards. */
export function isExact(pattern: string): boolean {
  return !/[*?]/.test(pattern);
}

/** True when one of the patterns matches; a matcher of no patterns matches nothing. */
export function anyMatcher(patterns: readonly string[]): Matcher {
  // Names without wildcards are found at once, however many there are.
  const names = new Set(patterns.filter(isExact));
  const matchers = patterns.filter((pattern) => !isExact(pattern)).map(globMatcher);
  if (matchers.length === 0) return (text) => names.has(text);
  return (text) => names.has(text) || matchers.some((matches) => matches(text));
}

/** Ignores case: servers that ignore case would serve a denied name in another spelling. */
export function anyMatcherInAnyCase(patterns: readonly string[]): Matcher {
  const matches = anyMatcher(patterns.map((pattern) => pattern.toLowerCase()));
  return (text) => matches(text.toLowerCase());
}

/** Up to this length a regular expression with two stars is fast, with any name. UTF-16 units. */
const MAX_REGEXP_LENGTH = 128;

/** One step of a pattern with several stars. */
interface Step {
  /** The UTF-16 unit that is meant; null: any. */
  readonly unit: number | null;
  readonly isStar: boolean;
  /** False: not a slash. */
  readonly crosses: boolean;
}

const SLASH = 0x2f;

/**
 * Matches a pattern with several stars by following all its states at once: a regular expression backtracks, which takes
 * seconds for a long name of a client's choice.
 */
function starMatcher(pattern: string): Matcher {
  const isPath = pattern.startsWith('/');
  const steps = (pattern.match(/\*{1,2}|[^*]/g) ?? []).map((part): Step => {
    const isStar = part.startsWith('*');
    return {
      unit: isStar || part === '?' ? null : part.charCodeAt(0),
      isStar,
      crosses: part === '**' || !isPath,
    };
  });
  return (text) => {
    let reached = new Uint8Array(steps.length + 1);
    let next = new Uint8Array(steps.length + 1);
    reach(steps, reached, 0);
    for (let at = 0; at < text.length; at++) {
      advance(steps, { from: reached, to: next }, text.charCodeAt(at));
      [reached, next] = [next, reached];
    }
    return reached[steps.length] === 1;
  };
}

function advance(
  steps: readonly Step[],
  { from, to }: { from: Uint8Array; to: Uint8Array },
  unit: number,
): void {
  to.fill(0);
  for (let position = 0; position < steps.length; position++) {
    const step = steps[position];
    if (step === undefined || from[position] !== 1) continue;
    const isTaken = step.unit === null ? step.crosses || unit !== SLASH : step.unit === unit;
    if (isTaken) reach(steps, to, step.isStar ? position : position + 1);
  }
}

/** Notes a position, and those behind its stars, which may also match nothing. */
function reach(steps: readonly Step[], reached: Uint8Array, position: number): void {
  for (let at = position; reached[at] !== 1; at++) {
    reached[at] = 1;
    if (steps[at]?.isStar !== true) return;
  }
}
