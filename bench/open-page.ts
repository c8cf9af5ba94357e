/** What the first view of the page asks for, and how often while it is visible. */
const POLLS: readonly { readonly path: string; readonly everyMs: number }[] = [
  { path: '/admin/status', everyMs: 5_000 },
  { path: '/admin/tokens', everyMs: 5_000 },
  { path: '/admin/upstreams', everyMs: 5_000 },
  { path: '/admin/stats?step=60', everyMs: 30_000 },
];

/** An open page without a browser: it follows the live events and loads what the first view loads. */
export class OpenPage {
  readonly #origin: string;
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  /** Bytes of live events so far. */
  received = 0;

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** Resolves when the first live event is there. */
  async open(): Promise<void> {
    const { signal } = this.#controller;
    const events = await fetch(`${this.#origin}/admin/events`, { signal });
    if (events.status !== 200 || events.body === null) throw new Error(`/admin/events: ${events.status}`);
    const reader = events.body.getReader();
    this.received += (await reader.read()).value?.length ?? 0;
    void this.#follow(reader);
    await this.#load('/admin/requests?limit=20');
    for (const { path, everyMs } of POLLS) {
      await this.#load(path);
      this.#timers.push(setInterval(() => void this.#load(path), everyMs));
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#controller.abort();
  }

  async #follow(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    try {
      for (let piece = await reader.read(); !piece.done; piece = await reader.read())
        this.received += piece.value.length;
    } catch {
      // Closed.
    }
  }

  async #load(path: string): Promise<void> {
    try {
      const response = await fetch(this.#origin + path, { signal: this.#controller.signal });
      await response.arrayBuffer();
    } catch (error) {
      if (!this.#controller.signal.aborted) throw error;
    }
  }
}
