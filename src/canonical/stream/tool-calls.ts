import { CumulativeText } from './cumulative-text.ts';
import type { JsonObject } from './json-object.ts';
import { JsonValueScanner } from './json-values.ts';
import { MAX_DELTA_LENGTH, piecesOf } from './text-pieces.ts';
import type { ToolFragment } from './tool-fragments.ts';

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

export interface ToolCallsOptions {
  readonly isCumulative: boolean;
  newCallId(): string;
  readonly onNote: (note: string) => void;
}

/** More than any model makes; matching fragments to calls takes time for each. */
const MAX_CALLS = 256;

interface Call {
  readonly number: number;
  readonly upstreamIndex: number | null;
  upstreamId: string | null;
  /** Ours; the upstream's while it is unique. */
  id: string;
  name: string | null;
  extensions: JsonObject | null;
  /** Arguments that came and were not told yet; told later because an earlier call is still open. */
  held: string[];
  isOpened: boolean;
  hasArguments: boolean;
  /** The arguments are a JSON string that holds the JSON: told once, when it is complete. */
  isQuoted: boolean;
  isComplete: boolean;
  readonly scanner: JsonValueScanner;
  readonly cumulative: CumulativeText | null;
}

/**
 * The tool calls of one choice. Fragments are matched to calls by whatever the upstream gave (index, id, name, order);
 * clients get one call after the other, since some merge fragments into the last call that was opened: a call is over
 * when its arguments are complete JSON, and until then the later ones are held.
 */
export class ToolCalls {
  readonly #options: ToolCallsOptions;
  readonly #calls: Call[] = [];
  /** The call that is being told. */
  #current = 0;

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

  /** Whether a call came without the name of its function, which nobody can run. */
  get hasNameless(): boolean {
    return this.#calls.some((call) => call.name === null);
  }

  /** Whether `accept` would tell exactly this fragment: nothing held before it, nothing to decode, number or cut in it. */
  passesUnchanged(fragment: ToolFragment): boolean {
    const { index, id, name, arguments: args } = fragment;
    const last = this.#calls.at(-1);
    if (this.#options.isCumulative || args.length > MAX_DELTA_LENGTH) return false;
    if (last !== undefined && (last.number !== this.#current || !last.isOpened || last.held.length > 0))
      return false;
    const beginsPlainly = !/^[\s"]/.test(args);
    if (name === null) {
      return last?.number === index && last.upstreamIndex === index && (last.hasArguments || beginsPlainly);
    }
    const isNext = index === this.#calls.length && this.#calls.every((call) => call.upstreamIndex !== index);
    return isNext && last?.isComplete !== false && id !== null && this.#isFree(id) && beginsPlainly;
  }

  /** Takes the fragments of one delta in their order. */
  accept(fragments: readonly ToolFragment[]): CallStep[] {
    const steps: CallStep[] = [];
    const touched = new Set<Call>();
    for (const fragment of fragments) {
      const call = this.#callOf(fragment, touched);
      if (call === null) continue;
      touched.add(call);
      call.name ??= fragment.name;
      call.extensions ??= fragment.extensions;
      this.#addArguments(call, fragment.arguments);
      this.#tell(steps);
    }
    return steps;
  }

  /** No more fragments: tells what was held. `isCut`: the model was stopped, so its last call is not completed for it. */
  finish(isCut: boolean): CallStep[] {
    const steps: CallStep[] = [];
    while (this.#current < this.#calls.length) {
      const call = this.#calls[this.#current] as Call;
      const wasCut = isCut && call === this.#calls.at(-1);
      if (wasCut && call.name === null) break;
      if (!call.hasArguments && !wasCut) this.#addArguments(call, '{}');
      call.isQuoted = false;
      call.name ??= '';
      this.#tellCall(call, steps);
      this.#current++;
    }
    return steps;
  }

  #addArguments(call: Call, piece: string): void {
    let text = call.cumulative === null ? piece : call.cumulative.advance(piece);
    if (!call.hasArguments) text = text.trimStart();
    if (text === '') return;
    if (call.number < this.#current) {
      if (text.trim() !== '')
        this.#options.onNote('arguments of a tool call came after its end and were dropped');
      return;
    }
    if (!call.hasArguments) call.isQuoted = text.startsWith('"');
    call.hasArguments = true;
    call.held.push(text);
    if (!call.isComplete) call.isComplete = call.scanner.scan(text, 0) !== -1;
    if (call.isQuoted && call.isComplete) {
      call.held = [withoutQuotes(call.held.join(''))];
      call.isQuoted = false;
    }
  }

  /** Tells the current call, and the next ones while the one before is over. */
  #tell(steps: CallStep[]): void {
    for (;;) {
      const call = this.#calls[this.#current];
      if (call === undefined || call.name === null || call.isQuoted) return;
      this.#tellCall(call, steps);
      if (!call.isComplete || this.#current + 1 >= this.#calls.length) return;
      this.#current++;
    }
  }

  #tellCall(call: Call, steps: CallStep[]): void {
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

  /** null: there are too many calls already. */
  #callOf(fragment: ToolFragment, touched: ReadonlySet<Call>): Call | null {
    const known = this.#knownCall(fragment);
    if (known === undefined || isAnother(fragment, known, touched.has(known))) {
      if (this.#calls.length < MAX_CALLS) return this.#open(fragment);
      this.#options.onNote(`more than ${MAX_CALLS} tool calls; the rest was dropped`);
      return null;
    }
    if (known.upstreamId === null && fragment.id !== null) {
      known.upstreamId = fragment.id;
      if (!known.isOpened && this.#isFree(fragment.id)) known.id = fragment.id;
    }
    return known;
  }

  /**
   * The call that a fragment most likely continues: the newest with its index, else with its id, else the newest.
   * undefined: it begins a call.
   */
  #knownCall(fragment: ToolFragment): Call | undefined {
    const { index, id, name } = fragment;
    const last = this.#calls.at(-1);
    if (index !== null) {
      const sameIndex = this.#calls.findLast((call) => call.upstreamIndex === index);
      if (sameIndex !== undefined) return sameIndex;
    }
    // The same id under different indexes is a constant that says nothing.
    const hasNoIndex = (call: Call) => index === null || call.upstreamIndex === null;
    const sameId = this.#calls.findLast((call) => id !== null && call.upstreamId === id && hasNoIndex(call));
    if (sameId !== undefined || last === undefined) return sameId;
    const mayContinue = hasNoIndex(last) && (name === null || last.name === null || id === null);
    return mayContinue ? last : undefined;
  }

  #isFree(id: string): boolean {
    return this.#calls.every((call) => call.id !== id);
  }

  #open(fragment: ToolFragment): Call {
    const call: Call = {
      number: this.#calls.length,
      upstreamIndex: fragment.index,
      upstreamId: fragment.id,
      id: fragment.id !== null && this.#isFree(fragment.id) ? fragment.id : this.#options.newCallId(),
      name: null,
      extensions: null,
      held: [],
      isOpened: false,
      hasArguments: false,
      isQuoted: false,
      isComplete: false,
      scanner: new JsonValueScanner(),
      cumulative: this.#options.isCumulative ? new CumulativeText() : null,
    };
    this.#calls.push(call);
    return call;
  }
}

/**
 * Whether a fragment begins a new call although it matches a known one by index or order. Only a name can begin a
 * call. The same id continues it; another id does not; without ids a repeated name continues a call until its
 * arguments are complete.
 */
function isAnother(fragment: ToolFragment, known: Call, isInSameDelta: boolean): boolean {
  if (fragment.name === null || known.name === null) return false;
  if (fragment.id !== null && known.upstreamId !== null) return fragment.id !== known.upstreamId;
  if (isInSameDelta || fragment.name !== known.name) return true;
  return known.isComplete && fragment.arguments !== '';
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
