/** The finish reasons that clients get. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** What an upstream's reason means: one of ours, or that the generation failed. */
type FinishMeaning = FinishReason | 'failed';

interface FinishReasonRow {
  readonly words: RegExp;
  readonly meaning: FinishMeaning;
  /** The vendors of the rows in docs/compatibility.md; words without one have no recorded vendor. */
  readonly seenAt: string;
}

/** Words of vendors, tried in this order. */
const FINISH_REASONS: readonly FinishReasonRow[] = [
  {
    words: /^(?:stop|eos|end)/,
    meaning: 'stop',
    seenAt:
      'Q57 TGI, dstack: eos_token, stop_sequence, eos, eot; Q61 translators of Anthropic and Cohere: end_turn',
  },
  {
    words: /filter|safety|sensitive|recitation|block|prohibited|spii|moderation|refusal/,
    meaning: 'content_filter',
    seenAt: 'Q59 Zhipu, Gemini, Baidu: sensitive, SAFETY, RECITATION, content_filter, blocked',
  },
  {
    words: /error|abort|fail|overload|insufficient|cancel|malformed|unavailable|timeout|interrupt/,
    meaning: 'failed',
    seenAt:
      'Q60 Zhipu, Bifrost, OpenRouter: network_error, error, abort, engine_overloaded, insufficient_system_resource',
  },
  {
    words: /length|token|context|truncat/,
    meaning: 'length',
    seenAt: 'Q58 names of native APIs: max_tokens, MAX_TOKENS, length_limit, model_length, token_limit',
  },
  {
    words: /tool|function/,
    meaning: 'tool_calls',
    seenAt: 'Q61 translators of Anthropic and Cohere: tool_use; Q120 OpenAI legacy: function_call',
  },
];

/** The meaning of a finish reason of any vendor; what is like none of the known ones is a natural end (`COMPLETE`, Q61). */
export function meaningOf(reason: string): FinishMeaning {
  return meaningIfKnown(reason) ?? 'stop';
}

/** The same; null for a word that is like none of the known ones. */
export function meaningIfKnown(reason: string): FinishMeaning | null {
  const word = reason.toLowerCase();
  return FINISH_REASONS.find(({ words }) => words.test(word))?.meaning ?? null;
}
