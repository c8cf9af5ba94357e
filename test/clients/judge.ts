import { isDeepStrictEqual } from 'node:util';
import type { Reading } from './protocol.ts';

/** The same text, reasoning, calls, finish and usage as from the upstream itself. */
export function judgeAnswer(
  { ownIds, ownUsage }: { readonly ownIds?: boolean; readonly ownUsage?: boolean },
  reading: Reading,
  reference: Reading,
): string | null {
  // openai-python's helper raises on finish `length`; then both must, and in the same way.
  if (reading.error?.kind !== reference.error?.kind) return difference('error', reading, reference);
  for (const name of ['text', 'reasoning', 'finish', 'value'] as const) {
    if (!isDeepStrictEqual(reading[name], reference[name])) return difference(name, reading, reference);
  }
  const isSameCalls =
    ownIds === true
      ? areOwn(reading.calls) && isDeepStrictEqual(withoutIds(reading), withoutIds(reference))
      : isDeepStrictEqual(reading.calls, reference.calls);
  if (!isSameCalls) return difference('calls', reading, reference);
  const isSameUsage =
    ownUsage === true
      ? reading.usage.length === reference.usage.length && reading.usage.every(isPlausible)
      : isDeepStrictEqual(reading.usage, reference.usage);
  return isSameUsage ? null : difference('usage', reading, reference);
}

function difference(name: keyof Reading, reading: Reading, reference: Reading): string {
  const isRefused = name === 'error' || reading.error !== null;
  const got = isRefused ? reading.error : reading[name];
  return `${name}: ${JSON.stringify(got)}, not ${JSON.stringify(reference[name])}`.slice(0, 400);
}

// Readers that join by index have holes where an upstream's indexes have gaps.
type Calls = readonly (Reading['calls'][number] | null)[];

function withoutIds({ calls }: { readonly calls: Calls }): unknown {
  return calls.map((call) => [call?.name, call?.arguments]);
}

function areOwn(calls: Calls): boolean {
  const ids = calls.map((call) => call?.id ?? '');
  return ids.every((id) => id !== '') && new Set(ids).size === ids.length;
}

function isPlausible({ prompt, completion, total }: Reading['usage'][number]): boolean {
  return Number.isSafeInteger(prompt) && prompt > 0 && total === prompt + completion;
}

/** An error with its status, when there was one to have, and its words; before it, the text that was told. */
export function judgeFault(
  expect: { readonly status: number | null; readonly says: RegExp; readonly text?: string },
  { error, text }: Reading,
): string | null {
  if (error === null) return `no error, but ${JSON.stringify(text)}`;
  // Some clients tell the status in words only, and some make one up for an error within a stream.
  const isTold = error.status === expect.status || error.message.includes(String(expect.status));
  if (expect.status !== null && !isTold)
    return `status ${error.status}, not ${expect.status}: ${error.message}`.slice(0, 400);
  if (!expect.says.test(error.message)) return `says ${error.message}`.slice(0, 400);
  return text === (expect.text ?? '') ? null : `text ${JSON.stringify(text)}`;
}
