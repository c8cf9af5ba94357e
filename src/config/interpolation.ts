import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Where the parts of `${...}` come from. */
export interface InterpolationSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative names in `${file:...}` start here: the directory of the configuration file. */
  readonly directory: string;
  /** Told the absolute name of every file that was asked for, so that it can be watched. */
  readonly onFile: (file: string) => void;
}

export interface Interpolated {
  readonly text: string;
  /** What the environment and files put in; empty when `text` is only the file's own. */
  readonly pieces: readonly string[];
  /** What could not be replaced, for people. */
  readonly problems: readonly string[];
}

const REFERENCE = /\$\$\{|\$\{([^}]*)\}/g;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Replaces `${NAME}`, `${NAME:-default}` and `${file:/path}` in one scalar, once: what was put in is not looked
 * at again. `$${` stands for a literal `${`.
 */
export function interpolate(text: string, sources: InterpolationSources): Interpolated {
  const pieces: string[] = [];
  const problems: string[] = [];
  const replaced = text.replace(REFERENCE, (whole, inner: string | undefined) => {
    if (inner === undefined) return '${';
    const found = inner.startsWith('file:')
      ? fromFile(inner.slice('file:'.length), sources)
      : fromEnvironment(inner, sources.env);
    if ('problem' in found) {
      problems.push(found.problem);
      return whole;
    }
    pieces.push(found.value);
    return found.value;
  });
  return { text: replaced, pieces, problems };
}

type Found = { readonly value: string } | { readonly problem: string };

/** As in a shell, `:-` also stands in for a variable that is set and empty. */
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

/** Longer files are no secrets but mistakes. */
const LONGEST_FILE_BYTES = 1024 * 1024;

function fromFile(name: string, { directory, onFile }: InterpolationSources): Found {
  const file = resolve(directory, name);
  onFile(file);
  try {
    const bytes = readFileSync(file);
    if (bytes.length > LONGEST_FILE_BYTES) return { problem: `${name} is longer than 1 MiB` };
    return { value: bytes.toString('utf8').replace(/\r?\n$/, '') };
  } catch (error) {
    return { problem: `cannot read ${name}: ${describeFileError(error)}` };
  }
}

/** The reason without the path and the call, which Node puts in its message. */
export function describeFileError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'is a directory',
    ENOTDIR: 'no such directory',
  };
  return known[code] ?? (code === '' ? 'unknown reason' : code);
}
