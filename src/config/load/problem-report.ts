import {
  ConfigError,
  type ConfigProblem,
  describeProblem,
  formatPath,
  type PathStep,
  startsWith,
} from '../config-error.ts';

/** Collects what is wrong with one file, and knows the lines. */
export class ProblemReport {
  readonly #file: string;
  readonly #lines: ReadonlyMap<string, number>;
  readonly #errors: { readonly path: readonly PathStep[]; readonly problem: ConfigProblem }[] = [];
  readonly #warnings: ConfigProblem[] = [];

  /** `lines`: the line of each formatted path. */
  constructor(file: string, lines: ReadonlyMap<string, number>) {
    this.#file = file;
    this.#lines = lines;
  }

  /** Where the line is not given, it is that of the key, or of the nearest key above it that is in the file. */
  error(path: readonly PathStep[], message: string, line = this.#lineOf(path)): void {
    this.#errors.push({ path, problem: { path: formatPath(path), line, message } });
  }

  warn(path: readonly PathStep[], message: string): void {
    this.#warnings.push({ path: formatPath(path), line: this.#lineOf(path), message });
  }

  get hasErrors(): boolean {
    return this.#errors.length > 0;
  }

  /** True when there is an error at `path` or below it. */
  hasErrorsIn(path: readonly PathStep[]): boolean {
    return this.#errors.some((error) => startsWith(error.path, path));
  }

  get warnings(): string[] {
    return this.#warnings.toSorted(byLine).map((warning) => describeProblem(this.#file, warning));
  }

  /** All errors in the order of the file, each once. */
  asError(): ConfigError {
    const once = new Map(this.#errors.map(({ problem }) => [describeProblem('', problem), problem]));
    return new ConfigError(this.#file, [...once.values()].sort(byLine));
  }

  #lineOf(path: readonly PathStep[]): number | null {
    for (let length = path.length; length >= 0; length--) {
      const line = this.#lines.get(formatPath(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return null;
  }
}

function byLine(left: ConfigProblem, right: ConfigProblem): number {
  return (left.line ?? 0) - (right.line ?? 0);
}
