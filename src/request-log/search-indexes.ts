import { TABLE } from './request-row.ts';

/** Statuses other than this one are rare: an index has them alone. */
export const COMMON_STATUS = 200;

/**
 * The indexes that `request-search.ts` reads, for both databases, in place of the earlier ones of the same names. Behind
 * the time they have what requests are filtered by, so that only rows that fit are read from the table. Those on failures
 * and on rare statuses cost a successful request nothing.
 */
export function searchIndexesSql(): string {
  const indexes = [
    ['created_at', '(created_at, client, model, upstream, status, path)', ''],
    ['failed', '(created_at, client, model, upstream, outcome, path)', " WHERE outcome <> 'ok'"],
    ['status', '(status, created_at, client, model, upstream, path)', ` WHERE status <> ${COMMON_STATUS}`],
  ];
  return indexes
    .map(
      ([name, columns, where]) =>
        `DROP INDEX ${TABLE}_${name}; CREATE INDEX ${TABLE}_${name} ON ${TABLE} ${columns}${where};`,
    )
    .join('\n');
}
