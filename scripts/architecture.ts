/**
 * The rules of the source tree, checked over the imports of src: the order of the layers, which layer owns which package,
 * no cycles, no unused exports, no crowded folders, names that are nouns. `violationsIn` is pure; run as a script it checks
 * the tree.
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
  readonly rule: 'layer' | 'step' | 'cycle' | 'owner' | 'name' | 'missing' | 'folder' | 'export';
  readonly message: string;
}

/**
 * The layers of src from the top down, as docs/architecture.md draws them: imports point down this list only. A layer is
 * a folder of src, or a single file.
 */
const LAYERS: readonly string[] = [
  'main',
  'cli',
  'demo',
  'gateway',
  'http',
  'admin',
  'setup',
  'routing',
  'upstream',
  'tokens',
  'embeddings-cache',
  'openai',
  'config',
  'request-log',
  'observability',
  'endpoints',
  'lib',
];

/**
 * The order within a layer: the folders of a folder from the bottom up, each of which imports only those below it. `.` are
 * the files of the folder itself.
 */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  // Bytes to events, events to their contents, texts and calls in pieces, the response as a whole, how it is written.
  'src/openai/chat': ['framing', 'shapes', 'assembly', 'writing', '.'],
};

/** More files than this on one level of a folder cannot be taken in at a glance. */
const MAX_FILES_PER_FOLDER = 20;

/** Package → the layers, or single files, that may import it. A package that is not listed may not be imported. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  openai: ['src/cli/verify.ts'],
  undici: ['upstream', 'tokens', 'observability', 'lib'],
  'eventsource-parser': ['lib'],
  'gpt-tokenizer': ['openai'],
  'better-sqlite3': ['request-log', 'embeddings-cache'],
  pg: ['request-log', 'tokens', 'observability', 'lib'],
  kysely: ['request-log'],
  'prom-client': ['observability'],
  winston: ['observability'],
  'winston-transport': ['observability'],
  yaml: ['config'],
  zod: ['config'],
  nodemailer: ['observability'],
  '@opentelemetry/api': ['observability'],
  '@opentelemetry/core': ['observability'],
  '@opentelemetry/exporter-trace-otlp-http': ['observability'],
  '@opentelemetry/resources': ['observability'],
  '@opentelemetry/sdk-trace': ['observability'],
  'lru-cache': ['embeddings-cache'],
  'node-cache': ['http', 'routing', 'upstream', 'observability'],
  express: ['http', 'admin'],
  jose: ['tokens', 'http'],
  oauth4webapi: ['tokens'],
  '@smithy/signature-v4': ['upstream'],
  'rate-limiter-flexible': ['http', 'admin'],
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
/** How the starter of a worker names its file. */
const URL_IMPORT = /\bnew URL\(\s*['"](\.{1,2}\/[^'"]+\.[cm]?[jt]s)['"],\s*import\.meta\.url/g;

/** The specifiers that a file imports, types and workers included, in no particular order. */
export function importsOf(text: string): string[] {
  const found = [STATIC_IMPORT, DYNAMIC_IMPORT, URL_IMPORT].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => match[1] ?? ''),
  );
  return [...new Set(found)];
}

/**
 * Every violation in `files` (all of src); empty when there is none. `users` are the files outside src whose imports count
 * as uses of an export: tests, scripts, benchmarks. Without them unused exports are not looked for.
 */
export function violationsIn(
  files: readonly SourceFile[],
  users: readonly SourceFile[] | null = null,
): Violation[] {
  const paths = new Set(files.map((file) => file.path));
  const violations = files.flatMap((file) => [...nameViolations(file), ...importViolations(file, paths)]);
  const unused = users === null ? [] : exportViolations(files, users);
  return [...violations, ...folderViolations(files), ...cycleViolations(files), ...unused];
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
  if (layerOf(path) < 0) {
    found.push({ rule: 'layer', message: `${path}: "${layerNameOf(path)}" is not in the list of layers` });
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
    return [...layerViolations(file.path, target), ...stepViolations(file.path, target)];
  });
}

function packageViolations(path: string, specifier: string): Violation[] {
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return [];
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const owners = OWNERS[name];
  if (owners === undefined)
    return [{ rule: 'owner', message: `${path}: no layer owns the package "${name}"` }];
  if (owners.includes(path) || owners.includes(layerNameOf(path))) return [];
  return [{ rule: 'owner', message: `${path}: the package "${name}" belongs to ${owners.join(' and ')}` }];
}

function layerViolations(path: string, target: string): Violation[] {
  if (layerOf(path) <= layerOf(target)) return [];
  return [
    {
      rule: 'layer',
      message: `${path} imports ${target}: imports point down the list of layers only`,
    },
  ];
}

function stepViolations(path: string, target: string): Violation[] {
  return Object.entries(STEPS).flatMap(([folder, steps]): Violation[] => {
    if (!path.startsWith(`${folder}/`) || !target.startsWith(`${folder}/`)) return [];
    const [from, to] = [path, target].map((file) => steps.indexOf(stepOf(posix.relative(folder, file))));
    if (from === undefined || to === undefined || (from >= to && from >= 0 && to >= 0)) return [];
    return [
      { rule: 'step', message: `${path} imports ${target}: the order in ${folder} is ${steps.join(' < ')}` },
    ];
  });
}

function folderViolations(files: readonly SourceFile[]): Violation[] {
  const folders = Map.groupBy(files, ({ path }) => posix.dirname(path));
  return [...folders]
    .filter(([, inside]) => inside.length > MAX_FILES_PER_FOLDER)
    .map(([folder, { length }]) => ({
      rule: 'folder',
      message: `${folder} has ${length} files on one level; at most ${MAX_FILES_PER_FOLDER} are allowed`,
    }));
}

const EXPORT =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|class|function\*?|interface|type|enum) ([\w$]+)/gm;

/** Exports of src that no other file imports. */
function exportViolations(files: readonly SourceFile[], users: readonly SourceFile[]): Violation[] {
  const used = new Set([...files, ...users].flatMap(namesUsedBy));
  return files.flatMap(({ path, text }) =>
    [...text.matchAll(EXPORT)]
      .map((match) => match[1] ?? '')
      .filter((name) => !used.has(`${path}:${name}`) && !used.has(`${path}:*`))
      .map((name): Violation => ({ rule: 'export', message: `${path}: no other file imports ${name}` })),
  );
}

const NAMED_IMPORT = /^(?:import|export)\s+(?:type\s+)?([\w$*{}\s,]+?)\sfrom\s*['"](\.[^'"]+)['"]/gm;

/** `path:name` of everything that a file takes from others; `path:*` where it takes the whole module. */
function namesUsedBy({ path, text }: SourceFile): string[] {
  const named = [...text.matchAll(NAMED_IMPORT)].flatMap(([, clause = '', specifier = '']) => {
    const target = targetOf(path, specifier);
    const braces = /\{([^}]*)\}/.exec(clause)?.[1];
    if (braces === undefined) return [`${target}:*`];
    return braces
      .split(',')
      .map((item) => /^\s*(?:type\s+)?([\w$]+)/.exec(item)?.[1])
      .filter((name) => name !== undefined)
      .map((name) => `${target}:${name}`);
  });
  const whole = [...text.matchAll(DYNAMIC_IMPORT)].map((match) => `${targetOf(path, match[1] ?? '')}:*`);
  return [...named, ...whole];
}

/** `framing/body-events.ts` → `framing`, `chat-stream.ts` → `.`. */
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

function layerNameOf(path: string): string {
  const [, first = ''] = path.split('/');
  return first.replace(/\.ts$/, '');
}

/** -1: not in the list. */
function layerOf(path: string): number {
  return LAYERS.indexOf(layerNameOf(path));
}

/** All TypeScript files below `folder` (`src`), with their paths from `root`. */
export function readSources(root: string, folder: string): SourceFile[] {
  return globSync(`${folder}/**/*.ts`, { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((path) => ({ path, text: readFileSync(posix.join(root, path), 'utf8') }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const users = ['test', 'scripts', 'bench'].flatMap((folder) => readSources(root, folder));
  const violations = violationsIn(readSources(root, 'src'), users);
  for (const violation of violations) console.error(`${violation.rule}: ${violation.message}`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
