import { BODY_AT, COLUMNS, type ColumnValue, RESPONSE_AT } from './request-row.ts';
import type { RowBatch } from './request-store.ts';

/**
 * The values of a batch, row after row, both bodies of each row redacted. Null for what cannot be read: asking again
 * would not make it readable, and nothing after it would ever be written.
 */
export function valuesOf(batch: RowBatch, redact: (body: string) => string): ColumnValue[] | null {
  const values = parsed(batch);
  if (values === null) return null;
  for (let row = 0; row < values.length; row += COLUMNS.length) {
    for (const at of [row + BODY_AT, row + RESPONSE_AT]) {
      const body = values[at];
      if (typeof body === 'string') values[at] = redact(body);
    }
  }
  return values;
}

function parsed(batch: RowBatch): ColumnValue[] | null {
  try {
    const values = JSON.parse(`[${batch.values}]`) as ColumnValue[];
    return values.length === batch.rows * COLUMNS.length ? values : null;
  } catch {
    return null;
  }
}
