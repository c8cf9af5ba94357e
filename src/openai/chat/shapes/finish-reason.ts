export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** What an upstream's reason means: one of ours, or that the generation failed. */
type FinishMeaning = FinishReason | 'failed';

/** Kinds of words, tried in this order; what matches none is a natural end (`eos_token`, `end_turn`, `COMPLETE`). */
const MEANINGS: readonly (readonly [RegExp, FinishMeaning])[] = [
  [/^(?:stop|eos|end)/, 'stop'],
  [/filter|safety|sensitive|recitation|block|prohibited|spii|moderation|refusal/, 'content_filter'],
  [/error|abort|fail|overload|insufficient|cancel|malformed|unavailable|timeout|interrupt/, 'failed'],
  [/length|token|context|truncat/, 'length'],
  [/tool|function/, 'tool_calls'],
];

/** The meaning of a finish reason of any vendor. */
export function meaningOf(reason: string): FinishMeaning {
  return meaningIfKnown(reason) ?? 'stop';
}

/** The same; null for a word that is like none of the known ones. */
export function meaningIfKnown(reason: string): FinishMeaning | null {
  const word = reason.toLowerCase();
  return MEANINGS.find(([pattern]) => pattern.test(word))?.[1] ?? null;
}

interface CallsSoFar {
  readonly count: number;
  readonly areComplete: boolean;
}

/**
 * The reason that clients get. Any call makes it `tool_calls`, since agents loop on that; a cut inside a call's
 * arguments stays a cut, since nobody may run half a call.
 */
export function finishReasonFor(reason: FinishReason | null, calls: CallsSoFar): FinishReason {
  const said = reason ?? 'stop';
  if (calls.count === 0) return said === 'tool_calls' ? 'stop' : said;
  const isCut = said === 'length' || said === 'content_filter';
  return isCut && !calls.areComplete ? said : 'tool_calls';
}
