import type { Config } from '../config.ts';

/** A capability that this version does not have: its keys are known, and only their defaults are accepted. */
interface NotBuilt {
  /** YAML path; `*` is any name, `[]` each item of a list. */
  readonly path: string;
  /** Whether this value is accepted. */
  readonly accepts: (value: unknown) => boolean;
  readonly what: string;
}

const only =
  (accepted: unknown) =>
  (value: unknown): boolean =>
    value === accepted;

/** Remove a row when its capability is built. */
export const NOT_BUILT_YET: readonly NotBuilt[] = [
  { path: 'workers', accepts: only(1), what: 'more than one process' },
];

interface NotBuiltFinding {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Every key whose value requires something that is not built yet. */
export function findNotBuilt(config: Config, table: readonly NotBuilt[] = NOT_BUILT_YET): NotBuiltFinding[] {
  return table.flatMap(({ path, accepts, what }) =>
    matches(config, path.replaceAll('[]', '.[]').split('.'))
      .filter(({ value }) => !accepts(value))
      .map((match) => ({ path: match.path, message: `not built yet: ${what}; remove this key` })),
  );
}

interface Match {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

function matches(root: unknown, steps: readonly string[]): Match[] {
  let found: Match[] = [{ path: [], value: root }];
  for (const step of steps) found = found.flatMap((match) => childrenAt(match, step));
  return found;
}

function childrenAt({ path, value }: Match, step: string): Match[] {
  if (typeof value !== 'object' || value === null) return [];
  if (step === '[]')
    return Array.isArray(value) ? value.map((item, index) => ({ path: [...path, index], value: item })) : [];
  const entries = Object.entries(value).filter(([key]) => step === '*' || key === step);
  return entries.map(([key, child]) => ({ path: [...path, key], value: child }));
}
