/**
 * Which functions a process entered, and in which order, from the two things that V8 writes about it: the coverage of
 * NODE_V8_COVERAGE (how often each function was called, without order) and the log of `--log-function-events` (when
 * each function was compiled, which V8 does at its first call). Pure.
 */

/** A function of a source file. Offsets are those of the file: Node blanks types out and moves nothing. */
export interface SourceFunction {
  /** From the root of the repository: `src/main.ts`. */
  readonly file: string;
  /** V8's name of it; empty for callbacks without a name. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** A file that a request enters, with what it enters there. */
export interface Stop {
  readonly file: string;
  readonly functions: readonly SourceFunction[];
}

/** One file of NODE_V8_COVERAGE: a thread of the process. Only the members that are read here. */
export interface CoverageReport {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly functionName: string;
      /** The first range is the whole function, its count that of the calls. */
      readonly ranges: readonly {
        readonly startOffset: number;
        readonly endOffset: number;
        readonly count: number;
      }[];
    }[];
  }[];
}

/** The functions that were called at least once in one of the threads, of files whose URL begins with `root` + `src/`. */
export function enteredFunctions(reports: readonly CoverageReport[], root: string): SourceFunction[] {
  const found = new Map<string, SourceFunction>();
  for (const { url, functions } of reports.flatMap((report) => report.result)) {
    const file = sourceFileOf(url, root);
    if (file === null) continue;
    // The first one is the module itself.
    for (const { functionName: name, ranges } of functions.slice(1)) {
      const [whole] = ranges;
      if (whole === undefined || whole.count === 0) continue;
      const entered = { file, name, start: whole.startOffset, end: whole.endOffset };
      found.set(keyOf(entered), entered);
    }
  }
  return [...found.values()];
}

/** What is in `request` and in none of the `idle` runs. */
export function withoutIdle(
  request: readonly SourceFunction[],
  idle: readonly (readonly SourceFunction[])[],
): SourceFunction[] {
  const known = new Set(idle.flat().map(keyOf));
  return request.filter((entered) => !known.has(keyOf(entered)));
}

/** The initial values of a class's fields, a function to V8; compiled with the class, long before the first call. */
const FIELDS = '<instance_members_initializer>';

/** A first call as V8 logs it. `start` may be that of the parameters, so only `end` identifies the function. */
export interface FirstCall {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** The first calls in the log of one thread, oldest first. */
export function firstCalls(log: string, root: string): FirstCall[] {
  const files = new Map<string, string>();
  const calls: FirstCall[] = [];
  for (const line of log.split('\n')) {
    // script-details,ID,URL,…  and  function,interpreter,ID,START,END,DURATION,TIME,NAME: compiled for V8's interpreter.
    // (Its `first-execution` means the first one that is measured, some calls later.)
    const [event = '', second = '', third = '', start, end, , , name] = line.split(',');
    if (event === 'script-details') {
      const file = sourceFileOf(third, root);
      if (file !== null) files.set(second, file);
    } else if (event === 'function' && second === 'interpreter' && name !== FIELDS) {
      const file = files.get(third);
      if (file !== undefined) calls.push({ file, start: Number(start), end: Number(end) });
    }
  }
  return calls;
}

/**
 * `entered` by file, both in the order of `calls`. What the log does not have comes last: functions in the order of
 * their file, files by name.
 */
export function stopsOf(entered: readonly SourceFunction[], calls: readonly FirstCall[]): Stop[] {
  const placed = entered
    .map((one) => ({ one, place: placeOf(one, calls) }))
    .sort(
      (left, right) =>
        left.place - right.place ||
        left.one.file.localeCompare(right.one.file) ||
        left.one.start - right.one.start,
    );
  const files = Map.groupBy(placed, ({ one }) => one.file);
  return [...files].map(([file, functions]) => ({ file, functions: functions.map(({ one }) => one) }));
}

function placeOf(one: SourceFunction, calls: readonly FirstCall[]): number {
  const place = calls.findIndex(
    (call) => call.file === one.file && call.end === one.end && call.start >= one.start,
  );
  return place < 0 ? Number.MAX_SAFE_INTEGER : place;
}

function sourceFileOf(url: string, root: string): string | null {
  return url.startsWith(`${root}src/`) ? url.slice(root.length) : null;
}

function keyOf({ file, name, start, end }: SourceFunction): string {
  return `${file} ${start}-${end} ${name}`;
}
