import type { FerryError } from '../../../lib/errors/ferry-error.ts';
import type { JsonObject } from '../../../lib/json/json-object.ts';
import type { UsageMeter } from '../../usage/usage-meter.ts';
import type { FinishReason } from '../../vendors/finish-reasons.ts';

/** The kinds of text that a response has, each in a member of its own. */
export type TextKind = 'reasoning' | 'content' | 'refusal';

/** What came with a choice besides its delta; written once, with the first thing that the delta becomes. */
export interface ChoiceExtras {
  readonly logprobs: unknown;
  readonly extensions: JsonObject | null;
  readonly deltaExtensions: JsonObject | null;
}

/** A tool call as it is opened. */
export interface OpenedCall {
  readonly id: string;
  readonly name: string;
  /** Members that OpenAI does not have; those of the function in a member `function`. */
  readonly extensions: JsonObject | null;
}

/** What comes next of the tool calls of one choice. */
export interface CallStep {
  /** From 0 without gaps. */
  readonly call: number;
  /** Given in the first step of a call only. */
  readonly opens: OpenedCall | null;
  readonly arguments: string;
  /** Members that OpenAI does not have and that came after the first step. */
  readonly late: JsonObject | null;
}

/** Takes what a response consists of, in canonical order: a writer of chunks, or a collector of the whole. */
export interface ResponseSink {
  /** Unknown members of a chunk; they go with what is written next. */
  attach(extensions: JsonObject): void;
  begin(choice: number): void;
  text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void;
  callStep(choice: number, step: CallStep, extras: ChoiceExtras | null): void;
  /** A delta with only members that OpenAI does not have. */
  extension(choice: number, extras: ChoiceExtras): void;
  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void;
}

/** A sink whose output goes to the client, as the events of one API or as one whole response. */
export interface StreamWriter extends ResponseSink {
  /** Set when the writer can take no more. */
  readonly failure: FerryError | null;
  /** The text that was written since the last call, '' if none. */
  take(): string;
  /** The response is over, and its usage is known. */
  complete(meter: UsageMeter): void;
  /** The last event of a stream that broke. */
  broken(error: FerryError): string;
}
