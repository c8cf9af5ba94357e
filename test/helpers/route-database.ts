import Database from 'better-sqlite3';

/** A row as openai-api-route writes it; times in nanoseconds. */
export interface RouteRow {
  readonly hostname?: string;
  readonly upstream_endpoint?: string;
  readonly upstream_sk?: string;
  readonly created_at?: string;
  readonly ip?: string;
  readonly body?: string;
  readonly model?: string;
  readonly response?: string;
  readonly response_time?: number;
  readonly elapsed_time?: number;
  readonly status?: number;
  readonly authorization?: string;
  readonly user_agent?: string;
  readonly headers?: string;
}

const COLUMNS = [
  'hostname',
  'upstream_endpoint',
  'upstream_sk',
  'created_at',
  'ip',
  'body',
  'model',
  'response',
  'response_time',
  'elapsed_time',
  'status',
  'authorization',
  'user_agent',
  'headers',
] as const;

/** As its binary of 2024-07 wrote one (gorm 1.25.5). */
export const ROUTE_ROW: Required<RouteRow> = {
  hostname: 'old-node',
  upstream_endpoint: 'http://127.0.0.1:9801/v1',
  upstream_sk: 'upstream-secret',
  created_at: '2026-10-01 13:14:14.084644349+00:00',
  ip: '10.0.0.9',
  body: '{"model":"m1","messages":[{"role":"user","content":"hi"}]}',
  model: 'm1',
  response: 'hello',
  response_time: 9_079_806,
  elapsed_time: 9_288_394,
  status: 200,
  authorization: 'Bearer woshimima',
  user_agent: 'ua1',
  headers: '{"Accept":["*/*"],"Authorization":["Bearer woshimima"],"User-Agent":["ua1"]}',
};

export function routeValues(row: RouteRow): readonly (string | number)[] {
  return COLUMNS.map((name) => row[name] ?? ROUTE_ROW[name]);
}

export const ROUTE_INSERT_COLUMNS: string = COLUMNS.join(', ');

/** A SQLite database of openai-api-route with these rows. */
export function createRouteDatabase(file: string, rows: readonly RouteRow[]): void {
  const database = new Database(file);
  try {
    database.exec(
      'CREATE TABLE `records` (`id` integer,`hostname` text,`upstream_endpoint` text,`upstream_sk` text,`created_at` datetime,`ip` text,`body` text,`model` text,`response` text,`response_time` integer,`elapsed_time` integer,`status` integer,`authorization` text,`user_agent` text,`headers` text,PRIMARY KEY (`id`))',
    );
    const insert = database.prepare(
      `INSERT INTO records (${ROUTE_INSERT_COLUMNS}) VALUES (${COLUMNS.map(() => '?').join(', ')})`,
    );
    database.transaction(() => {
      for (const row of rows) insert.run(...routeValues(row));
    })();
  } finally {
    database.close();
  }
}
