import type { ErrorCode } from 'yaml';

/**
 * What each complaint of the YAML parser means, in our words: the parser's own text quotes the file, where a
 * password that begins with `*`, `!` or `%` looks like syntax.
 */
export const YAML_ERRORS = {
  ALIAS_PROPS: 'an alias (*name) can have no anchor or tag',
  BAD_ALIAS: 'an alias (*name) has no anchor (&name) before it; put quotes around text that begins with *',
  BAD_DIRECTIVE: 'a line that begins with % is no YAML directive',
  BAD_DQ_ESCAPE: 'an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'the indentation does not fit the lines above',
  BAD_PROP_ORDER: 'anchor or tag in the wrong place',
  BAD_SCALAR_START: 'text that begins with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a key is not followed by its value on its own level; check the indentation and colons',
  BLOCK_IN_FLOW: 'an indented list or mapping cannot stand inside { } or [ ]',
  DUPLICATE_KEY: 'a key is there twice',
  IMPOSSIBLE: 'not valid YAML',
  KEY_OVER_1024_CHARS: 'a key is too long; is a colon or quote missing?',
  MISSING_CHAR: 'a closing quote, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key may not go over several lines; is a colon missing?',
  MULTIPLE_ANCHORS: 'a value can have one anchor only',
  MULTIPLE_DOCS: 'only one document is allowed in the file',
  MULTIPLE_TAGS: 'a value can have one tag only',
  NON_STRING_KEY: 'keys must be text',
  RESOURCE_EXHAUSTION: 'too deeply nested',
  TAB_AS_INDENT: 'tabs cannot indent; use blanks',
  TAG_RESOLVE_FAILED: 'an unknown tag; put quotes around text that begins with !',
  UNEXPECTED_TOKEN: 'something unexpected; check quotes, brackets and indentation',
  BAD_COLLECTION_TYPE: 'a tag that does not fit its value',
} as const satisfies Record<ErrorCode, string>;
