/**
 * Waiting items in one queue for each client. The queues take turns, so that a client with a thousand items delays each of
 * the others by one.
 */
export class FairQueue<Item> {
  /** In the order of their turns; no queue is empty. */
  readonly #queues = new Map<string, Item[]>();
  /** Items that wait; written here only. */
  length = 0;

  add(client: string, item: Item): void {
    this.length += 1;
    const queue = this.#queues.get(client);
    if (queue === undefined) this.#queues.set(client, [item]);
    else queue.push(item);
  }

  /** Takes out the item whose turn it is; undefined when none waits. */
  shift(): Item | undefined {
    const next = this.#queues.entries().next();
    if (next.done === true) return undefined;
    const [client, queue] = next.value;
    const item = queue.shift();
    this.length -= 1;
    // The client's next turn comes after those of all others.
    this.#queues.delete(client);
    if (queue.length > 0) this.#queues.set(client, queue);
    return item;
  }

  /** False: it does not wait here. */
  remove(client: string, item: Item): boolean {
    const queue = this.#queues.get(client);
    const at = queue?.indexOf(item) ?? -1;
    if (queue === undefined || at === -1) return false;
    queue.splice(at, 1);
    this.length -= 1;
    if (queue.length === 0) this.#queues.delete(client);
    return true;
  }

  /** Takes out the last item of the longest queue; undefined: no other client has a longer queue than `client` would have. */
  makeRoomFor(client: string): Item | undefined {
    let longest: Item[] = [];
    for (const queue of this.#queues.values()) if (queue.length > longest.length) longest = queue;
    if (longest.length <= (this.#queues.get(client)?.length ?? 0) + 1) return undefined;
    this.length -= 1;
    return longest.pop();
  }

  /** How many items have their turn before a new one of `client`. */
  aheadOf(client: string): number {
    const own = this.#queues.get(client)?.length ?? 0;
    let ahead = own;
    for (const [other, queue] of this.#queues) if (other !== client) ahead += Math.min(queue.length, own + 1);
    return ahead;
  }
}
