/** The finish reasons that clients get. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** What an upstream's reason means: one of ours, or that the generation failed. */
type FinishMeaning = FinishReason | 'failed';

interface FinishReasonRow {
  readonly words: RegExp;
  readonly meaning: FinishMeaning;
  /** The vendors that were seen to send them, as far as known. */
  readonly seenAt: string;
}

/** Words of vendors, tried in this order. */
const FINISH_REASONS: readonly FinishReasonRow[] = [
  {
    words: /^(?:stop|eos|end)/,
    meaning: 'stop',
    seenAt: 'Q57 TGI, dstack: eos_token, stop_sequence, eos; Q61 Anthropic translators: end_turn',
  },
  {
    words: /filter|safety|sensitive|recitation|block|prohibited|spii|moderation|refusal/,
    meaning: 'content_filter',
    seenAt: 'Q59 Zhipu: sensitive; Gemini: SAFETY, RECITATION, PROHIBITED_CONTENT, SPII; Anthropic: refusal',
  },
  {
    words: /error|abort|fail|overload|insufficient|cancel|malformed|unavailable|timeout|interrupt/,
    meaning: 'failed',
    seenAt:
      'Q60 Zhipu: network_error; vLLM: abort; DeepSeek: insufficient_system_resource; Moonshot: engine_overloaded; Gemini: MALFORMED_FUNCTION_CALL',
  },
  {
    words: /length|token|context|truncat/,
    meaning: 'length',
    seenAt: 'Q58 Anthropic: max_tokens; Gemini: MAX_TOKENS; Mistral: model_length; length_limit, token_limit',
  },
  {
    words: /tool|function/,
    meaning: 'tool_calls',
    seenAt: 'Q61 Anthropic: tool_use; OpenAI legacy: function_call',
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
