type Counter = (text: string) => number;

/** Longer texts are counted by a sample: an estimate must not block the event loop. In UTF-16 units. */
const MAX_COUNTED_LENGTH = 64 * 1024;

/** The tokenizer's tables are 2 MB; loaded when first needed, never at start. */
let counter: Counter | null = null;
let loading: Promise<void> | null = null;

/** Loads the tokenizer (o200k, the one of current OpenAI models); call it early where estimates are expected. */
export function loadTokenCounter(): Promise<void> {
  loading ??= import('gpt-tokenizer/encoding/o200k_base').then(
    ({ countTokens: count }) => {
      counter = (text) => count(text, { allowedSpecial: 'all' });
    },
    () => {
      // Without its tables the rule of thumb below still gives an estimate.
    },
  );
  return loading;
}

/** About how many tokens a text is. Until the tokenizer is loaded (which this call starts) by a rule of thumb. */
export function estimateTokens(text: string): number {
  if (text === '') return 0;
  if (counter === null) {
    void loadTokenCounter();
    return estimateTokensRoughly(text);
  }
  if (text.length <= MAX_COUNTED_LENGTH) return counter(text);
  const sample = text.slice(0, MAX_COUNTED_LENGTH);
  return Math.round((counter(sample) / sample.length) * text.length);
}

/**
 * Without any tables: four characters of Latin text or one of Chinese, Japanese or Korean are about one token. Long
 * texts are judged by their beginning.
 */
export function estimateTokensRoughly(text: string): number {
  if (text === '') return 0;
  if (text.length > MAX_COUNTED_LENGTH) {
    const sample = text.slice(0, MAX_COUNTED_LENGTH);
    return Math.round((estimateTokensRoughly(sample) / sample.length) * text.length);
  }
  let wide = 0;
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) >= 0x2e80) wide++;
  }
  return Math.max(1, Math.ceil(wide + (text.length - wide) / 4));
}
