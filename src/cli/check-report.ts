/** What one check found: `fail` makes the exit code 1, `warn` does not. */
export interface Finding {
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly text: string;
  /** Lines for the configuration that would repair it, to be pasted. */
  readonly suggestion?: string;
  /** The model that a chat worked with. */
  readonly model?: string;
  /** What `init` can do something about: the upstream refuses the credentials, or its base URL is another one. */
  readonly cause?: 'credentials' | { readonly base: string };
}

/** A check that takes longer is announced. */
const QUIET_MS = 2_000;

const LABELS = { ok: 'ok    ', warn: 'warn  ', fail: 'FAIL  ' } as const;

/** Prints a finding; true unless it is a failure. */
export function printFinding({ verdict, text, suggestion }: Finding): boolean {
  console.log(`${LABELS[verdict]}${text}`);
  if (suggestion !== undefined) console.log(`      ${suggestion}`);
  return verdict !== 'fail';
}

/** As `work` ends; while it has not, what `describe` returns is printed once. Null: nothing. */
export async function withWaitLine<Result>(
  work: Promise<Result>,
  describe: () => string | null,
): Promise<Result> {
  const timer = setTimeout(() => {
    const text = describe();
    // Not among the results: the gateway runs checks too, and its standard output is its log.
    if (text !== null) console.error(`wait  ${text}`);
  }, QUIET_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}
