import { randomBytes } from 'node:crypto';
import { FerryError } from '../../../lib/errors/ferry-error.ts';
import { excerptOf } from '../../../lib/text/sanitize.ts';
import type { UsageMeter } from '../../usage/usage-meter.ts';
import { type FinishReason, meaningOf } from '../../vendors/finish-reasons.ts';
import type { OnRepair } from '../../vendors/repairs.ts';
import { type ChoiceFacts, type ChunkFacts, hasOutput } from '../shapes/chunk-facts.ts';
import { ChoiceState, type FrameSender } from './choice-state.ts';
import type { ResponseIdentity } from './response-identity.ts';
import type { ResponseSink } from './response-sink.ts';

interface AssemblerOptions {
  readonly sink: ResponseSink;
  readonly identity: ResponseIdentity;
  readonly meter: UsageMeter;
  readonly splitsThinkTags: boolean;
  readonly isCumulative: boolean;
  /** The number of requested choices; undefined: unknown. */
  readonly choiceCount: number | undefined;
  readonly onRepair: OnRepair;
  readonly scrub: (text: string) => string;
  /** An id for a tool call that came without one. */
  newCallId(): string;
}

/** More choices than any API allows: beyond it the index of an upstream is a counter of something else. */
const MAX_CHOICES = 128;

/** Members of a delta that are content although they are no text. */
const CONTENT_EXTENSIONS = ['audio', 'images'];

/** Chunks, one after the other → what is written, choice by choice; and what is wrong with the whole at its end. */
export class ResponseAssembler {
  /** Text, reasoning, refusal or a tool call came. */
  hasContent = false;
  /** The last choice was a complete message and not a delta. */
  lastWasWhole = false;
  readonly #options: AssemblerOptions;
  /** By our index. */
  readonly #choices = new Map<number, ChoiceState>();
  /** The upstream's index → ours. */
  readonly #ownIndexes = new Map<number, number>();
  /** Choices without a finish reason. */
  #unfinished = 0;
  /** A delta or message came, if only an empty one. */
  #hasBodies = false;
  #textCount = 0;
  /** By the upstream's index, of all but 0: how many texts there were when that choice last had one. */
  #countAfter: Map<number, number> | null = null;

  constructor(options: AssemblerOptions) {
    this.#options = options;
  }

  get hasChoices(): boolean {
    return this.#choices.size > 0;
  }

  /** Every choice that began has its finish reason. */
  get isComplete(): boolean {
    return this.#unfinished === 0 && this.#choices.size > 0;
  }

  /** In the order of the choices; `otherwise` for one without. */
  finishReasons(otherwise: string): string[] {
    return [...this.#choices.values()]
      .sort((one, other) => one.index - other.index)
      .map(({ finish }) => finish ?? otherwise);
  }

  noteBody(): void {
    this.#hasBodies = true;
    this.lastWasWhole = false;
  }

  noteContent(text: string): void {
    this.hasContent = true;
    this.lastWasWhole = false;
    this.#textCount++;
    this.#options.meter.note(text);
  }

  /** The choice that an upstream's index means. */
  choice(upstreamIndex: number): ChoiceState {
    let index = this.#ownIndexes.get(upstreamIndex);
    if (index === undefined) {
      index = this.#newIndex(upstreamIndex);
      if (index !== upstreamIndex) this.#options.onRepair('index_changed');
      this.#ownIndexes.set(upstreamIndex, index);
    }
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = new ChoiceState(index, this.#options);
      this.#choices.set(index, choice);
      this.#unfinished++;
    }
    return choice;
  }

  /** Takes a finish reason; `frame`: the chunk that it came in, when that can be sent as it is. */
  endChoice(choice: ChoiceState, reason: FinishReason, frame: string | null): void {
    if (choice.finish === null) this.#unfinished--;
    choice.end(reason, frame);
  }

  /** Takes one chunk. Returns the failure when it shows that the response cannot be used. */
  accept(chunk: ChunkFacts): FerryError | null {
    const { sink, identity, choiceCount } = this.#options;
    if (chunk.extensions !== null) sink.attach(chunk.extensions);
    const isOne = choiceCount === 1;
    if (isOne && hasSeveralMessages(chunk.choices)) return severalResponses();
    const indexes = indexesOf(chunk.choices);
    for (const [position, facts] of chunk.choices.entries()) {
      const index = indexes[position] as number;
      if (!facts.hasDelta && facts.finish === null && !facts.isFiltered) continue;
      identity.note(chunk);
      if (facts.hasDelta) this.noteBody();
      if (isOne && hasOutput(facts) && this.#isComingBack(index)) return severalResponses();
      const failure = this.#acceptChoice(this.choice(index), facts);
      if (failure !== null) return failure;
      // A choice 0 that is relayed does not come here; that of the others is enough to detect the turns.
      if (isOne && index > 0 && hasOutput(facts)) {
        this.#countAfter ??= new Map();
        this.#countAfter.set(index, this.#textCount);
      }
    }
    return null;
  }

  /** The response is over: every choice is written to its finish. */
  close(frames: FrameSender | null): void {
    const inOrder = [...this.#choices.values()].sort((one, other) => one.index - other.index);
    for (const choice of inOrder) {
      this.#begin(choice);
      choice.close(frames);
    }
  }

  /**
   * Why a complete response cannot be used; null when it can. An empty one can. `lastWords`: text
   * without meaning after which nothing came; `unread`: the first event with text in an unknown form; '' for none.
   */
  faultAtEnd(lastWords: string, unread: string): FerryError | null {
    if (!this.isComplete && lastWords !== '') return brokenOff(lastWords);
    let [hasFinish, isCut, hasGap, isNameless, lacksCalls] = [false, false, false, false, false];
    for (const choice of this.#choices.values()) {
      if (choice.finish !== null) hasFinish = true;
      if (choice.index >= this.#choices.size) hasGap = true;
      const calls = choice.callsAtEnd();
      if (calls === null) continue;
      if (calls.isCut) isCut = true;
      if (calls.isNameless) isNameless = true;
      if (calls.areLacking) lacksCalls = true;
    }
    // One of several choices has no finish.
    if (isCut || (hasFinish && !this.isComplete && !this.lastWasWhole)) return cutOff(true);
    if (hasGap) return invalidResponse('The upstream omitted one of its choices.');
    if (isNameless) {
      return invalidResponse('The upstream sent a tool call without the name of its function.');
    }
    const hasUnreadCalls = lacksCalls && unread !== '';
    if (this.hasContent && !hasUnreadCalls) return null;
    if (lacksCalls && !hasUnreadCalls) {
      return invalidResponse('The upstream announced tool calls and sent none.');
    }
    if (unread !== '') return invalidResponse(`The upstream sent an unrecognised response format: ${unread}`);
    return this.#hasBodies
      ? null
      : invalidResponse("The upstream's response has neither a message nor a delta.");
  }

  #acceptChoice(choice: ChoiceState, came: ChoiceFacts): FerryError | null {
    const { scrub, onRepair } = this.#options;
    const facts = choice.newsIn(came);
    this.#begin(choice);
    this.#noteContentOf(facts);
    choice.accept(facts);
    this.lastWasWhole = facts.isWhole;
    if (choice.callFault !== null) return invalidResponse(excerptOf(choice.callFault, scrub));
    if (facts.finish === null) return null;
    const meaning = meaningOf(facts.finish);
    if (meaning === 'failed') return generationFailed(scrub(facts.finish).slice(0, 64));
    if (meaning !== facts.finish && facts.finish !== 'function_call') onRepair('finish_reason_name');
    this.endChoice(choice, meaning, null);
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

  /** Whether this choice had text, and another one since then: then the upstream's indexes are no counter. */
  #isComingBack(index: number): boolean {
    const after = this.#countAfter?.get(index);
    return after !== undefined && after !== this.#textCount;
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
}

/** `invalid_response` for this response, with the reason. */
export function invalidResponse(message: string): FerryError {
  return new FerryError('invalid_response', { message });
}

/** The body ended before the response. */
export function cutOff(hasContent: boolean): FerryError {
  return new FerryError('disconnected', {
    message: hasContent
      ? 'The upstream closed the connection before its response was complete.'
      : 'The upstream closed the connection before it responded.',
  });
}

/** The response was not complete when these words came, and nothing after them. */
export function brokenOff(lastWords: string): FerryError {
  return invalidResponse(`The upstream aborted its response with: ${lastWords}`);
}

/** `call_` and 24 characters. */
export function newCallId(): string {
  return `call_${randomBytes(12).toString('hex')}`;
}

function severalResponses(): FerryError {
  return invalidResponse('The upstream sent several responses where one was requested.');
}

function generationFailed(code: string): FerryError {
  return new FerryError('generation_failed', {
    message: `The model stopped with "${code}" before its response was complete.`,
    code,
  });
}

/**
 * The choices of one chunk by the indexes that they mean. Whole messages are never parts of one, so that an index that
 * two of them have is ignored.
 */
function indexesOf(choices: readonly ChoiceFacts[]): readonly number[] {
  const given = choices.map(({ index }, position) => index ?? position);
  const isConstant =
    new Set(given).size < given.length &&
    choices.every((choice) => isMessage(choice) && choice.finish !== null);
  return isConstant ? choices.map((_choice, position) => position) : given;
}

/** Whether a chunk has several whole messages, or texts that the upstream numbers as different choices. */
function hasSeveralMessages(choices: readonly ChoiceFacts[]): boolean {
  if (choices.length < 2) return false;
  const withOutput = choices.filter(hasOutput);
  const numbers = withOutput.map(({ index }) => index).filter((index) => index !== null);
  return withOutput.filter(isMessage).length > 1 || new Set(numbers).size > 1;
}

function isMessage(choice: ChoiceFacts): boolean {
  return choice.isWhole && hasOutput(choice);
}
