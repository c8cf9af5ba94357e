import { isNativeError } from 'node:util/types';
import winston from 'winston';
import type { SecretRegistry } from '../lib/secret.ts';
import { IsoTime, type LogLevel, type Paint, plain } from './request-line.ts';

/** Where winston and its transports keep the final text of an entry. */
export const MESSAGE = Symbol.for('message');

/** What goes through winston: a message with facts, or lines of requests that are formatted already. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly atMs: number;
  readonly facts: Readonly<Record<string, unknown>> | null;
  /** Complete lines, the last without its newline; then message and facts are not looked at. */
  readonly lines: string | null;
}

interface FormatOptions {
  readonly format: 'json' | 'text';
  readonly secrets: SecretRegistry;
  readonly paint: Paint;
  readonly localTime: (wallMs: number) => string;
}

/** The one format of all logs. Its last step is the redaction: no text reaches a transport around it. */
export function logFormat(options: FormatOptions): winston.Logform.Format {
  const time = new IsoTime();
  const entryText =
    options.format === 'json'
      ? (entry: LogEntry) => entryJson(entry, time)
      : (entry: LogEntry) => entryLine(entry, options);
  const text = winston.format((info) => {
    const entry = info as unknown as LogEntry;
    info[MESSAGE] = entry.lines ?? entryText(entry);
    return info;
  });
  const redact = winston.format((info) => {
    info[MESSAGE] = options.secrets.scrub(info[MESSAGE] as string);
    return info;
  });
  return winston.format.combine(text(), redact());
}

function entryJson(entry: LogEntry, time: IsoTime): string {
  const head = { time: time.format(entry.atMs), level: entry.level, message: entry.message };
  // The head again at the end: facts cannot pretend to be it, and its keys keep their place.
  return JSON.stringify({ ...head, ...entry.facts, ...head }, factReplacer());
}

function entryLine(entry: LogEntry, { paint, localTime }: FormatOptions): string {
  let line = `${paint.dim(localTime(entry.atMs))} ${paint.level(entry.level)} ${plain(entry.message)}`;
  for (const [name, value] of Object.entries(entry.facts ?? {})) {
    if (value !== undefined && value !== null) line += ` ${paint.dim(`${name}=`)}${factText(value)}`;
  }
  return line;
}

function factText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, factReplacer()) ?? String(value));
  const short = typeof value === 'string' || !text.startsWith('"') ? text : (JSON.parse(text) as string);
  return /^[^\s"=]+$/.test(short) ? plain(short) : plain(JSON.stringify(short));
}

/** Makes of errors their text and of what JSON does not know something readable; a cycle is cut. */
function factReplacer(): (key: string, value: unknown) => unknown {
  const seen = new Set<unknown>();
  return (_key, value) => {
    if (typeof value === 'bigint') return value.toString();
    if (isNativeError(value)) return errorText(value);
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return '[seen above]';
    seen.add(value);
    return value;
  };
}

const DEEPEST_CAUSE = 5;

/** `TypeError: no; because Error: refused`: names and messages along the causes, without stacks. */
function errorText(error: Error): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < DEEPEST_CAUSE && isNativeError(current); depth++) {
    parts.push(`${current.name}: ${current.message}`);
    current = current.cause;
  }
  return parts.join('; because ');
}
