/** A token as replicas share it. */
export interface StoredToken {
  /** Counts the tokens of a recipe; the fence of `put`. */
  readonly generation: number;
  readonly value: string;
  /** Wall clock when the token was asked for; its life counts from there. */
  readonly issuedWallMs: number;
  /** Null: the issuer stated none. */
  readonly lifeMs: number | null;
  readonly refreshInMs?: number;
  /** On our wall clock. */
  readonly notBeforeWallMs?: number;
  readonly extra?: Readonly<Record<string, string>>;
}

/** Reads what a store kept as JSON. Null: written by hand, by another version, or cut: no token. */
export function parseStoredToken(text: string): StoredToken | null {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof read !== 'object' || read === null) return null;
  const token = read as Partial<StoredToken>;
  const hasLife = token.lifeMs === null || typeof token.lifeMs === 'number';
  const isToken =
    typeof token.value === 'string' &&
    typeof token.generation === 'number' &&
    typeof token.issuedWallMs === 'number' &&
    hasLife;
  return isToken ? (token as StoredToken) : null;
}
