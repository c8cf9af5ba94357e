import { isatty } from 'node:tty';
import { isNativeError } from 'node:util/types';
import winston from 'winston';
import Transport from 'winston-transport';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import { LogOutput } from './log-output.ts';
import {
  IsoTime,
  LEVEL_OF_OUTCOME,
  type LogLevel,
  noPaint,
  type Paint,
  requestLineJson,
  requestLineText,
  singleLine,
  terminalPaint,
} from './request-line.ts';

export type { LogLevel } from './request-line.ts';

export interface LoggerOptions {
  /** Entries below this level are not written. */
  readonly level: LogLevel;
  readonly format: 'json' | 'text';
  /** Null: standard output. */
  readonly file: string | null;
  readonly secrets: SecretRegistry;
  readonly clock?: Clock | undefined;
  /** The descriptor in place of standard output, for a program that writes something else there. */
  readonly descriptor?: number | undefined;
  /** Whether text is coloured; by default when it goes to a terminal and `NO_COLOR` is not set. */
  readonly isColoured?: boolean | undefined;
}

/** The service's log. No method throws, blocks or waits; lines that cannot be written are counted. */
export interface Logger {
  debug(message: string, facts?: object): void;
  info(message: string, facts?: object): void;
  warn(message: string, facts?: object): void;
  error(message: string, facts?: object): void;
  /** Changes the level from now on, after a reload of the configuration. */
  setLevel(level: LogLevel): void;
  /** Writes one line for each finished request, all in one write. */
  acceptRecords(records: readonly RequestRecord[]): void;
  /** Lines lost since the start. */
  readonly droppedLines: number;
  /** Flushes for at most two seconds. Idempotent. */
  close(): Promise<void>;
}

/** As winston orders levels: a smaller number is more severe. */
const SEVERITY = { error: 0, warn: 1, info: 2, debug: 3 } as const satisfies Record<LogLevel, number>;

const MAX_CLOSE_MS = 2_000;
const MAX_CAUSES = 5;

/** Where winston's formats put the final text of an entry, and its transports expect it. */
const MESSAGE = Symbol.for('message');

/** What passes through winston: a message with facts, or lines of requests that are formatted already. */
interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly atMs: number;
  readonly facts: Readonly<Record<string, unknown>> | null;
  /** Complete lines, the last one without its newline; then message and facts are ignored. */
  readonly lines: string | null;
}

/** The logger of these options; nothing is opened before the first line. */
export function createLogger(options: LoggerOptions): Logger {
  return new WinstonLogger(options);
}

class WinstonLogger implements Logger {
  readonly #winston: winston.Logger;
  readonly #output: LogOutput;
  readonly #clock: Clock;
  #maxSeverity: number;
  readonly #isJson: boolean;
  readonly #paint: Paint;
  readonly #isoTime = new IsoTime();
  readonly #localTime: (wallMs: number) => string;

  constructor(options: LoggerOptions) {
    const descriptor = options.descriptor ?? 1;
    const isTerminal = options.file === null && isatty(descriptor);
    const isColoured = options.isColoured ?? (isTerminal && !process.env.NO_COLOR);
    this.#clock = options.clock ?? systemClock;
    this.#maxSeverity = SEVERITY[options.level];
    this.#isJson = options.format === 'json';
    this.#paint = isColoured ? terminalPaint : noPaint;
    this.#localTime = isTerminal ? timeOfDay : dateAndTime;
    const text = (entry: LogEntry) => options.secrets.scrub(entry.lines ?? this.#entryText(entry));
    this.#output = new LogOutput(options.file ?? descriptor, {
      clock: this.#clock,
      lossNotice: (lines) => `${text(this.#entry('warn', 'log lines were lost', { lines }))}\n`,
    });
    this.#winston = winston.createLogger({
      // `#log` and `acceptRecords` filter by level before an entry is made.
      level: 'debug',
      levels: SEVERITY,
      format: scrubbedText(text),
      transports: [new OutputTransport(this.#output)],
    });
    // A format or transport that throws costs a line; without a listener it would end the process.
    this.#winston.on('error', () => {});
  }

  debug(message: string, facts?: object): void {
    this.#log('debug', message, facts);
  }

  info(message: string, facts?: object): void {
    this.#log('info', message, facts);
  }

  warn(message: string, facts?: object): void {
    this.#log('warn', message, facts);
  }

  error(message: string, facts?: object): void {
    this.#log('error', message, facts);
  }

  setLevel(level: LogLevel): void {
    this.#maxSeverity = SEVERITY[level];
  }

  acceptRecords(records: readonly RequestRecord[]): void {
    try {
      let lines = '';
      for (const record of records) {
        if (SEVERITY[LEVEL_OF_OUTCOME[record.outcome]] > this.#maxSeverity) continue;
        if (lines !== '') lines += '\n';
        lines += this.#isJson
          ? requestLineJson(record, this.#isoTime)
          : requestLineText(record, this.#paint, this.#localTime(record.createdAtMs + record.elapsedMs));
      }
      if (lines === '') return;
      // The level of the entry always passes: each line was filtered by its own.
      this.#winston.log({ level: 'error', message: '', atMs: 0, facts: null, lines } satisfies LogEntry);
    } catch {
      // A defective record costs its batch of lines and nothing else.
    }
  }

  get droppedLines(): number {
    return this.#output.droppedLines;
  }

  async close(): Promise<void> {
    // winston stays open: closed, it would print later entries to standard error, before the redaction.
    await this.#output.close(MAX_CLOSE_MS);
  }

  #log(level: LogLevel, message: string, facts: object | undefined): void {
    if (SEVERITY[level] > this.#maxSeverity) return;
    try {
      this.#winston.log(this.#entry(level, message, facts));
    } catch {
      // A fact whose getter or toJSON throws: the message is written without facts.
      this.#winston.log(this.#entry(level, message, undefined));
    }
  }

  #entryText(entry: LogEntry): string {
    return this.#isJson ? entryJson(entry, this.#isoTime) : entryLine(entry, this.#paint, this.#localTime);
  }

  #entry(level: LogLevel, message: string, facts: object | undefined): LogEntry {
    return {
      level,
      message,
      atMs: this.#clock.wallMs(),
      facts: facts === undefined ? null : { ...facts },
      lines: null,
    };
  }
}

/** The one format of all logs. `text` redacts secrets, so that no text reaches a transport unredacted. */
function scrubbedText(text: (entry: LogEntry) => string): winston.Logform.Format {
  return winston.format((info) => {
    info[MESSAGE] = text(info as unknown as LogEntry);
    return info;
  })();
}

/** Passes each entry's text to the output, which has its own bounds, and is ready for the next one at once. */
class OutputTransport extends Transport {
  readonly #output: LogOutput;

  constructor(output: LogOutput) {
    super();
    this.#output = output;
  }

  override log(info: Record<symbol, string>, next: () => void): void {
    this.#output.write(`${info[MESSAGE]}\n`);
    next();
  }
}

function entryJson(entry: LogEntry, time: IsoTime): string {
  const head = { time: time.format(entry.atMs), level: entry.level, message: entry.message };
  // The head again at the end: facts cannot replace it, and its keys keep their position.
  return JSON.stringify({ ...head, ...entry.facts, ...head }, factReplacer());
}

function entryLine(entry: LogEntry, paint: Paint, localTime: (wallMs: number) => string): string {
  let line = `${paint.dim(localTime(entry.atMs))} ${paint.level(entry.level)} ${singleLine(entry.message)}`;
  for (const [name, value] of Object.entries(entry.facts ?? {})) {
    if (value !== undefined && value !== null) line += ` ${paint.dim(`${name}=`)}${factText(value)}`;
  }
  return line;
}

function factText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, factReplacer()) ?? String(value));
  const short = typeof value === 'string' || !text.startsWith('"') ? text : (JSON.parse(text) as string);
  return /^[^\s"=]+$/.test(short) ? singleLine(short) : singleLine(JSON.stringify(short));
}

/** Replaces errors by their text, big integers by their digits, and cuts cycles. */
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

/** `TypeError: no; because Error: refused`: names and messages along the causes, without stacks. */
function errorText(error: Error): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < MAX_CAUSES && isNativeError(current); depth++) {
    parts.push(`${current.name}: ${current.message}`);
    current = current.cause;
  }
  return parts.join('; because ');
}

function timeOfDay(wallMs: number): string {
  const date = new Date(wallMs);
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits);
  return `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function dateAndTime(wallMs: number): string {
  const date = new Date(wallMs);
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())} ${timeOfDay(wallMs)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
