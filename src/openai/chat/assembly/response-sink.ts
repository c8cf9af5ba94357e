import type { JsonObject } from '../../../lib/json/json-object.ts';
import type { CallStep } from '../calls/tool-calls.ts';
import type { FinishReason } from '../shapes/finish-reason.ts';

export type TextKind = 'reasoning' | 'content' | 'refusal';

/** What came with a choice besides its delta; told once, with the first thing that the delta becomes. */
export interface ChoiceExtras {
  readonly logprobs: unknown;
  readonly extensions: JsonObject | null;
  readonly deltaExtensions: JsonObject | null;
}

/** Who is told what a reply consists of, in canonical order: a writer of chunks, or a collector of the whole. */
export interface ResponseSink {
  /** Unknown members of a chunk; they go with the next thing that is told. */
  attach(extensions: JsonObject): void;
  begin(choice: number): void;
  text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void;
  callStep(choice: number, step: CallStep, extras: ChoiceExtras | null): void;
  /** A delta of which only members are known that OpenAI does not know. */
  extension(choice: number, extras: ChoiceExtras): void;
  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void;
}
