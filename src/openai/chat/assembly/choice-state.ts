import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';
import type { FinishReason } from '../../vendors/finish-reasons.ts';
import type { OnRepair } from '../../vendors/repairs.ts';
import { type ChoiceFacts, hasOutput } from '../shapes/chunk-facts.ts';
import type { ToolFragment } from '../shapes/tool-fragments.ts';
import type { CallStep, ChoiceExtras, ResponseSink, TextKind } from './response-sink.ts';
import { CumulativeText, piecesOf } from './text-pieces.ts';
import { ThinkTags } from './think-tags.ts';
import { ToolCalls } from './tool-calls.ts';

interface ChoiceOptions {
  readonly sink: ResponseSink;
  readonly splitsThinkTags: boolean;
  readonly isCumulative: boolean;
  newCallId(): string;
  readonly onRepair: OnRepair;
}

/** Sends chunks of the upstream as they came. */
export interface FrameSender {
  frame(json: string): void;
}

const NO_CALLS = { count: 0, areComplete: true };

/** One choice of a response, from its role to its finish. */
export class ChoiceState {
  readonly index: number;
  /** Set by the first delta. */
  hasBegun = false;
  /** The last reason that the upstream gave; written at the end, because some give one with every chunk (Q64). */
  finish: FinishReason | null = null;
  readonly #options: ChoiceOptions;
  /** Made for the first fragment of a call. */
  #calls: ToolCalls | null = null;
  readonly #cumulative: Readonly<Record<TextKind, CumulativeText>> | null;
  /** Half a character at the end of the last delta of each kind, kept until its other half comes (S62). */
  readonly #half: Record<TextKind, string> = { reasoning: '', content: '', refusal: '' };
  readonly #thinkTags: ThinkTags | null;
  /** The upstream's own finish chunk, when it can be sent as it is. */
  #finishFrame: string | null = null;
  /** Nothing came since the finish reason. */
  #isOver = false;
  #finishExtras: ChoiceExtras | null = null;
  /** What deltas have had, so that a whole message after them (MiniMax sends one) does not repeat it. */
  readonly #cameInDeltas = { reasoning: false, content: false, refusal: false, calls: false };
  /** The same of members that OpenAI does not have. */
  #extensionsInDeltas: Set<string> | null = null;
  #isFiltered = false;
  /** What came with a delta and was not written yet. */
  #extras: ChoiceExtras | null = null;
  /** Logprobs of deltas without text (of the first bytes of a character): written with what comes next. */
  #waitingLogprobs: unknown = null;

  constructor(index: number, options: ChoiceOptions) {
    this.index = index;
    this.#options = options;
    this.#cumulative = options.isCumulative
      ? { reasoning: new CumulativeText(), content: new CumulativeText(), refusal: new CumulativeText() }
      : null;
    this.#thinkTags = options.splitsThinkTags ? new ThinkTags() : null;
  }

  /**
   * The upstream gave a reason. `stop` with nothing since a cut is what gateways put behind every response. `frame`: the
   * chunk that it came in, when that can be sent as it is.
   */
  end(reason: FinishReason, frame: string | null): void {
    const isCut = this.finish === 'length' || this.finish === 'content_filter';
    if (isCut && this.#isOver && reason === 'stop') return;
    this.finish = reason;
    this.#finishFrame = frame;
    this.#isOver = true;
  }

  /** What came that no tool call can be made of. */
  get callFault(): string | null {
    return this.#calls?.fault ?? null;
  }

  /** The error of the tool calls at the end of the response; null: there are none, and none were announced. */
  callsAtEnd(): { isCut: boolean; isNameless: boolean; areLacking: boolean } | null {
    const calls = this.#calls;
    if (calls === null && this.finish !== 'tool_calls') return null;
    const isCut = this.finish === 'length' || this.finish === 'content_filter';
    return {
      // Inside the arguments, without any reason.
      isCut: this.finish === null && calls?.areOpen === true,
      // No cut excuses it.
      isNameless: calls?.hasNameless(isCut) === true,
      areLacking: this.finish === 'tool_calls' && (calls?.count ?? 0) === 0,
    };
  }

  /** Logprobs wait, so that the next chunk cannot be sent as it is. */
  get holdsLogprobs(): boolean {
    return this.#waitingLogprobs !== null;
  }

  /** Whether a text would be written as it is, so that its chunk may be sent; false when it would be held, cut or split. */
  relays(kind: TextKind, text: string): boolean {
    if (this.#waitingLogprobs !== null || this.#cumulative !== null) return false;
    if (this.#thinkTags?.isAnswering === false || this.#calls?.isWaiting === true) return false;
    if (this.#half[kind] !== '' || endsInHalf(text)) return false;
    this.#isOver = false;
    return true;
  }

  /** A delta of this kind was sent as it is. */
  noteDelta(kind: TextKind): void {
    this.#cameInDeltas[kind] = true;
  }

  /** Whether a fragment of a tool call would be written as it is, in which case it is taken. */
  relaysCall(fragment: ToolFragment): boolean {
    const calls = this.#toolCalls();
    if (this.#waitingLogprobs !== null || !calls.passesUnchanged(fragment)) return false;
    calls.accept([fragment], false);
    this.#isOver = false;
    this.#cameInDeltas.calls = true;
    return true;
  }

  /** What of a chunk is new: all of a delta, and of a whole message what no delta has had. */
  newsIn(facts: ChoiceFacts): ChoiceFacts {
    const came = this.#cameInDeltas;
    if (facts.isWhole) {
      return {
        ...facts,
        reasoning: came.reasoning ? '' : facts.reasoning,
        content: came.content ? '' : facts.content,
        refusal: came.refusal ? '' : facts.refusal,
        calls: came.calls ? [] : facts.calls,
        deltaExtensions: withoutMembers(facts.deltaExtensions, this.#extensionsInDeltas),
      };
    }
    if (facts.deltaExtensions !== null) {
      this.#extensionsInDeltas ??= new Set();
      for (const name of Object.keys(facts.deltaExtensions)) this.#extensionsInDeltas.add(name);
    }
    if (facts.reasoning !== '') came.reasoning = true;
    if (facts.content !== '') came.content = true;
    if (facts.refusal !== '') came.refusal = true;
    if (facts.calls.length > 0) came.calls = true;
    return facts;
  }

  /** Writes what a delta adds, one kind after the other (S49): reasoning, content, tool calls, refusal. */
  accept(facts: ChoiceFacts): void {
    const hasExtras = facts.logprobs !== null || facts.extensions !== null || facts.deltaExtensions !== null;
    this.#extras = this.#withWaiting(hasExtras ? facts : null);
    if (facts.isFiltered) this.#isFiltered = true;
    if (hasOutput(facts)) this.#isOver = false;
    if (facts.reasoning !== '') {
      // The upstream has a member for reasoning, so tags mean nothing.
      this.#add('content', this.#thinkTags?.disregard().content ?? '');
      this.#add('reasoning', this.#newText('reasoning', facts.reasoning));
    }
    if (facts.content !== '') this.#addContent(this.#newText('content', facts.content));
    if (facts.calls.length > 0) this.#writeCalls(this.#toolCalls().accept(facts.calls, facts.isWhole));
    if (facts.refusal !== '') this.#add('refusal', this.#newText('refusal', facts.refusal));
    this.#writeExtras(facts.finish !== null);
  }

  /** No more deltas: writes the buffered rest, then the finish, as the upstream's own chunk where that is equal. */
  close(frames: FrameSender | null): void {
    const { sink, onRepair } = this.#options;
    const held = this.#thinkTags?.end();
    for (const kind of ['reasoning', 'content'] as const) {
      if (held !== undefined) this.#add(kind, held[kind]);
      if (this.#half[kind] !== '') this.#write(kind, this.#half[kind]);
    }
    const given = this.#isFiltered ? 'content_filter' : this.finish;
    if (this.#calls !== null) {
      const isCut = given === 'length' || given === 'content_filter';
      this.#writeCalls(this.#calls.finish(isCut));
    }
    if (this.#half.refusal !== '') this.#write('refusal', this.#half.refusal);
    const reason = finishReasonFor(given, this.#calls ?? NO_CALLS);
    if (given === null) onRepair('finish_reason_missing');
    else if (reason !== given) onRepair('finish_reason_corrected');
    const isOwn = this.#waitingLogprobs === null && reason === this.finish;
    if (this.#finishFrame !== null && isOwn) frames?.frame(this.#finishFrame);
    else sink.finish(this.index, reason, this.#withWaiting(this.#finishExtras));
  }

  #toolCalls(): ToolCalls {
    this.#calls ??= new ToolCalls(this.#options);
    return this.#calls;
  }

  /** What a text adds to the ones before it. */
  #newText(kind: TextKind, text: string): string {
    if (this.#cumulative === null) return text;
    const added = this.#cumulative[kind].advance(text);
    if (added !== text) this.#options.onRepair('cumulative_text');
    return added;
  }

  #addContent(content: string): void {
    if (this.#thinkTags === null) {
      this.#add('content', content);
      return;
    }
    const texts = this.#thinkTags.push(content);
    if (texts.reasoning !== '') this.#options.onRepair('think_tags_split');
    this.#add('reasoning', texts.reasoning);
    this.#add('content', texts.content);
  }

  /** Writes a text but for half a character at its end. */
  #add(kind: TextKind, text: string): void {
    if (text === '') return;
    const joined = this.#half[kind] + text;
    const isCut = endsInHalf(joined);
    this.#half[kind] = isCut ? joined.slice(-1) : '';
    this.#write(kind, isCut ? joined.slice(0, -1) : joined);
  }

  #write(kind: TextKind, text: string): void {
    if (text === '') return;
    const { sink } = this.#options;
    for (const step of this.#calls?.settle() ?? []) sink.callStep(this.index, step, null);
    for (const piece of piecesOf(text)) sink.text(this.index, kind, piece, this.#takeExtras());
  }

  #writeCalls(steps: readonly CallStep[]): void {
    for (const step of steps) this.#options.sink.callStep(this.index, step, this.#takeExtras());
  }

  /** What came with a delta without text. A finish has an empty delta (S51): images and citations go before it. */
  #writeExtras(isLast: boolean): void {
    const extras = this.#takeExtras();
    if (isLast) this.#finishExtras = extras && { ...extras, deltaExtensions: null };
    else if (!extras?.deltaExtensions && hasLogprobs(extras?.logprobs))
      this.#waitingLogprobs = extras?.logprobs;
    if (!extras?.deltaExtensions) return;
    const written = isLast ? { ...extras, logprobs: null, extensions: null } : extras;
    this.#options.sink.extension(this.index, written);
  }

  /** The extras of what is written now, with the logprobs that wait for it. */
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

/**
 * The reason that clients get. Any call makes it `tool_calls`, since agents loop on that (S77); a cut inside a call's
 * arguments stays a cut, since half a call must not be run (Q123).
 */
function finishReasonFor(
  reason: FinishReason | null,
  calls: { readonly count: number; readonly areComplete: boolean },
): FinishReason {
  const given = reason ?? 'stop';
  if (calls.count === 0) return given === 'tool_calls' ? 'stop' : given;
  const isCut = given === 'length' || given === 'content_filter';
  return isCut && !calls.areComplete ? given : 'tool_calls';
}

function withoutMembers(members: JsonObject | null, names: ReadonlySet<string> | null): JsonObject | null {
  if (members === null || names === null) return members;
  const others = Object.entries(members).filter(([name]) => !names.has(name));
  return others.length === 0 ? null : Object.fromEntries(others);
}

/** Whether a text ends with the first half of a character, whose other half is in the next delta. */
function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

/** Whether logprobs are those of any token. */
function hasLogprobs(logprobs: unknown): boolean {
  return (
    isJsonObject(logprobs) && Object.values(logprobs).some((list) => Array.isArray(list) && list.length > 0)
  );
}

/** The logprobs of several chunks: their lists (chat's `content`, completions' `tokens` and so on) one after the other. */
export function joinLogprobs(before: unknown, added: unknown): unknown {
  if (added === null) return before;
  if (!isJsonObject(before) || !isJsonObject(added)) return added;
  const joined: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(added)) {
    const known = before[name];
    if (Array.isArray(known) && Array.isArray(value)) joined[name] = [...known, ...value];
    else if (value !== null || known === undefined) joined[name] = value;
  }
  return joined;
}
