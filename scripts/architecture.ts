/**
 * The rules of the house, checked over the imports of src: who may know whom, which room owns which package, and
 * that everything has a noun for its name. `violationsIn` is pure; run as a script it checks the tree.
 */
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SourceFile {
  /** With slashes, from the root of the repository: `src/tokens/lease.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly rule: 'floor' | 'stair' | 'neighbour' | 'cycle' | 'owner' | 'name' | 'room' | 'missing';
  readonly message: string;
}

/**
 * From the ground up. A room is a folder of src, or one of the files that stand alone (`app`, `server`, `main`);
 * the other files of src itself are the ground, which every room stands on.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['ground'],
  ['canonical', 'config', 'observability', 'request-log', 'tokens'],
  ['upstream'],
  ['routing'],
  ['http', 'admin'],
  ['app'],
  ['service'],
  ['server'],
  ['demo'],
  ['commands'],
  ['main'],
];

/**
 * Stairs within a room: the folders of a folder from the bottom up, each of which knows only those below it. `.` are the
 * files of the folder itself.
 */
const STAIRS: Readonly<Record<string, readonly string[]>> = {
  // Bytes to events, events to what they say, texts and calls in pieces, the reply as a whole, how it is written.
  'src/canonical/stream': ['framing', 'shapes', 'texts', 'calls', '.', 'writing'],
};

const STANDING_ALONE = new Set(['src/app.ts', 'src/server.ts', 'src/main.ts']);

/** Package → the rooms, or single files, that may import it. A package that is not listed may not be imported. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  openai: ['upstream', 'src/commands/verify.ts'],
  undici: ['upstream', 'tokens'],
  'eventsource-parser': ['canonical'],
  'gpt-tokenizer': ['canonical'],
  'better-sqlite3': ['request-log'],
  pg: ['request-log', 'tokens'],
  kysely: ['request-log'],
  'prom-client': ['observability'],
  winston: ['observability'],
  yaml: ['config'],
  zod: ['config'],
  'node-cache': ['routing', 'upstream', 'observability'],
  express: ['app', 'http', 'admin'],
  jose: ['tokens'],
  oauth4webapi: ['tokens'],
  'rate-limiter-flexible': ['http'],
};

const NOUNLESS = /(?:^|[-.])(?:utils?|helpers?|common|misc)(?:[-.]|$)/;
const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.d)?\.ts$/;

/**
 * Statements begin in the first column, because the formatter puts them there; text that only looks like an
 * import (in a comment or in a printed example) does not.
 */
const STATIC_IMPORT =
  /^(?:import\s+(?:type\s+)?[\w$*{}\s,]+?\sfrom\s*|export\s+(?:type\s+)?[{*][\w$*{}\s,]*?\sfrom\s*|import\s*)['"]([^'"]+)['"]/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*['"]([^'"]+)['"]/g;
/** How a worker names its file: it knows what it starts. */
const URL_IMPORT = /\bnew URL\(\s*['"](\.{1,2}\/[^'"]+\.[cm]?[jt]s)['"],\s*import\.meta\.url/g;

/** The specifiers that a file imports, types and workers included, in no particular order. */
export function importsOf(text: string): string[] {
  const found = [STATIC_IMPORT, DYNAMIC_IMPORT, URL_IMPORT].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => match[1] ?? ''),
  );
  return [...new Set(found)];
}

/** Everything in `files` (all of src) that breaks a rule of the house; empty when it is in order. */
export function violationsIn(files: readonly SourceFile[]): Violation[] {
  const paths = new Set(files.map((file) => file.path));
  const violations = files.flatMap((file) => [...nameViolations(file), ...importViolations(file, paths)]);
  return [...violations, ...cycleViolations(files)];
}

function nameViolations({ path }: SourceFile): Violation[] {
  const found: Violation[] = [];
  const parts = path.split('/').slice(1);
  if (parts.some((part) => NOUNLESS.test(part))) {
    found.push({ rule: 'name', message: `${path}: utils, helpers, common and misc are no nouns` });
  }
  if (!KEBAB_CASE.test(parts.at(-1) ?? '')) {
    found.push({ rule: 'name', message: `${path}: files are named in kebab-case` });
  }
  if (floorOf(roomOf(path)) < 0) {
    found.push({ rule: 'room', message: `${path}: the room "${roomOf(path)}" has no floor yet` });
  }
  return found;
}

function importViolations(file: SourceFile, paths: ReadonlySet<string>): Violation[] {
  return importsOf(file.text).flatMap((specifier) => {
    if (!specifier.startsWith('.')) return packageViolations(file.path, specifier);
    const target = targetOf(file.path, specifier);
    if (!paths.has(target)) {
      return [{ rule: 'missing', message: `${file.path} imports ${target}, which src does not have` }];
    }
    return [...roomViolations(file.path, target), ...stairViolations(file.path, target)];
  });
}

function packageViolations(path: string, specifier: string): Violation[] {
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return [];
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const owners = OWNERS[name];
  if (owners === undefined) return [{ rule: 'owner', message: `${path}: nobody owns the package "${name}"` }];
  if (owners.includes(path) || owners.includes(roomOf(path))) return [];
  return [{ rule: 'owner', message: `${path}: the package "${name}" belongs to ${owners.join(' and ')}` }];
}

function roomViolations(path: string, target: string): Violation[] {
  const [from, to] = [roomOf(path), roomOf(target)];
  if (from === to) return [];
  const [fromFloor, toFloor] = [floorOf(from), floorOf(to)];
  if (fromFloor > toFloor) return [];
  return fromFloor === toFloor
    ? [{ rule: 'neighbour', message: `${path} imports ${target}: rooms on one floor do not know each other` }]
    : [{ rule: 'floor', message: `${path} imports ${target}: imports point to lower floors only` }];
}

function stairViolations(path: string, target: string): Violation[] {
  return Object.entries(STAIRS).flatMap(([folder, steps]): Violation[] => {
    if (!path.startsWith(`${folder}/`) || !target.startsWith(`${folder}/`)) return [];
    const [from, to] = [path, target].map((file) => steps.indexOf(stepOf(posix.relative(folder, file))));
    if (from === undefined || to === undefined || (from >= to && from >= 0 && to >= 0)) return [];
    return [
      { rule: 'stair', message: `${path} imports ${target}: steps of ${folder} are ${steps.join(' < ')}` },
    ];
  });
}

/** `framing/sse-framing.ts` → `framing`, `reply-reader.ts` → `.`. */
function stepOf(inner: string): string {
  const [first = '', ...rest] = inner.split('/');
  return rest.length === 0 ? '.' : first;
}

function cycleViolations(files: readonly SourceFile[]): Violation[] {
  const graph = new Map(
    files.map((file) => [
      file.path,
      importsOf(file.text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => targetOf(file.path, specifier)),
    ]),
  );
  const found: Violation[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push({ rule: 'cycle', message: [...trail.slice(start), path].join(' → ') });
      return;
    }
    if (finished.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    finished.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

function targetOf(path: string, specifier: string): string {
  return posix.join(posix.dirname(path), specifier);
}

function roomOf(path: string): string {
  const [, first = '', ...rest] = path.split('/');
  if (rest.length > 0) return first;
  return STANDING_ALONE.has(path) ? first.replace(/\.ts$/, '') : 'ground';
}

/** -1: no such room. */
function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

/** All TypeScript files below `folder` (`src`), with their paths from `root`. */
export function readSources(root: string, folder: string): SourceFile[] {
  return globSync(`${folder}/**/*.ts`, { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((path) => ({ path, text: readFileSync(posix.join(root, path), 'utf8') }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const violations = violationsIn(readSources(fileURLToPath(new URL('..', import.meta.url)), 'src'));
  for (const violation of violations) console.error(`${violation.rule}: ${violation.message}`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
