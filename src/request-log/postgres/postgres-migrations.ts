import type { Migration } from '../sqlite/sqlite-migrations.ts';

/**
 * The table of `sqlite-migrations.ts`, in one partition a day (UTC) by `created_at`, which is in milliseconds since
 * 1970 here as well. Ids are compared by their bytes, so that pages have the same order in every locale. A
 * partitioned table can have no key without `created_at`; none is declared, as clients may repeat an id.
 */
export const POSTGRES_MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    name: 'requests',
    sql: `
      CREATE TABLE tokenferry_requests (
        id TEXT COLLATE "C" NOT NULL,
        created_at BIGINT NOT NULL,
        hostname TEXT NOT NULL,
        client TEXT,
        ip TEXT NOT NULL,
        user_agent TEXT,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        model TEXT,
        upstream_model TEXT,
        upstream TEXT,
        stream SMALLINT NOT NULL,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        attempts TEXT NOT NULL,
        first_token_ms BIGINT,
        elapsed_ms BIGINT NOT NULL,
        prompt_tokens BIGINT,
        completion_tokens BIGINT,
        total_tokens BIGINT,
        request_bytes BIGINT NOT NULL,
        response_bytes BIGINT NOT NULL,
        error_code TEXT,
        error_message TEXT,
        headers TEXT,
        body TEXT,
        response TEXT
      ) PARTITION BY RANGE (created_at);
      CREATE INDEX tokenferry_requests_created_at ON tokenferry_requests (created_at);
      CREATE INDEX tokenferry_requests_id ON tokenferry_requests (id);
      CREATE INDEX tokenferry_requests_failed ON tokenferry_requests (created_at) WHERE outcome <> 'ok';
    `,
  },
];
