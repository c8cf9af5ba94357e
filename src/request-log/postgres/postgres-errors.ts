import { StoreError, type StoreFault } from '../request-store.ts';

/** SQLSTATE classes and codes (PostgreSQL, appendix A) of the database rather than of a row. */
const FAULTS: readonly { readonly state: RegExp; readonly fault: StoreFault; readonly text: string }[] = [
  { state: /^28/, fault: 'unusable', text: 'refuses the user or password of dbaddr' },
  { state: /^3D000$/, fault: 'unusable', text: 'does not exist: create it or name another one in dbaddr' },
  { state: /^42501$/, fault: 'unusable', text: 'does not permit this user to create and write its table' },
  { state: /^42P01$/, fault: 'unavailable', text: 'has lost its table, which is made again' },
  { state: /^25006$/, fault: 'unavailable', text: 'is read-only, as a standby is' },
  { state: /^53/, fault: 'unavailable', text: 'is out of connections, memory or disk' },
  { state: /^57/, fault: 'unavailable', text: 'is starting or shutting down' },
  { state: /^(?:08|58|XX|40)/, fault: 'unavailable', text: 'failed' },
];

/** The database's fault behind `error`; null when it is the row that it refuses (a value too big, a wrong byte). */
export function postgresFaultOf(error: unknown, place: string): StoreError | null {
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  if (code !== null && /^(?:22|23|54)/.test(code) && code.length === 5) return null;
  const known = FAULTS.find(({ state }) => code !== null && state.test(code));
  const reason = error instanceof Error ? error.message : String(error);
  const text = known?.text ?? `cannot be used: ${reason}`;
  const told = code === null ? '' : ` (${code})`;
  return new StoreError(
    known?.fault ?? 'unavailable',
    code ?? 'UNKNOWN',
    `The database ${place} ${text}${told}.`,
    error,
  );
}

/** SQLSTATE, or the code of a socket's error. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
