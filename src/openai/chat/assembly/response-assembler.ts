import { randomBytes } from 'node:crypto';
import { FerryError } from '../../../lib/errors/ferry-error.ts';
import { excerptOf } from '../../../lib/text/sanitize.ts';
import { type ChoiceFacts, type ChunkFacts, saysAnything } from '../shapes/chunk-facts.ts';
import { meaningOf } from '../shapes/finish-reason.ts';
import { hasSeveralAnswers, indexesOf, TextOrder } from '../shapes/several-answers.ts';
import { ChoiceState } from './choice-state.ts';
import { noAnswer } from './response-faults.ts';
import type { ResponseIdentity } from './response-identity.ts';
import type { ResponseSink } from './response-sink.ts';

interface AssemblerOptions {
  readonly sink: ResponseSink;
  readonly identity: ResponseIdentity;
  readonly splitsThinkTags: boolean;
  readonly isCumulative: boolean;
  /** How many choices were asked for; undefined: not known. */
  readonly choiceCount: number | undefined;
  newCallId(): string;
  readonly onNote: (note: string) => void;
  /** All text that the model produced, for the estimate of its tokens. */
  readonly onText: (text: string) => void;
  readonly scrub: (text: string) => string;
}

/** More choices than any API allows: beyond it the index of an upstream is a counter of something else. */
const MAX_CHOICES = 128;

/** Members of a delta that are an answer although they are no text. */
const CONTENT_EXTENSIONS = ['audio', 'images'];

/** Chunks, one after the other → what clients are told, choice by choice. */
export class ResponseAssembler {
  readonly #options: AssemblerOptions;
  /** By our index. */
  readonly #choices = new Map<number, ChoiceState>();
  /** The upstream's index → ours. */
  readonly #ownIndexes = new Map<number, number>();
  #hasContent = false;
  #hasBodies = false;
  #lastWasWhole = false;
  readonly #order = new TextOrder();

  constructor(options: AssemblerOptions) {
    this.#options = options;
  }

  get hasContent(): boolean {
    return this.#hasContent;
  }

  /** A delta or message came, if only an empty one. */
  get hasBodies(): boolean {
    return this.#hasBodies;
  }

  get hasChoices(): boolean {
    return this.#choices.size > 0;
  }

  /** A reason says that tool calls were made, and none came. */
  get lacksCalls(): boolean {
    return this.#choices.values().some((choice) => choice.finish === 'tool_calls' && choice.callCount === 0);
  }

  /** Arguments of a tool call that nobody ended, or one of several choices. */
  get isCut(): boolean {
    const choices = [...this.#choices.values()];
    if (choices.some((choice) => choice.isCutInCall)) return true;
    return !this.#lastWasWhole && !this.isComplete && choices.some((choice) => choice.finish !== null);
  }

  /** Choices came, but not the ones before them. */
  get hasGap(): boolean {
    return this.#choices.keys().some((index) => index >= this.#choices.size);
  }

  get hasNamelessCall(): boolean {
    return this.#choices.values().some((choice) => choice.hasNamelessCall);
  }

  /** Every choice that began has its finish reason. */
  get isComplete(): boolean {
    return this.#choices.size > 0 && this.#choices.values().every((choice) => choice.finish !== null);
  }

  /** The last choice was a complete message and not a delta. */
  get lastWasWhole(): boolean {
    return this.#lastWasWhole;
  }

  noteBody(): void {
    this.#hasBodies = true;
    this.#lastWasWhole = false;
  }

  noteContent(text: string): void {
    this.#hasContent = true;
    this.#lastWasWhole = false;
    this.#order.noteText();
    this.#options.onText(text);
  }

  /** The choice that an upstream's index means. */
  choice(upstreamIndex: number): ChoiceState {
    let index = this.#ownIndexes.get(upstreamIndex);
    if (index === undefined) {
      index = this.#newIndex(upstreamIndex);
      this.#ownIndexes.set(upstreamIndex, index);
    }
    return this.#stateOf(index);
  }

  /** Takes one chunk. Returns the failure when a finish reason says that the generation failed. */
  accept(chunk: ChunkFacts): FerryError | null {
    const { sink, identity } = this.#options;
    if (chunk.extensions !== null) sink.attach(chunk.extensions);
    const isOne = this.#options.choiceCount === 1;
    if (isOne && hasSeveralAnswers(chunk.choices)) return severalAnswers();
    const indexes = indexesOf(chunk.choices);
    for (const [position, facts] of chunk.choices.entries()) {
      const index = indexes[position] as number;
      if (!facts.hasDelta && facts.finish === null && !facts.isFiltered) continue;
      identity.note(chunk);
      if (facts.hasDelta) this.noteBody();
      if (isOne && saysAnything(facts) && this.#order.isComingBack(index)) return severalAnswers();
      const failure = this.#acceptChoice(this.choice(index), facts);
      if (failure !== null) return failure;
      // A choice 0 that needs no reading does not come here; that of the others is enough to see the turns.
      if (isOne && index > 0 && saysAnything(facts)) this.#order.noteChoice(index);
    }
    return null;
  }

  /** The reply is over: every choice is told to its finish. */
  close(sendFrame: (frame: string) => void): void {
    const inOrder = this.#choices
      .values()
      .toArray()
      .sort((one, other) => one.index - other.index);
    for (const choice of inOrder) {
      this.#begin(choice);
      choice.close(this.#options.sink, sendFrame);
    }
  }

  #acceptChoice(choice: ChoiceState, said: ChoiceFacts): FerryError | null {
    const facts = choice.newsIn(said);
    this.#begin(choice);
    this.#noteContentOf(facts);
    choice.accept(facts, this.#options.sink);
    this.#lastWasWhole = facts.isWhole;
    if (choice.callFault !== null) return this.#noCall(choice.callFault);
    if (facts.finish === null) return null;
    const meaning = meaningOf(facts.finish);
    if (meaning === 'failed') return this.#generationFailed(facts.finish);
    choice.end(meaning, null);
    return null;
  }

  #begin(choice: ChoiceState): void {
    if (choice.hasBegun) return;
    choice.hasBegun = true;
    this.#options.sink.begin(choice.index);
  }

  #noteContentOf(facts: ChoiceFacts): void {
    for (const text of [facts.reasoning, facts.content, facts.refusal]) {
      if (text !== '') this.noteContent(text);
    }
    for (const call of facts.calls) this.noteContent((call.name ?? '') + call.arguments);
    if (CONTENT_EXTENSIONS.some((name) => facts.deltaExtensions?.[name] !== undefined)) this.noteContent('');
  }

  #noCall(fault: string): FerryError {
    return noAnswer(excerptOf(fault, this.#options.scrub));
  }

  #generationFailed(reason: string): FerryError {
    const code = this.#options.scrub(reason).slice(0, 64);
    return new FerryError('generation_failed', {
      message: `The model stopped with "${code}" before its answer was complete.`,
      code,
    });
  }

  #newIndex(upstreamIndex: number): number {
    const { choiceCount } = this.#options;
    if (choiceCount === 1) return 0;
    const isFree = !this.#choices.has(upstreamIndex);
    if (choiceCount !== undefined && upstreamIndex < choiceCount && isFree) return upstreamIndex;
    let index = 0;
    while (index < MAX_CHOICES - 1 && this.#choices.has(index)) index++;
    return index;
  }

  #stateOf(index: number): ChoiceState {
    const { splitsThinkTags, isCumulative, newCallId, onNote } = this.#options;
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = new ChoiceState({ index, splitsThinkTags, isCumulative, newCallId, onNote });
      this.#choices.set(index, choice);
    }
    return choice;
  }
}

function severalAnswers(): FerryError {
  return noAnswer('The upstream sent several answers where one was asked for.');
}

/** An id for a tool call that came without one: `call_` and 24 characters. */
export function newCallId(): string {
  return `call_${randomBytes(12).toString('hex')}`;
}
