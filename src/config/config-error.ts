/** One problem of the configuration and its place. */
interface ConfigProblem {
  /** YAML path, e.g. `upstreams[0].endpoint`; empty for the file as a whole. */
  readonly path: string;
  /** 1-based line in the file; null when the file could not be read. */
  readonly line: number | null;
  /** For people, without any value of the file: a secret may be in the wrong place. */
  readonly message: string;
}

/** The configuration cannot be used; `problems` holds everything that is wrong with it, in file order. */
export class ConfigError extends Error {
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    super(problems.map((problem) => describeProblem(file, problem)).join('\n'));
    this.name = 'ConfigError';
    this.file = file;
    this.problems = problems;
  }
}

/** `config.yaml:12 upstreams[0].endpiont: unknown key; did you mean "endpoint"?` */
function describeProblem(file: string, problem: ConfigProblem): string {
  const place = problem.line === null ? file : `${file}:${problem.line}`;
  return problem.path === ''
    ? `${place}: ${problem.message}`
    : `${place} ${problem.path}: ${problem.message}`;
}

export type PathStep = string | number;

/** `['upstreams', 0, 'models', 'gpt-4.1']` → `upstreams[0].models["gpt-4.1"]`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[\w-]+$/.test(String(step))) text += text === '' ? String(step) : `.${String(step)}`;
    else text += `[${JSON.stringify(String(step))}]`;
  }
  return text;
}

/** True when `path` is `start` or below it. */
function startsWith(path: readonly PathStep[], start: readonly PathStep[]): boolean {
  return start.length <= path.length && start.every((step, index) => path[index] === step);
}

/** True when one of them is the other or below it. */
export function isOnOnePath(left: readonly PathStep[], right: readonly PathStep[]): boolean {
  return startsWith(left, right) || startsWith(right, left);
}

/** Collects the problems of one file with their lines. */
export class ProblemReport {
  readonly #file: string;
  readonly #lines: ReadonlyMap<string, number>;
  readonly #isNeeded: (path: readonly PathStep[]) => boolean;
  readonly #errors: { readonly path: readonly PathStep[]; readonly problem: ConfigProblem }[] = [];
  readonly #warnings: ConfigProblem[] = [];

  /** `lines`: the line of each formatted path. Problems of paths that are not needed are left out. */
  constructor(
    file: string,
    lines: ReadonlyMap<string, number>,
    isNeeded: (path: readonly PathStep[]) => boolean,
  ) {
    this.#file = file;
    this.#lines = lines;
    this.#isNeeded = isNeeded;
  }

  /** A problem of the file as a whole. */
  syntaxError(path: readonly PathStep[], message: string, line = this.#lineOf(path)): void {
    this.#errors.push({ path, problem: { path: formatPath(path), line, message } });
  }

  /** Where the line is not given, it is that of the key, or of the nearest key above it that is in the file. */
  error(path: readonly PathStep[], message: string, line = this.#lineOf(path)): void {
    if (this.#isNeeded(path)) this.syntaxError(path, message, line);
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
