/** An item of a Response's output, with the id under which a client may refer to it later. */
interface ResponseItem {
  readonly id?: unknown;
  readonly type?: unknown;
}

/** The JSON of all items together, in UTF-16 units: some ten thousand responses. */
const MAX_LENGTH = 16 * 1024 * 1024;

/**
 * The messages and calls that were lately sent to clients as parts of Responses. Some clients (the AI SDK, unless its
 * option is `store: false`) assume that responses are stored, and refer to an item by its id instead of sending it back.
 * Bounded, in memory, of this process only: an item that was dropped has to be sent whole.
 */
export class ResponseItemStore {
  readonly #maxLength: number;
  /** JSON by owner and id, the least recently used first. */
  readonly #items = new Map<string, string>();
  #length = 0;

  constructor(maxLength = MAX_LENGTH) {
    this.#maxLength = maxLength;
  }

  /** Keeps messages and calls; other items, as reasoning, are not referred to. */
  save(owner: string, item: ResponseItem): void {
    if (item.type !== 'message' && item.type !== 'function_call' && item.type !== 'custom_tool_call') return;
    const text = JSON.stringify(item);
    // It would push out all others, and then itself.
    if (text.length > this.#maxLength) return;
    this.#put(keyOf(owner, String(item.id)), text);
    for (const [oldest, dropped] of this.#items) {
      if (this.#length <= this.#maxLength) break;
      this.#items.delete(oldest);
      this.#length -= dropped.length;
    }
  }

  /** The item that was sent to this owner under this id; null when it is not kept any more. */
  find(owner: string, id: string): Readonly<Record<string, unknown>> | null {
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
