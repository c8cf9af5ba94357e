/** One thing that is wrong with the configuration, and where. */
export interface ConfigProblem {
  /** YAML path, e.g. `upstreams[0].endpoint`; empty for the file as a whole. */
  readonly path: string;
  /** 1-based line in the file; null when the file could not be read. */
  readonly line: number | null;
  /** For people, without any value of the file: a secret may stand in the wrong place. */
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
export function describeProblem(file: string, problem: ConfigProblem): string {
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
export function startsWith(path: readonly PathStep[], start: readonly PathStep[]): boolean {
  return start.length <= path.length && start.every((step, index) => path[index] === step);
}

/** True when one of them is the other or below it. */
export function isOnOnePath(left: readonly PathStep[], right: readonly PathStep[]): boolean {
  return startsWith(left, right) || startsWith(right, left);
}
