import type { JsonObject } from '../../../lib/json/json-object.ts';
import { JsonValueScanner } from '../../../lib/json/json-scanner.ts';
import type { OnRepair } from '../../vendors/repairs.ts';
import { historyMembers, type ToolFragment } from '../shapes/tool-fragments.ts';
import { mergeMembers } from './member-merging.ts';
import type { CallStep } from './response-sink.ts';
import { CumulativeText, MAX_DELTA_LENGTH, piecesOf } from './text-pieces.ts';
import {
  type CallSoFar,
  isAnotherCall,
  isPieceOfName,
  isRestOfArguments,
  isUnwritten,
  NO_ARGUMENTS,
  namesAgain,
  restarts,
} from './tool-call-matching.ts';

/** One tool call between its fragments and what is written of it. */
interface ToolCall extends CallSoFar {
  readonly number: number;
  readonly upstreamIndex: number | null;
  upstreamId: string | null;
  /** Ours; the upstream's while it is unique. */
  id: string;
  name: string | null;
  extensions: JsonObject | null;
  /** What of them came after the call was opened and was not written yet. */
  lateExtensions: JsonObject | null;
  /** Arguments that came and were not written yet, because an earlier call is still open. */
  held: string[];
  isOpened: boolean;
  received: string;
  /** The arguments are a JSON string that holds the JSON: written once, when it is complete. */
  isQuoted: boolean;
  isComplete: boolean;
  isNamedAgain: boolean;
  /** The arguments are no JSON, so that they are complete at the end of the call. */
  readonly isFreeText: boolean;
  scanner: JsonValueScanner;
  readonly cumulative: CumulativeText | null;
}

interface CallBeginning {
  readonly number: number;
  readonly id: string;
  readonly isCumulative: boolean;
  /** The call before it, whose name, if that came once more, is the new one's. */
  readonly named: ToolCall | undefined;
}

/** The call that a fragment starts, without the fragment's content. */
function beginCall(fragment: ToolFragment, beginning: CallBeginning): ToolCall {
  const { number, id, isCumulative, named } = beginning;
  const inherits = fragment.name === null && named?.isNamedAgain === true;
  return {
    number,
    upstreamIndex: fragment.index,
    upstreamId: fragment.id ?? (inherits ? named.upstreamId : null),
    id,
    name: inherits ? named.name : null,
    extensions: null,
    lateExtensions: null,
    held: [],
    isOpened: false,
    received: '',
    isQuoted: false,
    isComplete: false,
    isNamedAgain: false,
    isFreeText: fragment.isFreeText,
    scanner: new JsonValueScanner(),
    cumulative: isCumulative ? new CumulativeText() : null,
  };
}

interface ToolCallsOptions {
  readonly isCumulative: boolean;
  newCallId(): string;
  readonly onRepair: OnRepair;
}

/** More than any model makes; matching fragments to calls takes time for each. */
const MAX_CALLS = 256;

/**
 * The tool calls of one choice. Fragments are matched to calls by what the upstream sends (index, id, name, order);
 * clients get one call after the other, since some merge fragments into the last call that was opened (S73): a call is over
 * when its arguments are complete JSON, and until then the later ones are held.
 */
export class ToolCalls {
  readonly #options: ToolCallsOptions;
  readonly #calls: ToolCall[] = [];
  /** The call that is being written. */
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

  /** Whether a call has no name of its function and so cannot be run. `isCut`: except the last one. */
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

  /** Whether `accept` would give exactly this fragment: nothing held before it, nothing to decode, number or cut in it. */
  passesUnchanged(fragment: ToolFragment): boolean {
    const { index, id, name, arguments: args } = fragment;
    const last = this.#calls.at(-1);
    if (this.#options.isCumulative || args.length > MAX_DELTA_LENGTH || args === NO_ARGUMENTS) return false;
    if (last !== undefined && (last.number !== this.#current || !last.isOpened || last.held.length > 0))
      return false;
    const beginsPlainly = !/^(?:[\s"]|\{\})/.test(args);
    if (name === null) {
      if (last?.number !== index || last.upstreamIndex !== index) return false;
      return last.received === '' ? beginsPlainly : !last.isComplete || !restarts(args);
    }
    const isNext = index === this.#calls.length && this.#calls.every((call) => call.upstreamIndex !== index);
    return isNext && last?.isComplete !== false && id !== null && this.#isFree(id) && beginsPlainly;
  }

  /** Takes the fragments of one delta in their order. `isWhole`: of a message, whose calls need no index. */
  accept(fragments: readonly ToolFragment[], isWhole: boolean): CallStep[] {
    const steps: CallStep[] = [];
    const touched = new Set<ToolCall>();
    for (const [position, fragment] of fragments.entries()) {
      const call = this.#repeatedCall(fragment, position) ?? this.#callOf(fragment, touched, isWhole);
      if (call === null) continue;
      touched.add(call);
      call.name ??= fragment.name;
      if (fragment.extensions !== null) addExtensions(call, fragment.extensions);
      this.#addArguments(call, fragment.arguments);
      if (call.lateExtensions !== null && call.number < this.#current) this.#writeCall(call, steps);
      this.#write(steps);
      if (call.number > this.#current && call.held.length > 0) this.#options.onRepair('tool_calls_reordered');
    }
    return steps;
  }

  /** Whether `{}` is held, in whose place the real arguments may come. */
  get isWaiting(): boolean {
    const call = this.#calls.at(-1);
    if (call?.received !== NO_ARGUMENTS || call.isFreeText || call.name === null) return false;
    return isUnwritten(call) && call.number === this.#current;
  }

  /** Something else follows: what is waited for will not come. */
  settle(): CallStep[] {
    const steps: CallStep[] = [];
    if (this.isWaiting) this.#writeCall(this.#calls[this.#current] as ToolCall, steps);
    return steps;
  }

  /** No more fragments: gives what was held. `isCut`: the model was stopped, so its last call is not completed for it. */
  finish(isCut: boolean): CallStep[] {
    const steps: CallStep[] = [];
    while (this.#current < this.#calls.length) {
      const call = this.#calls[this.#current] as ToolCall;
      const wasCut = isCut && call === this.#calls.at(-1);
      if (wasCut && call.name === null) {
        this.#calls.pop();
        break;
      }
      if (call.received === '' && !wasCut) {
        this.#options.onRepair('tool_arguments_missing');
        this.#addArguments(call, NO_ARGUMENTS);
      }
      call.isQuoted = false;
      call.name ??= '';
      this.#writeCall(call, steps);
      this.#current++;
    }
    return steps;
  }

  #addArguments(call: ToolCall, piece: string): void {
    let text = call.cumulative === null ? piece : call.cumulative.advance(piece);
    if (call.received === '' && !call.isFreeText) text = withoutEmptyBefore(text.trimStart());
    if (text === '') return;
    if (call.isComplete && restarts(text) && !this.#beginAgain(call, text)) return;
    if (call.number < this.#current) {
      if (text.trim() !== '') this.#options.onRepair('tool_arguments_dropped');
      return;
    }
    if (call.received === '') call.isQuoted = text.startsWith('"') && !call.isFreeText;
    call.received += text;
    call.held.push(text);
    if (!call.isComplete && !call.isFreeText) call.isComplete = call.scanner.scan(text, 0) !== -1;
    if (call.isQuoted && call.isComplete) {
      const text = call.held.join('');
      const opened = withoutQuotes(text);
      if (opened !== text) this.#options.onRepair('tool_arguments_quoted');
      call.held = [opened];
      call.isQuoted = false;
    }
  }

  /** A second JSON value after the arguments were complete. Whether it is taken, in place of `{}` that was not written. */
  #beginAgain(call: ToolCall, text: string): boolean {
    if (text.trim() === call.received.trim()) {
      this.#options.onRepair('tool_arguments_repeated');
      return false;
    }
    if (call.received !== NO_ARGUMENTS || !isUnwritten(call)) {
      this.#fault ??= `The upstream sent further arguments after those of the tool call were complete: ${text}`;
      return false;
    }
    call.received = '';
    call.held = [];
    call.isComplete = false;
    call.scanner = new JsonValueScanner();
    return true;
  }

  /** Gives the current call, and the next ones while the one before is over. */
  #write(steps: CallStep[]): void {
    for (;;) {
      const call = this.#calls[this.#current];
      if (call === undefined || call.name === null || call.isQuoted) return;
      const isLast = this.#current + 1 >= this.#calls.length;
      if (isLast && this.isWaiting) return;
      this.#writeCall(call, steps);
      if (!call.isComplete || isLast) return;
      this.#current++;
    }
  }

  #writeCall(call: ToolCall, steps: CallStep[]): void {
    if (call.isOpened && call.held.length === 0 && call.lateExtensions === null) return;
    const text = call.held.length === 1 ? (call.held[0] as string) : call.held.join('');
    for (const piece of piecesOf(text)) {
      const { id, name, extensions } = call;
      const opens = call.isOpened ? null : { id, name: name ?? '', extensions };
      steps.push({ call: call.number, opens, arguments: piece, late: call.lateExtensions });
      call.isOpened = true;
      call.lateExtensions = null;
    }
    call.held = [];
  }

  /** Of an upstream that repeats all so far in every delta: the call that a fragment without id repeats. */
  #repeatedCall({ index, id, name, arguments: args }: ToolFragment, position: number): ToolCall | undefined {
    if (!this.#options.isCumulative || id !== null) return undefined;
    const call = this.#calls.findLast((one) => index !== null && one.upstreamIndex === index);
    const known = call ?? (index === null ? this.#calls[position] : undefined);
    return known?.name === name && args.startsWith(known.received) ? known : undefined;
  }

  /** null: there are too many calls already. */
  #callOf(fragment: ToolFragment, touched: ReadonlySet<ToolCall>, isWhole: boolean): ToolCall | null {
    const known = this.#knownCall(fragment);
    if (known !== undefined && isPieceOfName(fragment, known, touched.has(known))) {
      this.#fault ??= `The upstream sent the name of a tool in pieces: ${known.name}, ${fragment.name}`;
      return null;
    }
    if (known === undefined || isAnotherCall(fragment, known, touched.has(known))) {
      if (this.#calls.length < MAX_CALLS) return this.#open(fragment, known, isWhole);
      this.#options.onRepair('tool_calls_dropped');
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
    // The same id under different indexes is a constant without meaning.
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

  #open(fragment: ToolFragment, named: ToolCall | undefined, isWhole: boolean): ToolCall {
    const { isCumulative, newCallId, onRepair } = this.#options;
    const isOwnId = fragment.id !== null && this.#isFree(fragment.id);
    if (!isOwnId) onRepair('tool_call_id_missing');
    if (fragment.index !== this.#calls.length && !(isWhole && fragment.index === null))
      onRepair('tool_call_index');
    const id = isOwnId ? (fragment.id as string) : newCallId();
    const call = beginCall(fragment, { number: this.#calls.length, id, isCumulative, named });
    this.#calls.push(call);
    return call;
  }
}

function addExtensions(call: ToolCall, added: JsonObject): void {
  call.extensions = mergeMembers(call.extensions, added);
  const late = call.isOpened ? historyMembers(added) : null;
  if (late !== null) call.lateExtensions = mergeMembers(call.lateExtensions, late);
}

const EMPTY_BEFORE = /^\{\}\s*(?=\{)/;

/** Arguments in one text without the empty object that translators begin them with. */
function withoutEmptyBefore(text: string): string {
  return text.startsWith(NO_ARGUMENTS) ? text.replace(EMPTY_BEFORE, '') : text;
}

/** A JSON string that holds an object or array is opened once; anything else stays as it came. */
function withoutQuotes(text: string): string {
  try {
    const inner: unknown = JSON.parse(text);
    if (typeof inner === 'string' && typeof JSON.parse(inner) === 'object') return inner;
  } catch {
    // Not JSON within JSON: relayed as it is, never repaired silently.
  }
  return text;
}
