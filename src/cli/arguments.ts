import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ConfigError } from '../config/config-error.ts';
import { findConfigFile, type IsNeeded, type LoadedConfig } from '../config/load/load-config.ts';
import { durationMs } from '../config/types/quantities.ts';
import { ProxyVariableError } from '../lib/net/proxy.ts';
import { nearestWord } from '../lib/text/nearest-word.ts';
import { TokenSourceError } from '../tokens/sources/token-source.ts';
import { SigningError } from '../upstream/signing/request-signer.ts';
import { loadWithEnvironment } from './environment-file.ts';

/** InvalidValue words on the command line, or a configuration that cannot be used: exit code 2. */
export class UsageError extends Error {}

/** A command that cannot be run although its arguments are valid: the message says what to do. */
export class CommandFailure extends Error {
  /** 1: something is missing or does not work; 2: the configuration does not allow it. */
  readonly exitCode: 1 | 2;

  constructor(exitCode: 1 | 2, message: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

/** `--help` was given. */
class HelpRequested extends Error {}

/** Timers of token managers keep no process alive; a command that waits for one has to do it. */
const ALIVE_EVERY_MS = 60_000;

/** Accepts openai-api-route's long options with one dash, and removes its flags without a meaning here. */
function normaliseFlags(args: readonly string[]): string[] {
  return args
    .filter((arg) => !/^--?dblog(?:=.*)?$/.test(arg))
    .map((arg) => (/^-config\b/.test(arg) ? `-${arg}` : arg));
}

function asksForHelp(args: readonly string[]): boolean {
  return args.some((arg) => arg === '--help' || arg === '-h');
}

/** The option of every command that reads a configuration. */
export const CONFIG_OPTION = { config: { type: 'string' } } as const;

/**
 * Parses these options and at most `maxNames` names; throws what `withUsage` prints. Every other option is an error, as one
 * that is ignored is believed to have worked.
 */
export function readArguments<Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  maxNames = 0,
) {
  if (asksForHelp(args)) throw new HelpRequested();
  const parsed = parsedOrThrow(args, options);
  const unexpected = parsed.positionals[maxNames];
  // Ignoring it would make `check prod.yaml` check another file.
  const advice = Object.hasOwn(options, 'config') ? '; use --config FILE to name a configuration' : '';
  if (unexpected !== undefined) throw new UsageError(`unexpected argument "${unexpected}"${advice}.`);
  return parsed;
}

function parsedOrThrow<Options extends ParseArgsOptionsConfig>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: normaliseFlags(args), allowPositionals: true, options });
  } catch (error) {
    // Without its advice on arguments that begin with a dash.
    const [problem = ''] = (error as Error).message.split('. ', 1);
    const unknown = /^Unknown option '--?([^']+)'$/.exec(problem)?.[1];
    const nearest = unknown === undefined ? null : nearestWord(unknown, Object.keys(options));
    throw new UsageError(nearest === null ? problem : `${problem}. Did you mean --${nearest}?`);
  }
}

/** A duration as in the configuration, in milliseconds; throws what `withUsage` prints. */
export function durationArgument(option: string, text: string): number {
  const ms = durationMs(text);
  if (ms !== null) return ms;
  throw new UsageError(`${option} must be a duration: seconds as a number, or 500ms, 30s, 5m, 2h, 7d.`);
}

/** The configuration of `--config` or the default paths, with the `.env` beside it; null when there is none. */
export function findAndLoad(explicit: string | undefined, isNeeded?: IsNeeded): LoadedConfig | null {
  const file = findConfigFile(explicit, process.cwd());
  return file === null ? null : loadWithEnvironment(file, isNeeded);
}

/** As `findAndLoad`; throws when there is no configuration. */
export function loadOrThrow(explicit: string | undefined, isNeeded?: IsNeeded): LoadedConfig {
  const loaded = findAndLoad(explicit, isNeeded);
  if (loaded !== null) return loaded;
  throw new UsageError(
    'No configuration found: name one with --config FILE, or write ./config.yaml (see config.sample.yaml).',
  );
}

/** Runs a command and prints problems of its arguments or configuration; resolves with the exit code. */
export async function withUsage(usage: string, run: () => Promise<number>): Promise<number> {
  const alive = setInterval(() => undefined, ALIVE_EVERY_MS);
  try {
    return await run();
  } catch (error) {
    if (error instanceof HelpRequested) {
      console.log(usage);
      return 0;
    }
    if (error instanceof CommandFailure) {
      console.error(error.message);
      return error.exitCode;
    }
    if (isConfigProblem(error)) {
      console.error(error.message);
      return 2;
    }
    if (error instanceof UsageError) {
      console.error(`${error.message}\n${usage}`);
      return 2;
    }
    throw error;
  } finally {
    clearInterval(alive);
  }
}

/** An invalid configuration, or a source or upstream that cannot be built: an invalid module, key or proxy. */
function isConfigProblem(error: unknown): error is Error {
  return (
    error instanceof ConfigError ||
    error instanceof TokenSourceError ||
    error instanceof SigningError ||
    error instanceof ProxyVariableError
  );
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?<zone>Z|[+-]\d\d:?\d\d)?)?$/i;

/**
 * `90`, `5m`, `2h` before now, or an ISO time → milliseconds since 1970; null when it is neither. A time without a zone
 * is UTC, as are the times that `log` prints.
 */
export function sinceMs(text: string, nowMs: number): number | null {
  const agoMs = durationMs(text);
  if (agoMs !== null) return nowMs - agoMs;
  const match = TIME.exec(text.trim());
  if (match === null) return null;
  const [date = '', time = '00:00'] = text.trim().split(/[T ]/i);
  const at = Date.parse(`${date}T${time}${match.groups?.zone === undefined ? 'Z' : ''}`);
  return Number.isNaN(at) ? null : at;
}
