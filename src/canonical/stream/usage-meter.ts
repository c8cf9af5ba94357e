import { estimateTokens } from '../token-count.ts';
import { readUsage, type Usage } from '../usage.ts';

/** Text is counted and let go when it is this long, so that a stream's memory is bounded. In UTF-16 units. */
const MAX_KEPT_LENGTH = 32 * 1024;

/** The usage of one reply: the upstream's last word, or an estimate. Nothing is ever summed. */
export class UsageMeter {
  readonly #isEstimating: boolean;
  readonly #prompt: () => string;
  #reported: Usage | null = null;
  /** The chunk that the last report came in, when it can be sent as it is. */
  #frame: string | null = null;
  #estimate: Usage | null = null;
  #texts: string[] = [];
  #length = 0;
  #countedTokens = 0;

  constructor(isEstimating: boolean, prompt: (() => string) | undefined) {
    this.#isEstimating = isEstimating;
    this.#prompt = prompt ?? (() => '');
  }

  get usage(): Usage | null {
    return this.#reported ?? this.#estimate;
  }

  get isEstimated(): boolean {
    return this.#reported === null && this.#estimate !== null;
  }

  get frame(): string | null {
    return this.#frame;
  }

  /** Takes a usage object, and the chunk around it when that can be sent as it is. */
  report(raw: unknown, frame: string | null): void {
    const usage = raw == null ? null : readUsage(raw);
    if (usage === null) return;
    this.#reported = usage;
    this.#frame = frame;
  }

  /** Takes text of the model. */
  note(text: string): void {
    if (!this.#isEstimating) return;
    this.#texts.push(text);
    this.#length += text.length;
    if (this.#length > MAX_KEPT_LENGTH) this.#count();
  }

  /** The reply is over: estimates what was not reported, when that is wanted. */
  close(): void {
    if (this.#reported !== null || !this.#isEstimating) return;
    this.#count();
    const promptTokens = estimateTokens(this.#prompt());
    const completionTokens = this.#countedTokens;
    this.#estimate = { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens };
  }

  #count(): void {
    this.#countedTokens += estimateTokens(this.#texts.join(''));
    this.#texts = [];
    this.#length = 0;
  }
}
