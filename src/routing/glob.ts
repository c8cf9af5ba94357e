/** Answers whether a name or path is meant. */
export type Matcher = (text: string) => boolean;

/**
 * A pattern of `allow`, `deny`, `models` or `paths`: `?` is one character, `*` any run. In a path (a pattern that
 * begins with `/`) a single `*` stays within one segment and `**` crosses them, as in every other gateway.
 */
export function globMatcher(pattern: string): Matcher {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  if (pattern === '*' || pattern === '**') return () => true;
  const isPath = pattern.startsWith('/');
  const source = pattern.replace(/\*\*|\*|\?|[\\^$.+()[\]{}|]/g, (part) => {
    if (part === '**') return '.*';
    if (part === '*') return isPath ? '[^/]*' : '.*';
    if (part === '?') return isPath ? '[^/]' : '.';
    return `\\${part}`;
  });
  const expression = new RegExp(`^${source}$`, 's');
  return (text) => expression.test(text);
}

/** True when one of the patterns matches; a matcher of no patterns matches nothing. */
export function anyMatcher(patterns: readonly string[]): Matcher {
  const matchers = patterns.map(globMatcher);
  return (text) => matchers.some((matches) => matches(text));
}
