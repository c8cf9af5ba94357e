/** When the text of one stream came. Milliseconds. */
export interface StreamTimes {
  /** From the request to the first non-empty text. */
  readonly firstTextMs: number;
  /** Between each text and the one before it. */
  readonly gapsMs: readonly number[];
}

/** RAGFlow's budget for the first text when a model is added (`LLM_TIMEOUT_SECONDS`). */
const RAGFLOW_FIRST_TEXT_MS = 10_000;

/** Chunks closer than this left the gateway in one burst. */
const BURST_MS = 3;

/** From here on a median says something. */
const FEWEST_GAPS = 4;

/** Why RAGFlow would refuse the model; null when it would not. */
export function slowFirstText({ firstTextMs }: StreamTimes): string | null {
  if (firstTextMs <= RAGFLOW_FIRST_TEXT_MS) return null;
  return `the first text took ${(firstTextMs / 1000).toFixed(1)} s; RAGFlow gives up after 10 s when a model is added`;
}

/** What a person in front of a chat window sees. */
export function describeStream({ firstTextMs, gapsMs }: StreamTimes): string {
  const wait = firstTextMs < 1000 ? `${Math.round(firstTextMs)} ms` : `${(firstTextMs / 1000).toFixed(1)} s`;
  if (gapsMs.length < FEWEST_GAPS) return `A user waits ${wait} and sees the whole short answer at once.`;
  const sorted = gapsMs.toSorted((left, right) => left - right);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const longest = sorted.at(-1) ?? 0;
  const gaps = `one chunk every ${median.toFixed(0)} ms, the longest pause ${longest.toFixed(0)} ms`;
  if (sorted.filter((gap) => gap < BURST_MS).length > sorted.length * 0.9) {
    return `A user waits ${wait} and then sees everything at once: something on the way holds the stream back, or the model is very fast (${gaps}).`;
  }
  return `A user sees the first word after ${wait} and the text grow: ${gaps}.`;
}
