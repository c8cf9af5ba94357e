import type { z } from 'zod';
import { formatPath, type PathStep } from '../config-error.ts';
import { didYouMean, nearest } from '../load/nearest-key.ts';
import { IS_REQUIRED } from '../types/fields.ts';
import type { FileMapping, FileValue } from '../types/scalar.ts';
import { isMapping } from '../types/scalar.ts';
import { configSchema, type WrittenConfig } from './schema.ts';
import { homeOf, keysAt } from './schema-walk.ts';

/** What the schema has against one place of the file. */
interface Finding {
  readonly path: readonly PathStep[];
  readonly message: string;
  /** The known key that an unknown one is probably meant to be. */
  readonly meant?: string | null;
}

interface Checked {
  /** What is left when every place that is wrong is taken out; null when nothing sensible is. */
  readonly written: WrittenConfig | null;
  readonly findings: readonly Finding[];
}

/** Each round takes something out, so this many end with a bare default even for a hopeless file. */
const MAX_ROUNDS = 200;

/**
 * Holds the file against the schema. All findings are of the first look; the looks after it are at a file
 * without what was wrong, so that the rules between keys can be checked in the same run.
 */
export function checkSchema(root: FileMapping): Checked {
  const first = configSchema.safeParse(root);
  if (first.success) return { written: first.data, findings: [] };
  const findings = withoutEchoes(first.error.issues.flatMap((issue) => findingsOf(issue, root)));
  let rest: FileMapping = root;
  let wrong = findings;
  for (let round = 0; round < MAX_ROUNDS && wrong.length > 0; round++) {
    rest = without(
      rest,
      wrong.map(({ path }) => path),
    );
    const again = configSchema.safeParse(rest);
    if (again.success) return { written: again.data, findings };
    wrong = again.error.issues.flatMap((issue) => findingsOf(issue, rest));
  }
  return { written: null, findings };
}

function findingsOf(issue: z.core.$ZodIssue, root: FileMapping): Finding[] {
  const path = issue.path as PathStep[];
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
  const known = keysAt(configSchema, root, path);
  return issue.keys.map((key) => ({
    path: [...path, key],
    message: `unknown key${didYouMean(key, known) || belongs(path, key)}`,
    meant: nearest(key, known),
  }));
}

/** For a valid key in the wrong place, mostly by its indentation. */
function belongs(path: readonly PathStep[], key: string): string {
  if (path.length > 0 && path[0] !== 'upstreams') return '';
  const home = homeOf(configSchema, key);
  if (home === null) return '';
  return home === '' ? '; it belongs at the top level' : `; it belongs below ${home}`;
}

/** A misspelt key is one problem: the missing right one is not reported as well. */
function withoutEchoes(findings: readonly Finding[]): Finding[] {
  const meant = new Set(
    findings.flatMap(({ path, meant: key }) => (key ? [formatPath([...path.slice(0, -1), key])] : [])),
  );
  return findings.filter(({ path, message }) => message !== IS_REQUIRED || !meant.has(formatPath(path)));
}

/**
 * The mapping without the values at `paths`. List items stay where they are, so that the paths of the others
 * stay true: the key above goes instead. What is missing takes its parent with it.
 */
function without(root: FileMapping, paths: readonly (readonly PathStep[])[]): FileMapping {
  const keys = paths.map((path) => nearestKey(root, path));
  if (keys.some((key) => key.length === 0)) return {};
  return keys.reduce<FileMapping>((rest, key) => removeKey(rest, key), root);
}

/** The longest part of `path` that ends in a key which is there. */
function nearestKey(root: FileMapping, path: readonly PathStep[]): readonly PathStep[] {
  let value: FileValue = root;
  let length = 0;
  for (const [index, step] of path.entries()) {
    if (Array.isArray(value)) value = value[Number(step)];
    else if (isMapping(value) && Object.hasOwn(value, String(step))) {
      value = value[String(step)];
      length = index + 1;
    } else break;
  }
  return path.slice(0, length);
}

function removeKey(root: FileMapping, path: readonly PathStep[]): FileMapping {
  const edited = edit(root, path);
  return isMapping(edited) ? edited : root;
}

function edit(value: FileValue, path: readonly PathStep[]): FileValue {
  const [step, ...rest] = path;
  if (Array.isArray(value)) {
    const items: readonly FileValue[] = value;
    return items.map((item, index) => (index === step ? edit(item, rest) : item));
  }
  if (!isMapping(value)) return value;
  const entries = Object.entries(value);
  const kept = rest.length === 0 ? entries.filter(([key]) => key !== step) : entries;
  return Object.fromEntries(kept.map(([key, old]) => [key, key === step ? edit(old, rest) : old]));
}
