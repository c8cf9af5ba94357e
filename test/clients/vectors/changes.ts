import { type Json, mapChoice, mapDelta } from '../answers.ts';

/** What becomes of the chunks of one answer. */
export type ChangeChunks = (chunks: Json[]) => unknown[];

/** Each chunk changed alone. */
export const each =
  (change: (one: Json, position: number) => unknown): ChangeChunks =>
  (chunks) =>
    chunks.map(change);

/** Each delta changed. */
export const delta = (change: (delta: Json) => unknown): ChangeChunks => each((one) => mapDelta(one, change));

/** Each choice changed. */
export const choice = (change: (choice: Json) => unknown): ChangeChunks =>
  each((one) => mapChoice(one, change));

/** Without this member. */
export const without =
  (name: string) =>
  ({ [name]: _, ...rest }: Json): Json =>
    rest;

/** The chunks whose choice has this finish. */
export const finish = (change: (choice: Json) => unknown): ChangeChunks =>
  choice((one) => (one.finish_reason === null ? one : change(one)));

/** Also true of the usage chunk. */
export function hasNoFinish(one: Json): boolean {
  return (one.choices as Json[]).every((each) => each.finish_reason === null);
}

export function isUsage(one: Json): boolean {
  return (one.choices as unknown[]).length === 0;
}
