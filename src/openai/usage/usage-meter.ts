import type { OnRepair } from '../vendors/repairs.ts';
import { estimateTokens, estimateTokensRoughly } from './token-count.ts';
import { isCanonicalUsage, readUsage, type Usage } from './usage.ts';

/** So much of the text is kept to be counted; the rest is taken to be like it. In UTF-16 units. */
const SAMPLE_LENGTH = 8 * 1024;
/** Pieces are joined when there are so many, because each costs more memory than its text. */
const MAX_PIECES = 64;

interface UsageMeterOptions {
  /** Whether usage that the upstream does not give is estimated, and how. */
  readonly estimate: 'exactly' | 'roughly' | 'no';
  /** The prompt's text, called only when usage is estimated. */
  readonly prompt: (() => string) | undefined;
  readonly onRepair: OnRepair;
}

/**
 * The usage of one response: the upstream's last report, or an estimate. Nothing is ever summed. Memory and time are
 * bounded: a stream's text is counted only when the upstream turns out to give no usage, by a sample that was kept.
 */
export class UsageMeter {
  usage: Usage | null = null;
  isEstimated = false;
  /** The chunk that the last report came in, when it can be sent as it is. */
  frame: string | null = null;
  readonly #options: UsageMeterOptions;
  #isReported = false;
  #sample: string[] = [];
  #sampleLength = 0;
  #textLength = 0;

  constructor(options: UsageMeterOptions) {
    this.#options = options;
  }

  /** Takes a usage object, and the chunk around it when that can be sent as it is. All zeros are ignored. */
  report(raw: unknown, frame: string | null): void {
    const usage = raw == null ? null : readUsage(raw, this.#isReported ? this.usage : null);
    if (usage === null || usage.totalTokens === 0) return;
    if (frame === null && !isCanonicalUsage(raw)) this.#options.onRepair('usage_form');
    this.#isReported = true;
    this.usage = usage;
    this.frame = frame;
  }

  /** Takes usage from a vendor's member: it has priority over an estimate and not over a report. */
  reportBeside(usage: Usage | null): void {
    if (usage === null || this.#isReported) return;
    this.#options.onRepair('usage_in_vendor_member');
    this.usage = usage;
  }

  /** Takes text of the model. */
  note(text: string): void {
    if (this.#options.estimate === 'no') return;
    this.#textLength += text.length;
    if (this.#sampleLength >= SAMPLE_LENGTH) return;
    const kept = text.slice(0, SAMPLE_LENGTH - this.#sampleLength);
    this.#sampleLength += kept.length;
    this.#sample.push(kept);
    if (this.#sample.length > MAX_PIECES) this.#sample = [this.#sample.join('')];
  }

  /** The response is over: estimates what was not reported, when that is wanted. */
  close(): void {
    const { estimate, prompt, onRepair } = this.#options;
    if (this.usage !== null || estimate === 'no') return;
    const count = estimate === 'exactly' ? estimateTokens : estimateTokensRoughly;
    const promptTokens = count(prompt?.() ?? '');
    const sampled = this.#textLength === 0 ? 0 : count(this.#sample.join('')) / this.#sampleLength;
    const completionTokens = Math.round(sampled * this.#textLength);
    this.usage = { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens };
    this.isEstimated = true;
    // A rough one is for the record alone; no client sees it.
    if (estimate === 'exactly') onRepair('usage_estimated');
  }
}
