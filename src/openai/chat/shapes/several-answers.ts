import { type ChoiceFacts, saysAnything } from './chunk-facts.ts';

/**
 * The choices of one chunk by the indexes that they mean. Whole messages are never parts of one, so that an index that
 * two of them have says nothing.
 */
export function indexesOf(choices: readonly ChoiceFacts[]): readonly number[] {
  const given = choices.map(({ index }, position) => index ?? position);
  const isConstant =
    new Set(given).size < given.length &&
    choices.every((choice) => isAnswer(choice) && choice.finish !== null);
  return isConstant ? choices.map((_choice, position) => position) : given;
}

/** Whether a chunk has several answers: whole messages, or texts that the upstream numbers as different choices. */
export function hasSeveralAnswers(choices: readonly ChoiceFacts[]): boolean {
  if (choices.length < 2) return false;
  const saying = choices.filter(saysAnything);
  const numbers = saying.map(({ index }) => index).filter((index) => index !== null);
  return saying.filter(isAnswer).length > 1 || new Set(numbers).size > 1;
}

function isAnswer(choice: ChoiceFacts): boolean {
  return choice.isWhole && saysAnything(choice);
}

/** Sees when an upstream goes back to a choice that it had left for another one: then its indexes are no counter. */
export class TextOrder {
  #count = 0;
  /** Of a choice: how many texts there were when it last said something. */
  readonly #countAfter = new Map<number, number>();

  noteText(): void {
    this.#count++;
  }

  /** Whether this choice has said something, and another one since then. */
  isComingBack(index: number): boolean {
    const after = this.#countAfter.get(index);
    return after !== undefined && after !== this.#count;
  }

  noteChoice(index: number): void {
    this.#countAfter.set(index, this.#count);
  }
}
