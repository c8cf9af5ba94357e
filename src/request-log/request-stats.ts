import { COLUMNS, type ColumnValue } from './request-row.ts';

export const STATS_TABLE = 'tokenferry_stats';
/** The same sums by one name alone: thousands of rows where the other table has hundreds of thousands. */
export const NAME_STATS_TABLE = 'tokenferry_name_stats';

/** Seconds of the two steps that are kept: minutes for two days, hours for more than a year. */
export const MINUTE = 60;
export const HOUR = 3_600;
export const MINUTES_KEPT_MS = 2 * 86_400_000;
export const HOURS_KEPT_MS = 400 * 86_400_000;
/** The span that one cleaning deletes of each step: what became too old since the last one, of a busy gateway too. */
const CLEANED_MS: Readonly<Record<number, number>> = { [MINUTE]: 3_600_000, [HOUR]: 86_400_000 };

/** The columns of `tokenferry_stats`; the first five are its key. */
export const STATS_COLUMNS = [
  'step',
  'at',
  'client',
  'model',
  'upstream',
  'requests',
  'errors',
  'prompt_tokens',
  'completion_tokens',
  'first_tokens',
  'first_token_ms',
  'elapsed_ms',
] as const;

const STATS_KEY = STATS_COLUMNS.slice(0, 5);
const STATS_SUMS = STATS_COLUMNS.slice(5);

/** Whose sums a row of `tokenferry_name_stats` has; `all` has an empty name. */
const NAME_KINDS = ['all', 'client', 'model', 'upstream'] as const;
export type NameKind = (typeof NAME_KINDS)[number];

/** The columns of `tokenferry_name_stats`; the first four are its key. */
export const NAME_STATS_COLUMNS = ['kind', 'step', 'at', 'name', ...STATS_SUMS] as const;
const NAME_STATS_KEY = NAME_STATS_COLUMNS.slice(0, 4);

/** Clients name models as they like: beyond so many in one process they are counted as this one. */
export const OTHER_MODELS = '*';
const MAX_MODELS = 500;

/** One row of `tokenferry_stats`, in the order of `STATS_COLUMNS`. */
type StatsRow = [
  step: number,
  at: number,
  client: string,
  model: string,
  upstream: string,
  requests: number,
  errors: number,
  promptTokens: number,
  completionTokens: number,
  firstTokens: number,
  firstTokenMs: number,
  elapsedMs: number,
];

/** One row of `tokenferry_name_stats`, in the order of `NAME_STATS_COLUMNS`. */
type NameStatsRow = [
  kind: NameKind,
  step: number,
  at: number,
  name: string,
  requests: number,
  errors: number,
  promptTokens: number,
  completionTokens: number,
  firstTokens: number,
  firstTokenMs: number,
  elapsedMs: number,
];

/** What is to be added to the sums for a batch of requests, each ordered by its keys. */
interface AddedStats {
  readonly stats: readonly StatsRow[];
  readonly nameStats: readonly NameStatsRow[];
}

/** Positions in a row of `tokenferry_requests`. */
const CREATED_AT = COLUMNS.indexOf('created_at');
const CLIENT = COLUMNS.indexOf('client');
const PATH = COLUMNS.indexOf('path');
const MODEL = COLUMNS.indexOf('model');
const UPSTREAM = COLUMNS.indexOf('upstream');
const OUTCOME = COLUMNS.indexOf('outcome');
const FIRST_TOKEN_MS = COLUMNS.indexOf('first_token_ms');
const ELAPSED_MS = COLUMNS.indexOf('elapsed_ms');
const PROMPT_TOKENS = COLUMNS.indexOf('prompt_tokens');
const COMPLETION_TOKENS = COLUMNS.indexOf('completion_tokens');

const MINUTE_MS = MINUTE * 1_000;
const HOUR_MS = HOUR * 1_000;

/** Sums the requests of applications in rows of `tokenferry_requests`, by step, time, client, model and upstream. */
export class RequestStats {
  readonly #models = new Set<string>();

  /** The rows of both tables that are to be added for `values`. */
  of(values: readonly ColumnValue[]): AddedStats {
    const minutes = new Map<string, StatsRow>();
    for (let row = 0; row < values.length; row += COLUMNS.length) {
      if (!(values[row + PATH] as string).startsWith('/v1/')) continue;
      const createdAtMs = values[row + CREATED_AT] as number;
      const client = (values[row + CLIENT] ?? '') as string;
      let model = (values[row + MODEL] ?? '') as string;
      if (!this.#models.has(model)) {
        if (this.#models.size < MAX_MODELS) this.#models.add(model);
        else model = OTHER_MODELS;
      }
      const upstream = (values[row + UPSTREAM] ?? '') as string;
      const begin = createdAtMs - (createdAtMs % MINUTE_MS);
      const key = `${begin}\n${client}\n${model}\n${upstream}`;
      let sum = minutes.get(key);
      if (sum === undefined) {
        sum = [MINUTE, begin, client, model, upstream, 0, 0, 0, 0, 0, 0, 0];
        minutes.set(key, sum);
      }
      sum[5] += 1;
      if (values[row + OUTCOME] !== 'ok') sum[6] += 1;
      sum[7] += (values[row + PROMPT_TOKENS] ?? 0) as number;
      sum[8] += (values[row + COMPLETION_TOKENS] ?? 0) as number;
      const firstTokenMs = values[row + FIRST_TOKEN_MS] as number | null;
      if (firstTokenMs !== null) {
        sum[9] += 1;
        sum[10] += firstTokenMs;
      }
      sum[11] += values[row + ELAPSED_MS] as number;
    }
    const hours = new Map<string, StatsRow>();
    for (const minute of minutes.values()) {
      const [, at, client, model, upstream] = minute;
      const begin = at - (at % HOUR_MS);
      const key = `${begin}\n${client}\n${model}\n${upstream}`;
      const hour = hours.get(key);
      if (hour === undefined) hours.set(key, minute.with(0, HOUR).with(1, begin) as StatsRow);
      else for (const index of SUMS) hour[index] += minute[index];
    }
    const stats = [...minutes.values(), ...hours.values()];
    const names = new Map<string, NameStatsRow>();
    for (const row of stats) {
      const [step, at] = row;
      for (let kind = 0; kind < NAME_KINDS.length; kind++) {
        const name = kind === 0 ? '' : (row[kind + 1] as string);
        const key = `${kind}\n${step}\n${at}\n${name}`;
        const sum = names.get(key);
        if (sum === undefined)
          names.set(key, [
            NAME_KINDS[kind] as NameKind,
            step,
            at,
            name,
            row[5],
            row[6],
            row[7],
            row[8],
            row[9],
            row[10],
            row[11],
          ]);
        else for (const index of SUMS) sum[(index - 1) as NameSum] += row[index];
      }
    }
    const nameStats = [...names.values()];
    return stats.length <= 2 ? { stats, nameStats } : { stats: sorted(stats), nameStats: sorted(nameStats) };
  }
}

/** Positions of the sums in a row of stats; in one of name stats each is one less. */
const SUMS = [5, 6, 7, 8, 9, 10, 11] as const;
type NameSum = 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** Replicas that add to the same rows lock them in the same order. */
function sorted<Row extends StatsRow | NameStatsRow>(rows: Row[]): Row[] {
  const keyOf = (row: Row): string => `${row[0]} ${row[1]} ${row[2]}\n${row[3]}\n${row[4]}`;
  return rows.sort((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
}

/** The SQL that fills the table from the requests that were recorded before it existed. `type` is that of the numbers. */
export function backfillSql(type: 'INTEGER' | 'BIGINT'): string {
  return [MINUTE, HOUR]
    .map((step) => {
      const ms = step * 1_000;
      // The division of integers cuts off in both databases.
      const begin = `CAST(created_at / ${ms} AS ${type}) * ${ms}`;
      const since =
        step === MINUTE
          ? ` AND created_at >= (SELECT max(created_at) - ${MINUTES_KEPT_MS} FROM tokenferry_requests)`
          : '';
      return `INSERT INTO ${STATS_TABLE} (${STATS_COLUMNS.join(', ')})
        SELECT ${step}, ${begin}, coalesce(client, ''), coalesce(model, ''), coalesce(upstream, ''),
          count(*), sum(CASE WHEN outcome = 'ok' THEN 0 ELSE 1 END), coalesce(sum(prompt_tokens), 0),
          coalesce(sum(completion_tokens), 0), count(first_token_ms), coalesce(sum(first_token_ms), 0), sum(elapsed_ms)
        FROM tokenferry_requests WHERE path LIKE '/v1/%'${since} GROUP BY 2, 3, 4, 5;`;
    })
    .join('\n');
}

/** The columns with their types, for both databases. */
export function statsTableSql(type: 'INTEGER' | 'BIGINT', suffix: string): string {
  const texts = ['client', 'model', 'upstream'].map((column) => `${column} TEXT NOT NULL`);
  const numbers = STATS_SUMS.map((column) => `${column} ${type} NOT NULL`);
  // Of requests that somebody dropped with their table.
  return `DROP TABLE IF EXISTS ${STATS_TABLE};
      CREATE TABLE ${STATS_TABLE} (
        step INTEGER NOT NULL, at ${type} NOT NULL, ${texts.join(', ')}, ${numbers.join(', ')},
        PRIMARY KEY (${STATS_KEY.join(', ')})
      )${suffix};`;
}

/** The table of sums by one name, filled from the other one. The index finds the hours of a name. */
export function nameStatsSql(type: 'INTEGER' | 'BIGINT', suffix: string): string {
  const numbers = STATS_SUMS.map((column) => `${column} ${type} NOT NULL`);
  const sums = STATS_SUMS.map((column) => `sum(${column})`);
  const fills = NAME_KINDS.map((kind) => {
    const name = kind === 'all' ? "''" : kind;
    return `INSERT INTO ${NAME_STATS_TABLE} (${NAME_STATS_COLUMNS.join(', ')})
        SELECT '${kind}', step, at, ${name}, ${sums.join(', ')} FROM ${STATS_TABLE} GROUP BY 2, 3, 4;`;
  });
  return `DROP TABLE IF EXISTS ${NAME_STATS_TABLE};
      CREATE TABLE ${NAME_STATS_TABLE} (
        kind TEXT NOT NULL, step INTEGER NOT NULL, at ${type} NOT NULL, name TEXT NOT NULL, ${numbers.join(', ')},
        PRIMARY KEY (${NAME_STATS_KEY.join(', ')})
      )${suffix};
      CREATE INDEX ${NAME_STATS_TABLE}_name ON ${NAME_STATS_TABLE} (kind, step, name, at);
      ${fills.join('\n')}`;
}

/** Adds rows to those that exist, with one tuple of placeholders for each row. */
export function addStatsSql(tuples: string): string {
  return addSql(STATS_TABLE, STATS_COLUMNS, STATS_KEY, tuples);
}

/** The same for the sums by one name. */
export function addNameStatsSql(tuples: string): string {
  return addSql(NAME_STATS_TABLE, NAME_STATS_COLUMNS, NAME_STATS_KEY, tuples);
}

function addSql(table: string, columns: readonly string[], key: readonly string[], tuples: string): string {
  const sums = STATS_SUMS.map((column) => `${column} = ${table}.${column} + excluded.${column}`);
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${tuples}
     ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${sums.join(', ')}`;
}

/**
 * Statements that delete sums which are too old, a bounded span of each: after a long stop the next cleanings do the rest,
 * so that no insert waits for all of it.
 */
export function cleaningSql(nowMs: number): string[] {
  const wheres = [
    { table: STATS_TABLE, of: '' },
    ...NAME_KINDS.map((kind) => ({ table: NAME_STATS_TABLE, of: `kind = '${kind}' AND ` })),
  ];
  return wheres.flatMap(({ table, of }) =>
    [MINUTE, HOUR].map((step) => {
      const beforeMs = nowMs - (step === MINUTE ? MINUTES_KEPT_MS : HOURS_KEPT_MS);
      return `DELETE FROM ${table} WHERE ${of}step = ${step} AND at < ${beforeMs}
        AND at < (SELECT min(at) FROM ${table} WHERE ${of}step = ${step}) + ${CLEANED_MS[step]}`;
    }),
  );
}
