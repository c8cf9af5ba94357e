import type { TokenStore } from './token-store.ts';

/** Views of one store, each closed by the source that uses it; the store itself closes with the last of them. */
export class CountedStore {
  readonly #store: TokenStore;
  #users = 0;

  constructor(store: TokenStore) {
    this.#store = store;
  }

  open(): TokenStore {
    const store = this.#store;
    let isOpen = true;
    this.#users += 1;
    return {
      get: (key) => store.get(key),
      put: (key, token) => store.put(key, token),
      lease: (key, forMs) => store.lease(key, forMs),
      watch: (key, onHint) => store.watch(key, onHint),
      close: async () => {
        if (!isOpen) return;
        isOpen = false;
        this.#users -= 1;
        if (this.#users === 0) await store.close();
      },
    };
  }
}
