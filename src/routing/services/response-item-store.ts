/** An item of a Response's output, with the id under which a client may name it later. */
interface ToldItem {
  readonly id?: unknown;
  readonly type?: unknown;
}

/** The JSON of all items together, in UTF-16 units: some ten thousand answers. */
const MOST_LENGTH = 16 * 1024 * 1024;

/**
 * The messages and calls that clients were told lately as parts of Responses. Some clients (the AI SDK, unless told
 * `store: false`) take it for granted that answers are stored, and name an item by its id in place of sending it back.
 * Bounded, in memory, of this process only: what was forgotten has to be sent whole.
 */
export class ToldItems {
  readonly #mostLength: number;
  /** JSON by owner and id, the one used last at the end. */
  readonly #items = new Map<string, string>();
  #length = 0;

  constructor(mostLength = MOST_LENGTH) {
    this.#mostLength = mostLength;
  }

  remember(owner: string, item: ToldItem): void {
    if (item.type !== 'message' && item.type !== 'function_call') return;
    const text = JSON.stringify(item);
    // It would push out all others, and then itself.
    if (text.length > this.#mostLength) return;
    this.#put(keyOf(owner, String(item.id)), text);
    for (const [oldest, dropped] of this.#items) {
      if (this.#length <= this.#mostLength) break;
      this.#items.delete(oldest);
      this.#length -= dropped.length;
    }
  }

  /** The item that this owner was told under this id; null when it is not known any more. */
  recall(owner: string, id: string): Readonly<Record<string, unknown>> | null {
    const key = keyOf(owner, id);
    const text = this.#items.get(key);
    if (text === undefined) return null;
    this.#items.delete(key);
    this.#items.set(key, text);
    return JSON.parse(text) as Record<string, unknown>;
  }

  #put(key: string, text: string): void {
    this.#length += text.length - (this.#items.get(key)?.length ?? 0);
    this.#items.delete(key);
    this.#items.set(key, text);
  }
}

function keyOf(owner: string, id: string): string {
  return `${owner}\n${id}`;
}
