import { TextTally, type TokenEstimate } from '../chat/texts/text-tally.ts';
import { estimateTokens, estimateTokensRoughly } from './token-count.ts';
import { readUsage, type Usage } from './usage.ts';

/** The usage of one reply: the upstream's last word, or an estimate. Nothing is ever summed. */
export class UsageMeter {
  readonly #count: TokenEstimate;
  readonly #tally: TextTally | null;
  readonly #prompt: () => string;
  #reported: Usage | null = null;
  /** The chunk that the last report came in, when it can be sent as it is. */
  #frame: string | null = null;
  /** What stood in a vendor's member; worth more than an estimate and less than a report. */
  #beside: Usage | null = null;
  #estimate: Usage | null = null;

  constructor(precision: 'exactly' | 'roughly' | 'no', prompt: (() => string) | undefined) {
    this.#count = precision === 'exactly' ? estimateTokens : estimateTokensRoughly;
    this.#tally = precision === 'no' ? null : new TextTally(this.#count);
    this.#prompt = prompt ?? (() => '');
  }

  get usage(): Usage | null {
    return this.#reported ?? this.#beside ?? this.#estimate;
  }

  get isEstimated(): boolean {
    return this.#reported === null && this.#beside === null && this.#estimate !== null;
  }

  get frame(): string | null {
    return this.#frame;
  }

  /** Takes a usage object, and the chunk around it when that can be sent as it is. All zeros say nothing. */
  report(raw: unknown, frame: string | null): void {
    const usage = raw == null ? null : readUsage(raw, this.#reported);
    if (usage === null || usage.totalTokens === 0) return;
    this.#reported = usage;
    this.#frame = frame;
  }

  /** Takes usage that a vendor's member told; the last one, unless the upstream reports its usage. */
  reportBeside(usage: Usage | null): void {
    if (usage !== null) this.#beside = usage;
  }

  /** Takes text of the model. */
  note(text: string): void {
    this.#tally?.add(text);
  }

  /** The reply is over: estimates what was not reported, when that is wanted. */
  close(): void {
    if (this.#reported !== null || this.#beside !== null || this.#tally === null) return;
    const promptTokens = this.#count(this.#prompt());
    const completionTokens = this.#tally.tokens;
    this.#estimate = { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens };
  }
}
