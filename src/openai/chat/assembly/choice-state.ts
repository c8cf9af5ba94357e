import { type CallStep, ToolCalls } from '../calls/tool-calls.ts';
import { type ChoiceFacts, saysAnything } from '../shapes/chunk-facts.ts';
import { type FinishReason, finishReasonFor } from '../shapes/finish-reason.ts';
import { hasLogprobs, joinLogprobs } from '../shapes/logprobs.ts';
import type { ToolFragment } from '../shapes/tool-fragments.ts';
import { CumulativeText } from '../texts/cumulative-text.ts';
import { piecesOf, WholeCharacters } from '../texts/text-pieces.ts';
import { ThinkTags } from '../texts/think-tags.ts';
import type { ChoiceExtras, ResponseSink, TextKind } from './response-sink.ts';

interface ChoiceOptions {
  readonly index: number;
  readonly splitsThinkTags: boolean;
  readonly isCumulative: boolean;
  newCallId(): string;
  readonly onNote: (note: string) => void;
}

/** The stages that text passes before it is told. */
interface TextStages {
  readonly cumulative: CumulativeText | null;
  readonly characters: WholeCharacters;
}

/** One choice of a reply, from its role to its finish. */
export class ChoiceState {
  readonly index: number;
  readonly #calls: ToolCalls;
  readonly #stages: Readonly<Record<TextKind, TextStages>>;
  readonly #thinkTags: ThinkTags | null;
  /** Set by the first delta. */
  hasBegun = false;
  /** The last reason that the upstream gave; told at the end, because some give one with every chunk. */
  #finish: FinishReason | null = null;
  /** The upstream's own finish chunk, when it can be sent as it is. */
  #finishFrame: string | null = null;
  /** Nothing was said since the finish reason. */
  #isOver = false;
  #finishExtras: ChoiceExtras | null = null;
  /** What deltas have said, so that a whole message after them (MiniMax sends one) does not say it again. */
  readonly #saidInDeltas = { reasoning: false, content: false, refusal: false, calls: false };
  #isFiltered = false;
  /** What came with a delta and was not told yet. */
  #extras: ChoiceExtras | null = null;
  /** Logprobs of deltas that said nothing (of the first bytes of a character): told with what is said next. */
  #waitingLogprobs: unknown = null;

  constructor(options: ChoiceOptions) {
    this.index = options.index;
    const stages = (): TextStages => ({
      cumulative: options.isCumulative ? new CumulativeText() : null,
      characters: new WholeCharacters(),
    });
    this.#stages = { reasoning: stages(), content: stages(), refusal: stages() };
    this.#thinkTags = options.splitsThinkTags ? new ThinkTags() : null;
    this.#calls = new ToolCalls(options);
  }

  get finish(): FinishReason | null {
    return this.#finish;
  }

  /**
   * The upstream gave a reason. `stop` with nothing said since a cut is what gateways put behind every answer. `frame`: the
   * chunk that it came in, when that can be sent as it is.
   */
  end(reason: FinishReason, frame: string | null): void {
    const isCut = this.#finish === 'length' || this.#finish === 'content_filter';
    if (isCut && this.#isOver && reason === 'stop') return;
    this.#finish = reason;
    this.#finishFrame = frame;
    this.#isOver = true;
  }

  /** Something was said, so that a reason before it was not the end. */
  goOn(): void {
    this.#isOver = false;
  }

  get callCount(): number {
    return this.#calls.count;
  }

  /** What came that no tool call can be made of. */
  get callFault(): string | null {
    return this.#calls.fault;
  }

  /** Arguments of a tool call that nobody ended, and no reason why. */
  get isCutInCall(): boolean {
    return this.#finish === null && this.#calls.areOpen;
  }

  /** A tool call without a name that no cut excuses. */
  get hasNamelessCall(): boolean {
    return this.#calls.hasNameless(this.#finish === 'length' || this.#finish === 'content_filter');
  }

  /** Logprobs wait, so that the next chunk cannot be told as it is. */
  get holdsLogprobs(): boolean {
    return this.#waitingLogprobs !== null;
  }

  /** Whether a text would be told as it is; false when a stage would hold, cut or split it. */
  passesUnchanged(kind: TextKind, text: string): boolean {
    const { cumulative, characters } = this.#stages[kind];
    if (this.#waitingLogprobs !== null) return false;
    if (cumulative !== null || this.#thinkTags?.isAnswering === false) return false;
    if (this.#calls.isWaiting) return false;
    return characters.isWhole(text);
  }

  /** Whether a fragment of a tool call would be told as it is. */
  passesCallUnchanged(fragment: ToolFragment): boolean {
    return this.#waitingLogprobs === null && this.#calls.passesUnchanged(fragment);
  }

  /** A delta of this kind was sent as it is. */
  noteRelayed(kind: TextKind | 'calls'): void {
    this.#saidInDeltas[kind] = true;
  }

  /** What of a chunk is new: all of a delta, and of a whole message what no delta has said. */
  newsIn(facts: ChoiceFacts): ChoiceFacts {
    const said = this.#saidInDeltas;
    if (facts.isWhole) {
      return {
        ...facts,
        reasoning: said.reasoning ? '' : facts.reasoning,
        content: said.content ? '' : facts.content,
        refusal: said.refusal ? '' : facts.refusal,
        calls: said.calls ? [] : facts.calls,
      };
    }
    if (facts.reasoning !== '') said.reasoning = true;
    if (facts.content !== '') said.content = true;
    if (facts.refusal !== '') said.refusal = true;
    if (facts.calls.length > 0) said.calls = true;
    return facts;
  }

  passCalls(fragments: readonly ToolFragment[]): CallStep[] {
    return this.#calls.accept(fragments);
  }

  /** Tells what a delta adds: reasoning, content, tool calls, refusal, one kind after the other. */
  accept(facts: ChoiceFacts, sink: ResponseSink): void {
    this.#extras = this.#withWaiting(hasExtras(facts) ? facts : null);
    if (facts.isFiltered) this.#isFiltered = true;
    if (saysAnything(facts)) this.goOn();
    this.#passReasoning(facts.reasoning, sink);
    this.#passContent(facts.content, sink);
    for (const step of facts.calls.length > 0 ? this.passCalls(facts.calls) : []) {
      sink.callStep(this.index, step, this.#takeExtras());
    }
    this.#pass('refusal', facts.refusal, sink);
    this.#tellExtras(facts.finish !== null, sink);
  }

  /** No more deltas: tells what was held, then the finish, as the upstream's own chunk where that says the same. */
  close(sink: ResponseSink, sendFrame: (frame: string) => void): void {
    const held = this.#thinkTags?.end();
    this.#tell('reasoning', this.#stages.reasoning.characters.push(held?.reasoning ?? ''), sink);
    this.#tell('reasoning', this.#stages.reasoning.characters.end(), sink);
    this.#tell('content', this.#stages.content.characters.push(held?.content ?? ''), sink);
    this.#tell('content', this.#stages.content.characters.end(), sink);
    const said = this.#isFiltered ? 'content_filter' : this.#finish;
    const isCut = said === 'length' || said === 'content_filter';
    for (const step of this.#calls.finish(isCut)) sink.callStep(this.index, step, null);
    this.#tell('refusal', this.#stages.refusal.characters.end(), sink);
    const reason = finishReasonFor(said, this.#calls);
    const isOwn = this.#waitingLogprobs === null && reason === this.#finish;
    if (this.#finishFrame !== null && isOwn) sendFrame(this.#finishFrame);
    else sink.finish(this.index, reason, this.#withWaiting(this.#finishExtras));
  }

  #passReasoning(reasoning: string, sink: ResponseSink): void {
    if (reasoning === '') return;
    const held = this.#thinkTags?.disregard().content ?? '';
    this.#tell('content', held === '' ? '' : this.#stages.content.characters.push(held), sink);
    this.#pass('reasoning', reasoning, sink);
  }

  #passContent(content: string, sink: ResponseSink): void {
    if (content === '') return;
    if (this.#thinkTags === null) {
      this.#pass('content', content, sink);
      return;
    }
    const added = this.#stages.content.cumulative?.advance(content) ?? content;
    const texts = this.#thinkTags.push(added);
    this.#tell('reasoning', this.#stages.reasoning.characters.push(texts.reasoning), sink);
    this.#tell('content', this.#stages.content.characters.push(texts.content), sink);
  }

  #pass(kind: TextKind, text: string, sink: ResponseSink): void {
    if (text === '') return;
    const { cumulative, characters } = this.#stages[kind];
    this.#tell(kind, characters.push(cumulative?.advance(text) ?? text), sink);
  }

  #tell(kind: TextKind, text: string, sink: ResponseSink): void {
    if (text === '') return;
    for (const step of this.#calls.settle()) sink.callStep(this.index, step, null);
    for (const piece of piecesOf(text)) sink.text(this.index, kind, piece, this.#takeExtras());
  }

  /** What came with a delta that said nothing. A finish has an empty delta (S51): images and citations go before it. */
  #tellExtras(isLast: boolean, sink: ResponseSink): void {
    const extras = this.#takeExtras();
    if (isLast) this.#finishExtras = extras && { ...extras, deltaExtensions: null };
    else if (!extras?.deltaExtensions && hasLogprobs(extras?.logprobs))
      this.#waitingLogprobs = extras?.logprobs;
    if (!extras?.deltaExtensions) return;
    sink.extension(this.index, isLast ? { ...extras, logprobs: null, extensions: null } : extras);
  }

  /** The extras of what is told now, with the logprobs that wait for it. */
  #withWaiting(extras: ChoiceExtras | null): ChoiceExtras | null {
    const waiting = this.#waitingLogprobs;
    if (waiting === null) return extras;
    this.#waitingLogprobs = null;
    const logprobs = joinLogprobs(waiting, extras?.logprobs ?? null);
    return { extensions: null, deltaExtensions: null, ...extras, logprobs };
  }

  #takeExtras(): ChoiceExtras | null {
    const extras = this.#extras;
    this.#extras = null;
    return extras;
  }
}

function hasExtras(facts: ChoiceFacts): boolean {
  return facts.logprobs !== null || facts.extensions !== null || facts.deltaExtensions !== null;
}
