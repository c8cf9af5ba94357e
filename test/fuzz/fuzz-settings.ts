function numberFrom(name: string, usual: number): number {
  const text = process.env[name];
  const value = text === undefined ? usual : Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} is no count: ${text}`);
  return value;
}

/** Where the random requests begin; a failure is repeated with its seed. */
export const SEED = numberFrom('FUZZ_SEED', 1);

/** So many requests for each operation; the fuzzers of `npm test` multiply it by what they can afford. */
export const EXAMPLES = numberFrom('FUZZ_EXAMPLES', 50);
