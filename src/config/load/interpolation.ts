// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this file is about them.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import type { PathStep } from '../config-error.ts';
import { FileScalar } from '../types/scalar.ts';

/** The sources of `${...}`. */
interface InterpolationSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative names in `${file:...}` start here: the directory of the configuration file. */
  readonly directory: string;
  /** False: the value at this path is not used, so it keeps its `${...}` where that cannot be replaced. */
  isNeeded(path: readonly PathStep[]): boolean;
}

/** Keys below which every interpolated value counts as a secret. */
const SECRET_ROOTS: ReadonlySet<PathStep | undefined> = new Set([
  'tokens',
  'upstreams',
  'authorization',
  'clients',
  'notify',
  'dbaddr',
  'shared',
  'shared_key',
  'admin',
]);

/**
 * Interpolates the environment and files into the scalars of one configuration file; collects what was missing, which
 * files were read and which values are secrets.
 */
export class Interpolator {
  readonly problems: {
    readonly path: readonly PathStep[];
    readonly line: number;
    readonly message: string;
  }[] = [];
  /** Every `${...}` that was replaced, in the order of the file. */
  readonly references: InterpolatedReference[] = [];
  /** Absolute names, also of files that could not be read: they may appear. */
  readonly files = new Set<string>();
  readonly secrets = new Set<string>();
  readonly #sources: InterpolationSources;

  constructor(sources: InterpolationSources) {
    this.#sources = sources;
  }

  /** The replacement of one scalar; undefined, as if it were absent, when something is missing. */
  fill(value: string | FileScalar, path: readonly PathStep[], line: number): string | FileScalar | undefined {
    const text = typeof value === 'string' ? value : value.text;
    if (!text.includes('${')) return value;
    const {
      text: filled,
      pieces,
      names,
      problems,
    } = interpolate(text, this.#sources, (file) => this.files.add(file));
    if (problems.length > 0) {
      if (!this.#sources.isNeeded(path)) return text;
      for (const message of problems) this.problems.push({ path, line, message });
      return undefined;
    }
    if (pieces.length === 0) return filled;
    for (const name of names) this.references.push({ path, ...name });
    if (SECRET_ROOTS.has(path[0])) for (const secret of [filled, ...pieces]) this.secrets.add(secret);
    return new FileScalar(filled, filled, /^\$\{[^}]*\}$/.test(text) ? 'reference' : 'mixed');
  }
}

/** A `${...}`: the variable or the file that it names. */
interface ReferenceName {
  readonly kind: 'variable' | 'file';
  readonly name: string;
}

interface InterpolatedReference extends ReferenceName {
  readonly path: readonly PathStep[];
}

interface Interpolated {
  readonly text: string;
  readonly names: readonly ReferenceName[];
  /** What the environment and files put in; empty when `text` is only the file's own. */
  readonly pieces: readonly string[];
  /** What could not be replaced, for people. */
  readonly problems: readonly string[];
}

const REFERENCE = /\$\$\{|\$\{([^}]*)\}/g;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Replaces `${NAME}`, `${NAME:-default}` and `${file:/path}` in one scalar, once: what was put in is not looked
 * at again. `$${` is a literal `${`.
 */
function interpolate(
  text: string,
  { env, directory }: InterpolationSources,
  onFile: (file: string) => void,
): Interpolated {
  const pieces: string[] = [];
  const names: ReferenceName[] = [];
  const problems: string[] = [];
  const replaced = text.replace(REFERENCE, (whole, inner: string | undefined) => {
    if (inner === undefined) return '${';
    const found = inner.startsWith('file:')
      ? fromFile(resolve(directory, inner.slice('file:'.length)), onFile)
      : fromEnvironment(inner, env);
    if ('problem' in found) {
      problems.push(found.problem);
      return whole;
    }
    pieces.push(found.value);
    names.push(nameOf(inner));
    return found.value;
  });
  return { text: replaced, names, pieces, problems };
}

function nameOf(inner: string): ReferenceName {
  if (inner.startsWith('file:')) return { kind: 'file', name: inner.slice('file:'.length) };
  return { kind: 'variable', name: VARIABLE.exec(inner)?.[1] ?? inner };
}

type Found = { readonly value: string } | { readonly problem: string };

/** As in a shell, `:-` also replaces a variable that is set and empty. */
function fromEnvironment(inner: string, env: InterpolationSources['env']): Found {
  const match = VARIABLE.exec(inner);
  const name = match?.[1];
  if (match === null || name === undefined) {
    return {
      problem: 'not a variable: write ${NAME}, ${NAME:-default} or ${file:/path}; $${ is a literal ${',
    };
  }
  const value = env[name];
  const fallback = match[2];
  if (fallback !== undefined) return { value: value === undefined || value === '' ? fallback : value };
  return value === undefined ? { problem: `environment variable ${name} is not set` } : { value };
}

/** A longer file is a mistake and not a secret. */
const MAX_FILE_BYTES = 1024 * 1024;

function fromFile(file: string, onFile: (file: string) => void): Found {
  onFile(file);
  try {
    const bytes = readFileSync(file);
    if (bytes.length > MAX_FILE_BYTES) return { problem: `${file} is longer than 1 MiB` };
    return { value: bytes.toString('utf8').replace(/\r?\n$/, '') };
  } catch (error) {
    return { problem: `cannot read ${file}: ${describeFileError(error)}` };
  }
}

/** The reason without the path and the call, which Node puts in its message. */
export function describeFileError(error: unknown): string {
  const code = errorCodeOf(error) ?? '';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'is a directory',
    ENOTDIR: 'no such directory',
  };
  return known[code] ?? (code === '' ? 'unknown reason' : code);
}
