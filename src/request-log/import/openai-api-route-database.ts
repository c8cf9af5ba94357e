import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import { parsePostgresAddress } from '../postgres/postgres-address.ts';
import { StoreError } from '../request-store.ts';
import { openFaultOf } from '../sqlite/sqlite-errors.ts';

/** A row of openai-api-route's table `records`. `upstreamKey` and `authorization` are credentials: only to be compared. */
export interface RouteRecord {
  readonly id: number;
  readonly createdAtMs: number;
  readonly hostname: string;
  readonly upstreamEndpoint: string;
  readonly upstreamKey: string;
  readonly ip: string;
  /** '' when the request had no JSON. */
  readonly body: string;
  /** The path when the request named no model. */
  readonly model: string;
  readonly response: string;
  /** To the headers of the response. */
  readonly responseMs: number;
  readonly elapsedMs: number;
  readonly status: number;
  readonly authorization: string;
  readonly userAgent: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Rows of one query: with bodies they may be large. */
const ROWS_PER_QUERY = 200;
const NS_PER_MS = 1_000_000;
const NO_TABLE_CODES: ReadonlySet<string | undefined> = new Set(['SQLITE_ERROR', '42P01']);

/** One row as either database returns it. */
type Row = Readonly<Record<string, unknown>>;

interface RouteDatabase {
  /** Rows whose id is larger, the smallest first. */
  rowsAfter(id: number): Promise<readonly Row[]>;
  close(): Promise<void>;
}

const QUERY = 'SELECT * FROM records WHERE id >';

/**
 * The records of a database of openai-api-route, oldest first, in batches: a SQLite file, a postgres:// URL or a libpq
 * text. Changes nothing there. Throws `StoreError` when it cannot be read.
 */
export async function* readRouteRecords(address: string): AsyncGenerator<readonly RouteRecord[], void> {
  const isPostgres = /^postgres(?:ql)?:\/\//i.test(address) || /\b(?:host|dbname)\s*=/.test(address);
  const database = isPostgres ? await openPostgres(address) : await openSqlite(address);
  try {
    for (let last = 0; ; ) {
      const rows = await database.rowsAfter(last);
      if (rows.length === 0) return;
      const records = rows.map(recordOf);
      last = records.at(-1)?.id ?? Number.POSITIVE_INFINITY;
      yield records;
    }
  } finally {
    await database.close();
  }
}

async function openSqlite(path: string): Promise<RouteDatabase> {
  const { default: Database } = await import('better-sqlite3');
  try {
    const connection = new Database(path, { readonly: true, fileMustExist: true });
    const statement = connection.prepare<[number], Row>(`${QUERY} ? ORDER BY id LIMIT ${ROWS_PER_QUERY}`);
    return {
      rowsAfter: async (id) => statement.all(id),
      close: async () => void connection.close(),
    };
  } catch (error) {
    throw noTable(error, path) ?? openFaultOf(error, path);
  }
}

async function openPostgres(address: string): Promise<RouteDatabase> {
  const { default: pg } = await import('pg');
  const parsed = parsePostgresAddress(address);
  if (parsed === null)
    throw new StoreError('unusable', 'INVALID_ADDRESS', 'The address of the database is invalid.');
  const client = new pg.Client(parsed.config);
  const failed = (error: unknown): StoreError =>
    noTable(error, parsed.place) ??
    new StoreError(
      'unavailable',
      (error as { code?: string }).code ?? 'UNKNOWN',
      `The database ${parsed.place} cannot be read: ${(error as Error).message}.`,
      error,
    );
  try {
    await client.connect();
  } catch (error) {
    throw failed(error);
  }
  return {
    rowsAfter: async (id) => {
      try {
        return (await client.query<Row>(`${QUERY} $1 ORDER BY id LIMIT ${ROWS_PER_QUERY}`, [id])).rows;
      } catch (error) {
        throw failed(error);
      }
    },
    close: () => client.end(),
  };
}

function noTable(error: unknown, place: string): StoreError | null {
  const { code, message } = error as { code?: string; message?: string };
  if (!NO_TABLE_CODES.has(code) || !/records/.test(message ?? '')) return null;
  const text = `The database ${place} has no table "records": openai-api-route did not write it.`;
  return new StoreError('unusable', 'NO_RECORDS', text, error);
}

function recordOf(row: Row): RouteRecord {
  return {
    id: numberOf(row.id),
    createdAtMs: timeOf(row.created_at),
    hostname: textOf(row.hostname),
    upstreamEndpoint: textOf(row.upstream_endpoint),
    upstreamKey: textOf(row.upstream_sk),
    ip: textOf(row.ip),
    body: textOf(row.body),
    model: textOf(row.model),
    response: textOf(row.response),
    responseMs: numberOf(row.response_time) / NS_PER_MS,
    elapsedMs: numberOf(row.elapsed_time) / NS_PER_MS,
    status: numberOf(row.status),
    authorization: textOf(row.authorization),
    userAgent: textOf(row.user_agent),
    headers: headersOf(textOf(row.headers)),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** PostgreSQL's bigint comes as text. */
function numberOf(value: unknown): number {
  const number = Number(value ?? 0);
  return Number.isFinite(number) ? number : 0;
}

/** Go's format, `2006-01-02 15:04:05.999999999-07:00`, to milliseconds. */
function timeOf(value: unknown): number {
  if (value instanceof Date) return value.getTime();
  const text = textOf(value)
    .replace(' ', 'T')
    .replace(/(\.\d{3})\d+/, '$1');
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? 0 : ms;
}

/** Go's `http.Header` as JSON: a list of values for each name. */
function headersOf(json: string): Record<string, string> {
  const parsed = parseJson(json);
  if (!isJsonObject(parsed)) return {};
  const entries = Object.entries(parsed).map(([name, values]) => [
    name.toLowerCase(),
    Array.isArray(values) ? values.join(', ') : String(values),
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}
