import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import winston from 'winston';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import { LineSink } from './line-sink.ts';
import { type LogEntry, logFormat, MESSAGE } from './log-format.ts';
import {
  IsoTime,
  LEVEL_OF_OUTCOME,
  type LogLevel,
  noPaint,
  requestLineJson,
  requestLineText,
  terminalPaint,
} from './request-line.ts';

export type { LogLevel } from './request-line.ts';

export interface LoggerOptions {
  /** What is quieter than this is not written. */
  readonly level: LogLevel;
  readonly format: 'json' | 'text';
  /** Null: standard output. */
  readonly file: string | null;
  readonly secrets: SecretRegistry;
  readonly clock?: Clock | undefined;
  /** The descriptor in place of standard output; for a program that writes something else there. */
  readonly descriptor?: number | undefined;
  /** Whether text has colours; unless told, when it goes to a terminal and `NO_COLOR` is not set. */
  readonly isColoured?: boolean | undefined;
}

/** The service's log. No method throws, blocks or waits; what cannot be written is lost and counted. */
export interface Logger {
  debug(message: string, facts?: object): void;
  info(message: string, facts?: object): void;
  warn(message: string, facts?: object): void;
  error(message: string, facts?: object): void;
  /** From now on what is quieter than `level` is not written; for a configuration that was reloaded. */
  setLevel(level: LogLevel): void;
  /** One line for each finished request, all in one write. */
  requests(records: readonly RequestRecord[]): void;
  /** Lines that a full disk or a closed pipe cost. */
  readonly droppedLines: number;
  /** Writes what waits, for at most two seconds. Idempotent. */
  close(): Promise<void>;
}

/** Smaller is louder, as winston counts. */
const LOUDNESS = { error: 0, warn: 1, info: 2, debug: 3 } as const satisfies Record<LogLevel, number>;

const CLOSE_BOUND_MS = 2_000;

export function createLogger(options: LoggerOptions): Logger {
  return new WinstonLogger(options);
}

class WinstonLogger implements Logger {
  readonly #winston: winston.Logger;
  readonly #sink: LineSink;
  readonly #clock: Clock;
  #loudness: number;
  readonly #requestLine: (record: RequestRecord) => string;

  constructor(options: LoggerOptions) {
    const descriptor = options.descriptor ?? 1;
    const isTerminal = options.file === null && isatty(descriptor);
    const isColoured = options.isColoured ?? (isTerminal && !process.env.NO_COLOR);
    const paint = isColoured ? terminalPaint : noPaint;
    const localTime = isTerminal ? timeOfDay : dateAndTime;
    const isoTime = new IsoTime();
    this.#clock = options.clock ?? systemClock;
    this.#loudness = LOUDNESS[options.level];
    this.#requestLine =
      options.format === 'json'
        ? (record) => requestLineJson(record, isoTime)
        : (record) => requestLineText(record, paint, localTime(record.createdAtMs + record.elapsedMs));
    const format = logFormat({ format: options.format, secrets: options.secrets, paint, localTime });
    this.#sink = new LineSink(options.file ?? descriptor, {
      clock: this.#clock,
      lossNotice: (lines) => textOf(format, this.#entry('warn', 'log lines were lost', { lines })),
    });
    this.#winston = winston.createLogger({
      // What is too quiet never gets this far.
      level: 'debug',
      levels: LOUDNESS,
      format,
      transports: [new winston.transports.Stream({ stream: streamOf(this.#sink), eol: '\n' })],
    });
    // A broken format or transport costs a line; without a listener it would end the process.
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
    this.#loudness = LOUDNESS[level];
  }

  requests(records: readonly RequestRecord[]): void {
    try {
      let lines = '';
      for (const record of records) {
        if (LOUDNESS[LEVEL_OF_OUTCOME[record.outcome]] > this.#loudness) continue;
        lines += lines === '' ? this.#requestLine(record) : `\n${this.#requestLine(record)}`;
      }
      if (lines === '') return;
      // The level of the write is one that passes: each line was judged by its own.
      this.#winston.log({ level: 'error', message: '', atMs: 0, facts: null, lines } satisfies LogEntry);
    } catch {
      // Never the caller's trouble.
    }
  }

  get droppedLines(): number {
    return this.#sink.droppedLines;
  }

  async close(): Promise<void> {
    await this.#sink.close(CLOSE_BOUND_MS);
    this.#winston.close();
  }

  #log(level: LogLevel, message: string, facts: object | undefined): void {
    if (LOUDNESS[level] > this.#loudness) return;
    try {
      this.#winston.log(this.#entry(level, message, facts));
    } catch {
      // A fact whose getter or toJSON throws: the message alone is better than nothing.
      this.#winston.log(this.#entry(level, message, undefined));
    }
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

/** Hands each entry's text to the sink, which has its own bounds, and is ready for the next at once. */
function streamOf(sink: LineSink): Writable {
  return new Writable({
    decodeStrings: false,
    write(text: string, _encoding, next) {
      sink.write(text);
      next();
    },
  });
}

function textOf(format: winston.Logform.Format, entry: LogEntry): string {
  const info = format.transform({ ...entry });
  return typeof info === 'object' ? `${info[MESSAGE] as string}\n` : '';
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
