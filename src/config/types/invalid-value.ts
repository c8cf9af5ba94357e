/** What is wrong with a value, in place of the value; never quotes it, because it may be a secret. */
export class Wrong {
  readonly message: string;
  readonly #parts: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];

  constructor(message: string, parts?: readonly { path: readonly PropertyKey[]; message: string }[]) {
    this.message = message;
    this.#parts = parts ?? [{ path: [], message }];
  }

  all(): readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] {
    return this.#parts;
  }
}
