import type { Config } from '../config.ts';
import { formatPath, type PathStep } from '../config-error.ts';

/** A finding about keys that depend on each other. */
export interface RuleFinding {
  readonly path: readonly PathStep[];
  readonly message: string;
  readonly level: 'error' | 'warning';
}

/** The input of a rule: the configuration without its invalid values. */
interface RuleFacts {
  readonly config: Config;
  /** All names below `tokens`, also of invalid sources. */
  readonly tokenNames: readonly string[];
  /** True when a value at or below `path` was invalid and left out: then its absence means nothing. */
  isIncomplete(...path: readonly PathStep[]): boolean;
}

export type Rule = (facts: RuleFacts) => readonly RuleFinding[];

export function fault(path: readonly PathStep[], message: string): RuleFinding {
  return { path, message, level: 'error' };
}

export function caution(path: readonly PathStep[], message: string): RuleFinding {
  return { path, message, level: 'warning' };
}

/** A finding for each item whose name was taken by an earlier one. */
export function duplicates(
  items: readonly { readonly name: string }[],
  list: string,
  what: string,
): readonly RuleFinding[] {
  const firstOf = new Map<string, number>();
  return items.flatMap(({ name }, index) => {
    const first = firstOf.get(name);
    if (first === undefined) firstOf.set(name, index);
    return first === undefined
      ? []
      : [fault([list, index, 'name'], `${what} has the same name as ${formatPath([list, first])}`)];
  });
}
