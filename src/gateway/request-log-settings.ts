import type { Config } from '../config/config.ts';
import type { RequestLogSettings } from '../request-log/request-log.ts';

/** The configuration of the record in the terms of `request-log/`. */
export function requestLogSettings({ record, dbtype, dbaddr }: Config): RequestLogSettings {
  return {
    type: dbtype,
    path: dbaddr,
    queueRows: record.queue,
    retentionMs: record.retention,
    maxBodyBytes: record.max_body,
    content: record.content,
    keepHeaders: record.keep_headers,
    include: record.include,
    redact: record.redact.map((pattern) => pattern.source),
  };
}
