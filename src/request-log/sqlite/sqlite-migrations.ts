/** One step of the table's history. Steps are only ever added; a number that was released never changes. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/**
 * The table has no declared primary key: SQLite's own rowid keeps the order of writing, and clients may repeat
 * an id. Failed requests have their own partial index, which costs a successful one nothing.
 */
export const SQLITE_MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    name: 'requests',
    sql: `
      CREATE TABLE tokenferry_requests (
        id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        hostname TEXT NOT NULL,
        client TEXT,
        ip TEXT NOT NULL,
        user_agent TEXT,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        model TEXT,
        upstream_model TEXT,
        upstream TEXT,
        stream INTEGER NOT NULL,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        attempts TEXT NOT NULL,
        first_token_ms INTEGER,
        elapsed_ms INTEGER NOT NULL,
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        total_tokens INTEGER,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        error_code TEXT,
        error_message TEXT,
        headers TEXT,
        body TEXT,
        response TEXT
      );
      CREATE INDEX tokenferry_requests_created_at ON tokenferry_requests (created_at);
      CREATE INDEX tokenferry_requests_id ON tokenferry_requests (id);
      CREATE INDEX tokenferry_requests_failed ON tokenferry_requests (created_at) WHERE outcome <> 'ok';
    `,
  },
];
