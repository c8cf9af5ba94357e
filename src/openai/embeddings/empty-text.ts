/**
 * In place of a text that is empty, where an upstream takes none. Not a space, which OpenAI and TEI would take: others
 * (DashScope, Zhipu, Cohere) trim it away and refuse what is left. A full stop is one token of every vocabulary and
 * says nothing.
 */
export const FILLED = '.';

/** How refusals of every upstream say that a text is empty. */
export const SAYS_EMPTY = /empty|blank|at least (?:1|one)|min_?length|too[_ ]?short|whitespace|为空/i;
