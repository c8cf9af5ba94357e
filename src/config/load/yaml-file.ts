import {
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
  stringify,
  type YAMLMap,
} from 'yaml';
import { formatPath, type PathStep } from '../config-error.ts';
import { type FileMapping, FileScalar, type FileValue, isMapping } from '../types/scalar.ts';

/** The content of a YAML file before the schema sees it. */
interface YamlFile {
  readonly root: FileValue;
  /** Line of each key and list item by its formatted path. */
  readonly lines: ReadonlyMap<string, number>;
  readonly problems: readonly {
    readonly path: readonly PathStep[];
    readonly line: number;
    readonly message: string;
  }[];
  /** False when there is a syntax error. */
  readonly isWhole: boolean;
  /** Whether the value at `path` was parsed before the first syntax error: the rest is unreliable. */
  isSound(path: readonly PathStep[]): boolean;
}

/** Called for each text or scalar; returns its replacement. */
type ScalarHook = (value: string | FileScalar, path: readonly PathStep[], line: number) => FileValue;

/** Far more than any configuration has: aliases can let a small file grow without bounds. */
const MAX_NODES = 100_000;
const DEEPEST = 64;

/** A value as YAML 1.2, for files that people go on with; long texts stay on one line. */
export function formatYaml(value: object): string {
  return stringify(value, { lineWidth: 0 });
}

/** Parses YAML 1.2. Syntax errors and duplicate keys are all collected; what can be read is read regardless. */
export function parseYaml(text: string, onScalar: ScalarHook): YamlFile {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter,
    prettyErrors: false,
    logLevel: 'silent',
    uniqueKeys: false, // found below, with the path
  });
  const reader = new NodeReader(lineCounter, onScalar);
  // An empty file gives no document at all.
  const [document, second] = Array.isArray(documents) ? documents : [];
  const errors = document === undefined ? [] : [...document.errors, ...document.warnings];
  for (const error of errors) reader.report([], error.pos[0], `YAML: ${YAML_ERRORS[error.code]}`);
  if (second !== undefined) reader.report([], second.range[0], YAML_ERRORS.MULTIPLE_DOCS);
  const root = reader.read(document?.contents, []);
  const { lines, problems } = reader;
  const firstError = Math.min(...errors.map((error) => lineCounter.linePos(error.pos[0]).line));
  const isSound = (path: readonly PathStep[]) =>
    errors.length === 0 || (lines.get(formatPath(path)) ?? Infinity) < firstError;
  return { root, lines, problems, isWhole: errors.length === 0, isSound };
}

/** Turns YAML nodes into file values and remembers where each stood. */
class NodeReader {
  readonly lines = new Map<string, number>();
  readonly problems: { path: readonly PathStep[]; line: number; message: string }[] = [];
  readonly #lineCounter: LineCounter;
  readonly #onScalar: ScalarHook;
  /** Anchored nodes so far; an alias may only refer to what came before it. */
  readonly #anchors = new Map<string, Node>();
  /** Nodes visited, aliases counted each time. */
  #visited = 0;

  constructor(lineCounter: LineCounter, onScalar: ScalarHook) {
    this.#lineCounter = lineCounter;
    this.#onScalar = onScalar;
  }

  report(path: readonly PathStep[], offset: number, message: string): void {
    this.problems.push({ path, line: this.#lineCounter.linePos(offset).line, message });
  }

  read(node: unknown, path: readonly PathStep[]): FileValue {
    if (!isNode(node)) return undefined;
    const offset = node.range?.[0] ?? 0;
    this.#visited++;
    if (path.length > DEEPEST || this.#visited > MAX_NODES) {
      // Reported once: every further node would have the same problem.
      if (this.#visited < Number.MAX_SAFE_INTEGER)
        this.report(path, offset, 'too large or too deeply nested');
      this.#visited = Number.MAX_SAFE_INTEGER;
      return undefined;
    }
    this.#remember(path, offset);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) this.report(path, offset, YAML_ERRORS.BAD_ALIAS);
      return this.read(target, path);
    }
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#readMapping(node, path);
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index]));
    return isScalar(node) ? this.#readScalar(node, path, offset) : undefined;
  }

  /** The first place counts: the line of a key, not of the block that follows it. */
  #remember(path: readonly PathStep[], offset: number): void {
    const key = formatPath(path);
    if (!this.lines.has(key)) this.lines.set(key, this.#lineCounter.linePos(offset).line);
  }

  #readMapping(node: YAMLMap, path: readonly PathStep[]): FileMapping {
    const own = new Map<string, FileValue>();
    let merged: FileMapping = {};
    for (const pair of node.items) {
      const keyNode = isScalar(pair.key) ? pair.key : null;
      const offset = keyNode?.range?.[0] ?? node.range?.[0] ?? 0;
      if (keyNode === null) {
        this.report(path, offset, 'keys must be text');
        continue;
      }
      const key = sourceOf(keyNode);
      if (key === '<<' && keyNode.type === 'PLAIN') {
        merged = { ...this.#readMerge(pair.value, path, offset), ...merged };
        continue;
      }
      const here = [...path, key];
      if (own.has(key)) {
        this.report(here, offset, 'duplicate key');
        continue;
      }
      this.#remember(here, offset);
      own.set(key, this.read(pair.value, here));
    }
    // fromEntries defines `__proto__` as a plain key; an assignment would not.
    return Object.fromEntries([...Object.entries(merged), ...own]);
  }

  /** `<<: *base`, or a list of aliases of which the first that has a key wins. */
  #readMerge(value: unknown, path: readonly PathStep[], offset: number): FileMapping {
    const read = this.read(value, path);
    const parts: readonly FileValue[] = Array.isArray(read) ? read : [read];
    if (!parts.every(isMapping)) {
      this.report(path, offset, '<< can only merge mappings');
      return {};
    }
    return Object.fromEntries(parts.toReversed().flatMap((part) => Object.entries(part)));
  }

  #readScalar(node: Scalar, path: readonly PathStep[], offset: number): FileValue {
    const { value } = node;
    const line = this.#lineCounter.linePos(offset).line;
    if (value === null || value === undefined) return undefined;
    if (typeof value === 'number' || typeof value === 'boolean')
      return this.#onScalar(new FileScalar(sourceOf(node), value, 'file'), path, line);
    return this.#onScalar(typeof value === 'string' ? value : sourceOf(node), path, line);
  }
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value);
}

/** A scalar as written; the value of one in quotes, whose source still has its escapes. */
function sourceOf(node: Scalar): string {
  if (typeof node.value === 'string') return node.value;
  return node.source ?? String(node.value);
}

/**
 * What each complaint of the YAML parser means, in our words: the parser's own text quotes the file, where a
 * password that begins with `*`, `!` or `%` looks like syntax.
 */
const YAML_ERRORS = {
  ALIAS_PROPS: 'an alias (*name) can have no anchor or tag',
  BAD_ALIAS: 'an alias (*name) has no anchor (&name) before it; put quotes around text that begins with *',
  BAD_DIRECTIVE: 'a line that begins with % is no YAML directive',
  BAD_DQ_ESCAPE: 'an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'the indentation does not match the lines above',
  BAD_PROP_ORDER: 'anchor or tag in the wrong place',
  BAD_SCALAR_START: 'text that begins with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a key is not followed by its value on its own level; check the indentation and colons',
  BLOCK_IN_FLOW: 'an indented list or mapping cannot stand inside { } or [ ]',
  DUPLICATE_KEY: 'duplicate key',
  IMPOSSIBLE: 'not valid YAML',
  KEY_OVER_1024_CHARS: 'a key is too long; is a colon or quote missing?',
  MISSING_CHAR: 'a closing quote, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key may not go over several lines; is a colon missing?',
  MULTIPLE_ANCHORS: 'a value can have one anchor only',
  MULTIPLE_DOCS: 'only one document is allowed in the file',
  MULTIPLE_TAGS: 'a value can have one tag only',
  NON_STRING_KEY: 'keys must be text',
  RESOURCE_EXHAUSTION: 'too deeply nested',
  TAB_AS_INDENT: 'tabs cannot indent; use blanks',
  TAG_RESOLVE_FAILED: 'an unknown tag; put quotes around text that begins with !',
  UNEXPECTED_TOKEN: 'unexpected text; check quotes, brackets and indentation',
  BAD_COLLECTION_TYPE: 'a tag that does not match its value',
} as const satisfies Record<ErrorCode, string>;
