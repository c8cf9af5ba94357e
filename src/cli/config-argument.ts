import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ConfigError } from '../config/config-error.ts';
import { findConfigFile, type LoadedConfig, loadConfig } from '../config/load/load-config.ts';
import { durationMs } from '../config/types/quantities.ts';
import { ProxyVariableError } from '../lib/net/environment-proxy.ts';
import { TokenSourceError } from '../tokens/sources/token-source.ts';

/** InvalidValue words on the command line, or a configuration that cannot be used: exit code 2. */
export class UsageError extends Error {}

/** Asked rightly, and yet it cannot be done: the message says what to do, and the usage would not help. */
export class CommandFailure extends Error {
  /** 1: something is not there or does not work; 2: the configuration does not provide for it. */
  readonly exitCode: 1 | 2;

  constructor(exitCode: 1 | 2, message: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

/** Somebody asked how a command is used. */
class HelpWanted extends Error {}

/** Timers of token managers keep no process alive; a command that waits for one has to do it. */
const ALIVE_EVERY_MS = 60_000;

/** openai-api-route's spelling of long options, with one dash; and its flags that mean nothing here. */
function modernise(args: readonly string[]): string[] {
  return args
    .filter((arg) => !/^--?dblog$/.test(arg))
    .map((arg) => (/^-config\b/.test(arg) ? `-${arg}` : arg));
}

/** True: the arguments ask how the command is used. */
export function asksForHelp(args: readonly string[]): boolean {
  return args.some((arg) => arg === '--help' || arg === '-h');
}

/** Parses options beside `--config`, and at most so many names; throws what `withUsage` tells. */
export function readArguments<Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  mostNames = 0,
) {
  if (asksForHelp(args)) throw new HelpWanted();
  const parsed = parsedOrThrow(args, { ...options, config: { type: 'string' as const } });
  const unexpected = parsed.positionals[mostNames];
  // Passed over, `check prod.yaml` would check another file than was meant.
  if (unexpected !== undefined)
    throw new UsageError(`unexpected "${unexpected}"; a configuration is named with --config FILE.`);
  return parsed;
}

function parsedOrThrow<Options extends ParseArgsOptionsConfig>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: modernise(args), allowPositionals: true, options });
  } catch (error) {
    throw new UsageError(argumentProblem(error));
  }
}

/** What `parseArgs` found wrong, without its advice on arguments that begin with a dash. */
export function argumentProblem(error: unknown): string {
  return (error as Error).message.split('. ', 1)[0] ?? '';
}

/** A length of time as the configuration takes them, in milliseconds; throws what `withUsage` tells. */
export function durationArgument(option: string, text: string): number {
  const ms = durationMs(text);
  if (ms !== null) return ms;
  throw new UsageError(`${option} is a duration: seconds as a number, or 500ms, 30s, 5m, 2h, 7d.`);
}

/** The configuration that `--config` or the usual places name; null when there is none anywhere. */
export function findAndLoad(explicit: string | undefined): LoadedConfig | null {
  const file = findConfigFile(explicit, process.cwd());
  return file === null ? null : loadConfig(file, process.env);
}

/** As `findAndLoad`, for commands that are nothing without one. */
export function loadOrThrow(explicit: string | undefined): LoadedConfig {
  const loaded = findAndLoad(explicit);
  if (loaded !== null) return loaded;
  throw new UsageError(
    'There is no configuration: name one with --config FILE, or write ./config.yaml (see config.sample.yaml).',
  );
}

/** Runs a command, printing what is wrong with its arguments or configuration; resolves with the exit code. */
export async function withUsage(usage: string, run: () => Promise<number>): Promise<number> {
  const alive = setInterval(() => undefined, ALIVE_EVERY_MS);
  try {
    return await run();
  } catch (error) {
    if (error instanceof HelpWanted) {
      console.log(usage);
      return 0;
    }
    if (error instanceof CommandFailure) {
      console.error(error.message);
      return error.exitCode;
    }
    if (cannotBeUsed(error)) {
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

/** A configuration with mistakes; or a source or an upstream that cannot even be built: a module, a key or a proxy that is none. */
function cannotBeUsed(error: unknown): error is Error {
  return (
    error instanceof ConfigError || error instanceof TokenSourceError || error instanceof ProxyVariableError
  );
}
