/** How many routes are using one configuration: what belongs to it may be closed when none is. */
export class UseCount {
  #users = 0;
  #onIdle: (() => void) | null = null;

  begin(): void {
    this.#users += 1;
  }

  end(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#onIdle?.();
  }

  /** Resolves when nobody uses it. Only for one that gets no new users. */
  idle(): Promise<void> {
    if (this.#users === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }
}
