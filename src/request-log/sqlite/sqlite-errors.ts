import { SqliteError } from 'better-sqlite3';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { StoreError, type StoreFault } from '../request-store.ts';

/** SQLite's codes for faults of the database rather than of a row, with what a person can do about each. */
const FAULTS: Readonly<Record<string, { fault: StoreFault; text: string }>> = {
  SQLITE_BUSY: { fault: 'unavailable', text: 'is locked by another process' },
  SQLITE_LOCKED: { fault: 'unavailable', text: 'is locked by another connection' },
  SQLITE_FULL: { fault: 'unavailable', text: 'cannot grow: the disk is full' },
  SQLITE_IOERR: { fault: 'unavailable', text: 'cannot be read or written: the disk reports an error' },
  SQLITE_READONLY: {
    fault: 'unavailable',
    text: 'is read-only: give this user write access to it and its directory',
  },
  SQLITE_CANTOPEN: {
    fault: 'unavailable',
    text: 'cannot be opened: check the directory and its permissions',
  },
  SQLITE_PERM: { fault: 'unavailable', text: 'cannot be opened: no permission' },
  SQLITE_NOMEM: { fault: 'unavailable', text: 'cannot be used: out of memory' },
  SQLITE_PROTOCOL: { fault: 'unavailable', text: 'is locked by another process' },
  SQLITE_ERROR: { fault: 'unavailable', text: 'was changed by another program while it was open' },
  SQLITE_SCHEMA: { fault: 'unavailable', text: 'was changed by another program while it was open' },
  SQLITE_CORRUPT: { fault: 'unusable', text: 'is corrupt: move the file away, and a new one is created' },
  SQLITE_NOTADB: {
    fault: 'unusable',
    text: 'is no SQLite database: move the file away or name another one in dbaddr',
  },
  SQLITE_FORMAT: {
    fault: 'unusable',
    text: 'is no SQLite database: move the file away or name another one in dbaddr',
  },
};

/** The fault of the database behind `error`; null when SQLite rejects the row (a value too large, a wrong type). */
export function storeFaultOf(error: unknown, path: string): StoreError | null {
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  if (code === null) return null;
  const known = FAULTS[primaryCode(code)];
  if (known === undefined) return null;
  return new StoreError(known.fault, code, `The database ${path} ${known.text} (${code}).`, error);
}

/** As `storeFaultOf` for an operation without rows: an unknown error counts as temporary. */
export function openFaultOf(error: unknown, path: string): StoreError {
  const fault = storeFaultOf(error, path);
  if (fault !== null) return fault;
  const text = error instanceof Error ? error.message : String(error);
  return new StoreError(
    'unavailable',
    codeOf(error) ?? 'UNKNOWN',
    `The database ${path} cannot be used: ${text}.`,
    error,
  );
}

/** The fault of a reader that needs a column which the gateway of an older version did not make; null for other errors. */
export function olderVersionOf(error: unknown, path: string): StoreError | null {
  if (!(error instanceof SqliteError) || !error.message.startsWith('no such column')) return null;
  const text = `The database ${path} was last written by an older tokenferry: start the gateway of this version once, which adds what is missing.`;
  return new StoreError('unusable', 'OLDER_VERSION', text, error);
}

/** `SQLITE_BUSY_SNAPSHOT` is a `SQLITE_BUSY`: extended codes add words to the primary one. */
function primaryCode(code: string): string {
  return code.split('_', 2).join('_');
}

function codeOf(error: unknown): string | null {
  if (error instanceof SqliteError) return error.code;
  // From mkdir, open and stat, which precede SQLite.
  return SYSTEM_CODES[errorCodeOf(error) ?? ''] ?? null;
}

const SYSTEM_CODES: Readonly<Record<string, string>> = {
  ENOSPC: 'SQLITE_FULL',
  EDQUOT: 'SQLITE_FULL',
  EROFS: 'SQLITE_READONLY',
  EACCES: 'SQLITE_READONLY',
  EPERM: 'SQLITE_PERM',
  ENOENT: 'SQLITE_CANTOPEN',
  ENOTDIR: 'SQLITE_CANTOPEN',
  EISDIR: 'SQLITE_CANTOPEN',
  EEXIST: 'SQLITE_CANTOPEN',
  EMFILE: 'SQLITE_CANTOPEN',
  ENFILE: 'SQLITE_CANTOPEN',
  EIO: 'SQLITE_IOERR',
};
