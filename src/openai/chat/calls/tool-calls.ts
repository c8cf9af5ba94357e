import type { JsonObject } from '../../../lib/json/json-object.ts';
import { JsonValueScanner } from '../../../lib/json/json-scanner.ts';
import type { ToolFragment } from '../shapes/tool-fragments.ts';
import { MAX_DELTA_LENGTH, piecesOf } from '../texts/text-pieces.ts';
import { NO_ARGUMENTS, restarts, withoutEmptyBefore, withoutQuotes } from './call-arguments.ts';
import { beginCall, type ToolCall } from './tool-call.ts';
import {
  isAnotherCall,
  isPieceOfName,
  isRestOfArguments,
  isUntold,
  namesAgain,
} from './tool-call-matching.ts';

export interface OpenedCall {
  readonly id: string;
  readonly name: string;
  /** Members that OpenAI does not know. */
  readonly extensions: JsonObject | null;
}

/** What clients are told next about the calls of one choice. */
export interface CallStep {
  /** From 0 without gaps. */
  readonly call: number;
  /** Given in the first step of a call only. */
  readonly opens: OpenedCall | null;
  readonly arguments: string;
}

interface ToolCallsOptions {
  readonly isCumulative: boolean;
  newCallId(): string;
  readonly onNote: (note: string) => void;
}

/** More than any model makes; matching fragments to calls takes time for each. */
const MAX_CALLS = 256;

/**
 * The tool calls of one choice. Fragments are matched to calls by whatever the upstream gave (index, id, name, order);
 * clients get one call after the other, since some merge fragments into the last call that was opened: a call is over
 * when its arguments are complete JSON, and until then the later ones are held.
 */
export class ToolCalls {
  readonly #options: ToolCallsOptions;
  readonly #calls: ToolCall[] = [];
  /** The call that is being told. */
  #current = 0;
  #fault: string | null = null;

  constructor(options: ToolCallsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#calls.length;
  }

  /** Whether every call has complete arguments; false after a cut. */
  get areComplete(): boolean {
    return this.#calls.every((call) => call.isComplete);
  }

  /** Whether a call came without the name of its function, which nobody can run. `isCut`: but for the last one. */
  hasNameless(isCut: boolean): boolean {
    const last = isCut ? this.#calls.at(-1) : undefined;
    return this.#calls.some((call) => call.name === null && call !== last);
  }

  /** Whether the arguments of a call ended inside of their JSON. */
  get areOpen(): boolean {
    return this.#calls.some((call) => call.scanner.isInside);
  }

  /** What came that no call can be made of; null while there is nothing. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Whether `accept` would tell exactly this fragment: nothing held before it, nothing to decode, number or cut in it. */
  passesUnchanged(fragment: ToolFragment): boolean {
    const { index, id, name, arguments: args } = fragment;
    const last = this.#calls.at(-1);
    if (this.#options.isCumulative || args.length > MAX_DELTA_LENGTH || args === NO_ARGUMENTS) return false;
    if (last !== undefined && (last.number !== this.#current || !last.isOpened || last.held.length > 0))
      return false;
    const beginsPlainly = !/^(?:[\s"]|\{\})/.test(args);
    if (name === null) {
      if (last?.number !== index || last.upstreamIndex !== index) return false;
      return last.said === '' ? beginsPlainly : !last.isComplete || !restarts(args);
    }
    const isNext = index === this.#calls.length && this.#calls.every((call) => call.upstreamIndex !== index);
    return isNext && last?.isComplete !== false && id !== null && this.#isFree(id) && beginsPlainly;
  }

  /** Takes the fragments of one delta in their order. */
  accept(fragments: readonly ToolFragment[]): CallStep[] {
    const steps: CallStep[] = [];
    const touched = new Set<ToolCall>();
    for (const [position, fragment] of fragments.entries()) {
      const call = this.#repeatedCall(fragment, position) ?? this.#callOf(fragment, touched);
      if (call === null) continue;
      touched.add(call);
      call.name ??= fragment.name;
      call.extensions ??= fragment.extensions;
      this.#addArguments(call, fragment.arguments);
      this.#tell(steps);
    }
    return steps;
  }

  /** Whether `{}` is held, in whose place the real arguments may come. */
  get isWaiting(): boolean {
    const call = this.#calls.at(-1);
    if (call?.said !== NO_ARGUMENTS || call.isFreeText || call.name === null) return false;
    return isUntold(call) && call.number === this.#current;
  }

  /** Something else follows: what is waited for will not come. */
  settle(): CallStep[] {
    const steps: CallStep[] = [];
    if (this.isWaiting) this.#tellCall(this.#calls[this.#current] as ToolCall, steps);
    return steps;
  }

  /** No more fragments: tells what was held. `isCut`: the model was stopped, so its last call is not completed for it. */
  finish(isCut: boolean): CallStep[] {
    const steps: CallStep[] = [];
    while (this.#current < this.#calls.length) {
      const call = this.#calls[this.#current] as ToolCall;
      const wasCut = isCut && call === this.#calls.at(-1);
      if (wasCut && call.name === null) {
        this.#calls.pop();
        break;
      }
      if (call.said === '' && !wasCut) this.#addArguments(call, NO_ARGUMENTS);
      call.isQuoted = false;
      call.name ??= '';
      this.#tellCall(call, steps);
      this.#current++;
    }
    return steps;
  }

  #addArguments(call: ToolCall, piece: string): void {
    let text = call.cumulative === null ? piece : call.cumulative.advance(piece);
    if (call.said === '' && !call.isFreeText) text = withoutEmptyBefore(text.trimStart());
    if (text === '') return;
    if (call.isComplete && restarts(text) && !this.#beginAgain(call, text)) return;
    if (call.number < this.#current) {
      if (text.trim() !== '')
        this.#options.onNote('arguments of a tool call came after its end and were dropped');
      return;
    }
    if (call.said === '') call.isQuoted = text.startsWith('"') && !call.isFreeText;
    call.said += text;
    call.held.push(text);
    if (!call.isComplete && !call.isFreeText) call.isComplete = call.scanner.scan(text, 0) !== -1;
    if (call.isQuoted && call.isComplete) {
      call.held = [withoutQuotes(call.held.join(''))];
      call.isQuoted = false;
    }
  }

  /** A second JSON value after the arguments were complete. Whether it is taken, in place of `{}` that was not told. */
  #beginAgain(call: ToolCall, text: string): boolean {
    if (text.trim() === call.said.trim()) {
      this.#options.onNote('arguments of a tool call came twice');
      return false;
    }
    if (call.said !== NO_ARGUMENTS || !isUntold(call)) {
      this.#fault ??= `The upstream sent further arguments after those of the tool call were complete: ${text}`;
      return false;
    }
    call.said = '';
    call.held = [];
    call.isComplete = false;
    call.scanner = new JsonValueScanner();
    return true;
  }

  /** Tells the current call, and the next ones while the one before is over. */
  #tell(steps: CallStep[]): void {
    for (;;) {
      const call = this.#calls[this.#current];
      if (call === undefined || call.name === null || call.isQuoted) return;
      const isLast = this.#current + 1 >= this.#calls.length;
      if (isLast && this.isWaiting) return;
      this.#tellCall(call, steps);
      if (!call.isComplete || isLast) return;
      this.#current++;
    }
  }

  #tellCall(call: ToolCall, steps: CallStep[]): void {
    if (call.isOpened && call.held.length === 0) return;
    const text = call.held.length === 1 ? (call.held[0] as string) : call.held.join('');
    for (const piece of piecesOf(text)) {
      const { id, name, extensions } = call;
      const opens = call.isOpened ? null : { id, name: name ?? '', extensions };
      steps.push({ call: call.number, opens, arguments: piece });
      call.isOpened = true;
    }
    call.held = [];
  }

  /** Of an upstream that repeats all so far in every delta: the call that a fragment without id says once more. */
  #repeatedCall({ index, id, name, arguments: args }: ToolFragment, position: number): ToolCall | undefined {
    if (!this.#options.isCumulative || id !== null) return undefined;
    const call = this.#calls.findLast((one) => index !== null && one.upstreamIndex === index);
    const known = call ?? (index === null ? this.#calls[position] : undefined);
    return known?.name === name && args.startsWith(known.said) ? known : undefined;
  }

  /** null: there are too many calls already. */
  #callOf(fragment: ToolFragment, touched: ReadonlySet<ToolCall>): ToolCall | null {
    const known = this.#knownCall(fragment);
    if (known !== undefined && isPieceOfName(fragment, known, touched.has(known))) {
      this.#fault ??= `The upstream sent the name of a tool in pieces: ${known.name}, ${fragment.name}`;
      return null;
    }
    if (known === undefined || isAnotherCall(fragment, known, touched.has(known))) {
      if (this.#calls.length < MAX_CALLS) return this.#open(fragment, known);
      this.#options.onNote(`more than ${MAX_CALLS} tool calls; the rest was dropped`);
      return null;
    }
    if (known.upstreamId === null && fragment.id !== null) {
      known.upstreamId = fragment.id;
      if (!known.isOpened && this.#isFree(fragment.id)) known.id = fragment.id;
    }
    if (namesAgain(fragment, known)) known.isNamedAgain = true;
    return known;
  }

  /**
   * The call that a fragment most likely continues: the newest with its index (an open one with its id first), else with
   * its id, else of its name and in the middle of the arguments, else the newest. undefined: it begins a call.
   */
  #knownCall(fragment: ToolFragment): ToolCall | undefined {
    const { index, id, name, arguments: args } = fragment;
    const last = this.#calls.at(-1);
    if (index !== null) {
      const isSame = (call: ToolCall) => call.upstreamIndex === index;
      const open = this.#calls.findLast((call) => isSame(call) && !call.isComplete && call.upstreamId === id);
      const sameIndex = (id === null ? undefined : open) ?? this.#calls.findLast(isSame);
      if (sameIndex !== undefined) return sameIndex;
    }
    // The same id under different indexes is a constant that says nothing.
    const hasNoIndex = (call: ToolCall) => index === null || call.upstreamIndex === null;
    const sameId = this.#calls.findLast((call) => id !== null && call.upstreamId === id && hasNoIndex(call));
    if (sameId !== undefined || last === undefined) return sameId;
    if (!hasNoIndex(last)) return undefined;
    if (name === null || last.name === null) return last;
    const open = this.#calls.findLast((call) => call.name === name && isRestOfArguments(args, call));
    return open ?? (id === null ? last : undefined);
  }

  #isFree(id: string): boolean {
    return this.#calls.every((call) => call.id !== id);
  }

  #open(fragment: ToolFragment, named: ToolCall | undefined): ToolCall {
    const { isCumulative, newCallId } = this.#options;
    const id = fragment.id !== null && this.#isFree(fragment.id) ? fragment.id : newCallId();
    const call = beginCall(fragment, { number: this.#calls.length, id, isCumulative, named });
    this.#calls.push(call);
    return call;
  }
}
